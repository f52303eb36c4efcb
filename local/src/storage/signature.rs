//! Checks signatures of Version 4, in headers and in links.
//! (`docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html`.)

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use aws_sigv4::sign::v4;
use axum::http::{HeaderMap, Method, Uri};
use domain::time::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use time::PrimitiveDateTime;
use time::macros::format_description;

use super::failure::Failure;

/// How much a caller's clock may differ, in milliseconds.
const SKEW: i64 = 15 * 60 * 1000;
/// The longest life of a link, in seconds.
const MAX_LIFE: i64 = 7 * 24 * 3600;
/// The bytes that a canonical request encodes.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const ENCODED_PATH: &AsciiSet = &ENCODED.remove(b'/');

/// The access key whose signatures are accepted.
#[derive(Clone)]
pub struct Keys {
    /// The access key's id.
    pub id: String,
    /// The secret.
    pub secret: String,
}

/// How the body of a call is signed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Payload {
    /// It has this SHA-256 digest, in hexadecimal.
    Digest(String),
    Unsigned,
}

/// A credential's scope: `id/day/region/service/aws4_request`.
struct Scope<'a> {
    region: &'a str,
    whole: &'a str,
}

impl Keys {
    /// Whether a signature of a text is right, by a credential and its date.
    pub(super) fn is_signed(&self, text: &str, credential: &str, date: &str, signature: &str) -> bool {
        let Some(scope) = self.scope(credential, date) else { return false };
        let Some(day) = time_of(date) else { return false };
        let day = SystemTime::UNIX_EPOCH + Duration::from_millis(day.millis().max(0).unsigned_abs());
        let key = v4::generate_signing_key(&self.secret, day, scope.region, "s3");
        let expected = v4::calculate_signature(key, text.as_bytes());
        aws_lc_rs::constant_time::verify_slices_are_equal(expected.as_bytes(), signature.as_bytes()).is_ok()
    }

    fn scope<'a>(&self, credential: &'a str, date: &str) -> Option<Scope<'a>> {
        let whole = credential.strip_prefix(&self.id)?.strip_prefix('/')?;
        let parts: Vec<&str> = whole.split('/').collect();
        match parts.as_slice() {
            [day, region, "s3", "aws4_request"] if date.starts_with(day) && day.len() == 8 => {
                Some(Scope { region, whole })
            }
            _ => None,
        }
    }

    /// Checks the signature of a request. Returns how its body is signed.
    pub(super) fn check(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Result<Payload, Failure> {
        let query: Vec<(String, String)> =
            form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
        let parameter =
            |name: &str| query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let signed = if let Some(signature) = parameter("X-Amz-Signature") {
            let date = parameter("X-Amz-Date").unwrap_or_default();
            let life =
                parameter("X-Amz-Expires").and_then(|life| life.parse::<i64>().ok()).unwrap_or_default();
            let at = time_of(date).ok_or_else(Failure::SIGNATURE)?.millis();
            if !(1..=MAX_LIFE).contains(&life) || at > now.millis() + SKEW || at + life * 1000 < now.millis()
            {
                return Err(Failure::denied("Request has expired"));
            }
            Signed {
                credential: parameter("X-Amz-Credential").unwrap_or_default(),
                headers: parameter("X-Amz-SignedHeaders").unwrap_or_default(),
                date,
                signature,
                payload: "UNSIGNED-PAYLOAD",
            }
        } else {
            let value = header("authorization").ok_or_else(|| Failure::denied("Access Denied"))?;
            let fields = value.strip_prefix("AWS4-HMAC-SHA256").ok_or_else(Failure::SIGNATURE)?;
            let fields: BTreeMap<&str, &str> =
                fields.split(',').filter_map(|field| field.trim().split_once('=')).collect();
            let field = |name: &str| fields.get(name).copied().unwrap_or_default();
            let date = header("x-amz-date").unwrap_or_default();
            let at = time_of(date).ok_or_else(Failure::SIGNATURE)?.millis();
            if (at - now.millis()).abs() > SKEW {
                return Err(Failure::denied(
                    "The difference between the request time and the current time is too large.",
                ));
            }
            Signed {
                credential: field("Credential"),
                headers: field("SignedHeaders"),
                date,
                signature: field("Signature"),
                payload: header("x-amz-content-sha256").unwrap_or_default(),
            }
        };
        let canonical = signed.canonical(method, uri, headers, &query);
        let scope = self.scope(signed.credential, signed.date).ok_or_else(Failure::SIGNATURE)?;
        let digest =
            hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, canonical.as_bytes()).as_ref());
        let text = format!("AWS4-HMAC-SHA256\n{}\n{}\n{digest}", signed.date, scope.whole);
        if !self.is_signed(&text, signed.credential, signed.date, signed.signature) {
            return Err(Failure::SIGNATURE());
        }
        match signed.payload {
            "UNSIGNED-PAYLOAD" => Ok(Payload::Unsigned),
            digest => Ok(Payload::Digest(digest.to_owned())),
        }
    }
}

/// The parts of a request's signature.
struct Signed<'a> {
    credential: &'a str,
    headers: &'a str,
    date: &'a str,
    signature: &'a str,
    payload: &'a str,
}

impl Signed<'_> {
    fn canonical(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        query: &[(String, String)],
    ) -> String {
        let path = percent_decode_str(uri.path()).decode_utf8_lossy().into_owned();
        let path = utf8_percent_encode(&path, ENCODED_PATH);
        let encoded = |text: &str| utf8_percent_encode(text, ENCODED).to_string();
        let mut query: Vec<(String, String)> = query
            .iter()
            .filter(|(name, _)| name != "X-Amz-Signature")
            .map(|(name, value)| (encoded(name), encoded(value)))
            .collect();
        query.sort();
        let query: Vec<String> = query.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        let value = |name: &str| {
            let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
            let trimmed = |value: &str| value.split_whitespace().collect::<Vec<_>>().join(" ");
            values.map(trimmed).collect::<Vec<_>>().join(",")
        };
        let lines: Vec<String> =
            self.headers.split(';').map(|name| format!("{name}:{}\n", value(name))).collect();
        let lines = lines.concat();
        let query = query.join("&");
        format!("{method}\n{path}\n{query}\n{lines}\n{}\n{}", self.headers, self.payload)
    }
}

/// Parses a time such as `20260131T120000Z`.
pub(super) fn time_of(date: &str) -> Option<Timestamp> {
    let format = format_description!("[year][month][day]T[hour][minute][second]Z");
    let time = PrimitiveDateTime::parse(date, format).ok()?.assume_utc();
    Some(Timestamp::from_millis(time.unix_timestamp() * 1000))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}
