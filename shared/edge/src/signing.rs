//! Signatures for S3: of calls, of links to objects, and of forms that browsers post.
//!
//! Invariant: a form allows one object of exactly one size, type and owner, for 15 minutes. Everything that S3 checks is
//! part of the signed policy.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use aws_sdk_dynamodb::config::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation,
    SigningSettings, UriPathNormalizationMode,
};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::identity::Identity;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use domain::error::Error;
use domain::id::{Clock, UserId};
use domain::time::Timestamp;
use serde_json::json;

/// For how long a form can be posted.
pub(crate) const FORM_LIFE: Duration = Duration::from_mins(15);
/// For how long a link to an object is valid.
pub(crate) const LINK_LIFE: Duration = Duration::from_mins(5);
/// The field of a form that says whose upload it is.
const OWNER: &str = "x-amz-meta-owner";

/// The one object that a form uploads.
pub(crate) struct Upload<'a> {
    pub(crate) key: String,
    /// The size in bytes.
    pub(crate) size: u64,
    pub(crate) content_type: &'a str,
    pub(crate) owner: &'a UserId,
}

/// Signs with the credentials of a function, as S3 requires (Signature Version 4).
pub(crate) struct S3Signer {
    pub(crate) credentials: Credentials,
    pub(crate) region: String,
    /// The machine's own clock: S3 refuses signatures that are 15 minutes off.
    clock: Clock,
}

impl S3Signer {
    pub(crate) fn new(credentials: Credentials, region: String) -> Self {
        Self { credentials, region, clock: Clock::default() }
    }

    /// Signs a call whose body has the SHA-256 digest that S3 gets in a header.
    pub(crate) fn sign(&self, request: &mut HttpRequest) -> Result<(), Error> {
        let mut settings = settings();
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let body = request.body().bytes().map_or(SignableBody::UnsignedPayload, SignableBody::Bytes);
        let headers = request.headers().iter();
        let signable = SignableRequest::new(request.method(), request.uri(), headers, body);
        let signed = self.signature(signable.map_err(Error::internal)?, settings)?;
        for (name, value) in signed.headers() {
            let value = value.to_owned();
            request.headers_mut().try_insert(name.to_owned(), value).map_err(Error::internal)?;
        }
        Ok(())
    }

    /// Makes a link to an object, for [`LINK_LIFE`].
    pub(crate) fn link(&self, url: &str) -> Result<String, Error> {
        let mut settings = settings();
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(LINK_LIFE);
        let signable = SignableRequest::new("GET", url, std::iter::empty(), SignableBody::UnsignedPayload);
        let signed = self.signature(signable.map_err(Error::internal)?, settings)?;
        let mut query = form_urlencoded::Serializer::new(String::new());
        signed.params().iter().for_each(|(name, value)| {
            query.append_pair(name, value);
        });
        Ok(format!("{url}?{}", query.finish()))
    }

    fn signature(
        &self,
        request: SignableRequest<'_>,
        settings: SigningSettings,
    ) -> Result<aws_sigv4::http_request::SigningInstructions, Error> {
        let identity: Identity = self.credentials.clone().into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("s3")
            .time(system_time(self.clock.now()))
            .settings(settings)
            .build()
            .map_err(Error::internal)?;
        let signed = aws_sigv4::http_request::sign(request, &parameters.into());
        Ok(signed.map_err(Error::internal)?.into_parts().0)
    }

    /// The fields of a form that uploads one object to a bucket.
    pub(crate) fn form(&self, bucket: &str, upload: &Upload<'_>) -> BTreeMap<String, String> {
        let now = self.clock.now();
        let date = compact(now);
        let day = &date[..8];
        let life = i64::try_from(FORM_LIFE.as_millis()).unwrap_or_default();
        let scope = format!("{}/{day}/{}/s3/aws4_request", self.credentials.access_key_id(), self.region);
        let mut fields = BTreeMap::from([
            ("key", upload.key.clone()),
            ("Content-Type", upload.content_type.to_owned()),
            (OWNER, upload.owner.to_string()),
            ("x-amz-algorithm", "AWS4-HMAC-SHA256".to_owned()),
            ("x-amz-credential", scope),
            ("x-amz-date", date.clone()),
        ]);
        if let Some(token) = self.credentials.session_token() {
            fields.insert("x-amz-security-token", token.to_owned());
        }
        let mut conditions: Vec<_> =
            fields.iter().map(|(name, value)| json!(["eq", format!("${name}"), value])).collect();
        conditions.push(json!({"bucket": bucket}));
        conditions.push(json!(["content-length-range", upload.size, upload.size]));
        let expiration = Timestamp::from_millis(now.millis() + life).to_string();
        let policy = json!({"expiration": expiration, "conditions": conditions}).to_string();
        let policy = BASE64_STANDARD.encode(policy);
        let secret = self.credentials.secret_access_key();
        let key = v4::generate_signing_key(secret, system_time(now), &self.region, "s3");
        let signature = v4::calculate_signature(key, policy.as_bytes());
        fields.extend([("policy", policy), ("x-amz-signature", signature)]);
        fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// S3 takes paths as they are, and signs them once encoded.
fn settings() -> SigningSettings {
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings
}

fn system_time(time: Timestamp) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(time.millis().max(0).unsigned_abs())
}

/// A time as S3 writes it, such as `20260131T120000Z`.
fn compact(time: Timestamp) -> String {
    let seconds = time.to_string();
    let digits = seconds.split('.').next().unwrap_or_default().replace(['-', ':'], "");
    format!("{digits}Z")
}
