//! Web Push subscriptions: where a user's browsers take notifications, and which push services are called.
//!
//! Invariant: an endpoint is a URL from outside that the server calls. So it exists only if its host is one that the
//! operator allows.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::agreement::{ECDH_P256, ParsedPublicKey, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Uri;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::id::{SessionId, SubscriptionId};
use crate::time::{Timestamp, millis};

/// The most subscriptions of a user.
pub const MAX_SUBSCRIPTIONS: usize = 10;
/// The push services of Chrome, Firefox, Safari and Edge.
const DEFAULT_HOSTS: &str =
    "fcm.googleapis.com, *.push.services.mozilla.com, *.push.apple.com, *.notify.windows.com";
/// Maximum length of an endpoint, in bytes. It bounds the item that holds a user's subscriptions.
const MAX_ENDPOINT: usize = 1_024;
/// Length of a browser's public key: an uncompressed point of P-256 (RFC 8291, section 3.1), in bytes.
pub const POINT: usize = 65;
/// Length of a browser's authentication secret (RFC 8291, section 3.2), in bytes.
pub const AUTH: usize = 16;

/// The hosts of the push services that may be called.
#[derive(Debug, Clone)]
pub struct PushHosts(Vec<String>);

impl Default for PushHosts {
    fn default() -> Self {
        Self(split(DEFAULT_HOSTS))
    }
}

impl FromStr for PushHosts {
    type Err = String;
    fn from_str(list: &str) -> Result<Self, String> {
        let is_host = |text: &&String| {
            let name = text.strip_prefix("*.").unwrap_or(text);
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b))
        };
        let hosts = split(list);
        match hosts.iter().find(|host| !is_host(host)) {
            Some(host) => Err(format!("{host} is neither a host name nor one after *.")),
            None => Ok(Self(hosts)),
        }
    }
}

impl fmt::Display for PushHosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(","))
    }
}

fn split(list: &str) -> Vec<String> {
    list.split(',').map(|host| host.trim().to_ascii_lowercase()).filter(|host| !host.is_empty()).collect()
}

/// Whether the host of a URL is this machine.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

impl PushHosts {
    /// Whether a URL may be called: `https` on port 443 of one of the hosts, without user info. A loopback host, if it is
    /// one of them, may also be plain `http` and have any port.
    #[must_use]
    pub fn allow(&self, url: &Uri) -> bool {
        let Some(authority) = url.authority() else { return false };
        let host = authority.host().to_ascii_lowercase();
        let is_named = self.0.iter().any(|named| match named.strip_prefix('*') {
            Some(end) => {
                host.strip_suffix(end).is_some_and(|start| !start.is_empty() && !start.starts_with('.'))
            }
            None => *named == host,
        });
        let is_secure = url.scheme_str() == Some("https");
        let is_usual = is_secure && authority.port_u16().is_none_or(|port| port == 443);
        let is_local = is_loopback(&host) && (is_secure || url.scheme_str() == Some("http"));
        is_named && !authority.as_str().contains('@') && (is_usual || is_local)
    }
}

/// A subscription, as a browser describes it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PushSubscription")]
pub struct SubscriptionFields {
    /// The URL of the push service: `https`, of a service that this server allows.
    #[schemars(length(max = MAX_ENDPOINT), extend("format" = "uri", "pattern" = "^[Hh][Tt][Tt][Pp][Ss]?://[^#]+$"))]
    endpoint: String,
    keys: SubscriptionKeys,
}

/// The keys of a subscription, in base64url.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SubscriptionKeys {
    /// The browser's public key: an uncompressed point of P-256, 65 bytes.
    #[schemars(extend("pattern" = "^B[A-P][-0-9A-Za-z_]{84}[AEIMQUYcgkosw048]=?$"))]
    p256dh: String,
    /// The browser's authentication secret, 16 bytes.
    #[schemars(extend("pattern" = "^[-0-9A-Za-z_]{21}[AQgw](==)?$"))]
    auth: String,
}

/// A subscription, as the store holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// The URL of the push service.
    pub endpoint: String,
    /// The browser's public key, in base64url.
    pub p256dh: String,
    /// The browser's authentication secret, in base64url.
    pub auth: String,
    /// The session that it ends with; `None` if the user's tokens come from another issuer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// When it was first stored.
    #[serde(with = "millis")]
    pub created_at: Timestamp,
}

impl Subscription {
    /// The host of the push service. The rest of the URL is a secret, because whoever knows it can push.
    #[must_use]
    pub fn host(&self) -> String {
        let url = self.endpoint.parse::<Uri>().ok();
        url.as_ref().and_then(Uri::host).unwrap_or_default().to_owned()
    }

    /// Checks what a browser has sent.
    ///
    /// # Errors
    /// `Invalid` with the field.
    pub fn new(
        fields: SubscriptionFields,
        hosts: &PushHosts,
        session: Option<SessionId>,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let SubscriptionFields { endpoint, keys: SubscriptionKeys { p256dh, auth } } = fields;
        let url = endpoint.parse::<Uri>().ok().filter(|url| hosts.allow(url));
        if endpoint.len() > MAX_ENDPOINT || endpoint.contains('#') || url.is_none() {
            let message = "An endpoint is an https URL of a push service that this server allows.";
            return Err(Error::field("endpoint", message));
        }
        let (p256dh, auth) = (without(&p256dh, "="), without(&auth, "=="));
        let subscription = Self { endpoint, p256dh, auth, session, created_at: now };
        let Some(point) = subscription.point() else {
            return Err(Error::field("keys.p256dh", "p256dh is a point of P-256 in base64url, 65 bytes."));
        };
        let parsed = ParsedPublicKey::try_from(UnparsedPublicKey::new(&ECDH_P256, point));
        if point[0] != 4 || parsed.is_err() {
            return Err(Error::field("keys.p256dh", "p256dh is no uncompressed point of P-256."));
        }
        match subscription.secret() {
            Some(_) => Ok(subscription),
            None => Err(Error::field("keys.auth", "auth has 16 bytes, in base64url.")),
        }
    }

    /// The id, which follows from the endpoint.
    #[must_use]
    pub fn id(&self) -> SubscriptionId {
        SubscriptionId::of(&self.endpoint)
    }

    /// The browser's public key.
    #[must_use]
    pub fn point(&self) -> Option<[u8; POINT]> {
        URL_SAFE_NO_PAD.decode(&self.p256dh).ok()?.try_into().ok()
    }

    /// The browser's authentication secret.
    #[must_use]
    pub fn secret(&self) -> Option<[u8; AUTH]> {
        URL_SAFE_NO_PAD.decode(&self.auth).ok()?.try_into().ok()
    }
}

/// A text without its padding.
fn without(text: &str, padding: &str) -> String {
    text.strip_suffix(padding).unwrap_or(text).to_owned()
}

/// A subscription, as its owner sees it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "StoredPushSubscription")]
pub struct SubscriptionView {
    id: SubscriptionId,
    /// The host of the push service, which tells the browser.
    host: String,
    created_at: Timestamp,
}

impl From<&Subscription> for SubscriptionView {
    fn from(subscription: &Subscription) -> Self {
        Self { id: subscription.id(), host: subscription.host(), created_at: subscription.created_at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The keys of RFC 8291, appendix A.
    const P256DH: &str =
        "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
    const SECRET: &str = "BTBZMqHH6r4Tts7J_aSIgg";

    fn subscribe(endpoint: &str, p256dh: &str, auth: &str, hosts: &PushHosts) -> Result<(), String> {
        let keys = SubscriptionKeys { p256dh: p256dh.to_owned(), auth: auth.to_owned() };
        let fields = SubscriptionFields { endpoint: endpoint.to_owned(), keys };
        let now = Timestamp::from_millis(0);
        Subscription::new(fields, hosts, None, now).map(|_| ()).map_err(|error| error.to_string())
    }

    #[test]
    fn only_push_services_are_endpoints() {
        let (hosts, local) =
            (PushHosts::default(), "localhost,127.0.0.1,[::1]".parse::<PushHosts>().unwrap());
        for good in [
            "https://fcm.googleapis.com/fcm/send/abc:def",
            "https://FCM.googleapis.com:443/x",
            "https://updates.push.services.mozilla.com/wpush/v2/x",
            "https://web.push.apple.com/x?y=z",
            "https://db5p.notify.windows.com/w/?token=x",
        ] {
            assert_eq!(subscribe(good, P256DH, SECRET, &hosts), Ok(()), "{good}");
        }
        for bad in [
            "http://fcm.googleapis.com/x",
            "https://fcm.googleapis.com:444/x",
            "https://user@fcm.googleapis.com/x",
            "https://fcm.googleapis.com@evil.example/x",
            "https://evil.example/fcm.googleapis.com",
            "https://fcm.googleapis.com.evil.example/x",
            "https://notfcm.googleapis.com/x",
            "https://push.apple.com/x",
            "https://evilpush.apple.com/x",
            "https://.push.apple.com/x",
            "https://fcm.googleapis.com./x",
            "https://127.0.0.1/x",
            "https://[::1]/x",
            "https://169.254.169.254/latest/meta-data",
            "https://localhost/x",
            "http://localhost:8000/x",
            "ftp://fcm.googleapis.com/x",
            "//fcm.googleapis.com/x",
            "/x",
            "",
            "https://fcm.googleapis.com/x#y",
            &format!("https://fcm.googleapis.com/{}", "x".repeat(1_024)),
        ] {
            assert!(subscribe(bad, P256DH, SECRET, &hosts).is_err(), "{bad}");
        }
        for good in ["http://localhost:8000/x", "http://127.0.0.1:1/x", "https://[::1]:8443/x"] {
            assert_eq!(subscribe(good, P256DH, SECRET, &local), Ok(()), "{good}");
        }
        assert!(subscribe("https://fcm.googleapis.com/x", P256DH, SECRET, &local).is_err());
        assert!(subscribe("http://127.0.0.2:1/x", P256DH, SECRET, &local).is_err());
        for list in ["*", "a/b", "https://fcm.googleapis.com", "user@host"] {
            assert!(list.parse::<PushHosts>().is_err(), "{list}");
        }
    }

    #[test]
    fn the_keys_are_those_of_a_browser() {
        let (hosts, endpoint) = (PushHosts::default(), "https://fcm.googleapis.com/x");
        assert_eq!(subscribe(endpoint, &format!("{P256DH}="), &format!("{SECRET}=="), &hosts), Ok(()));
        let off_the_curve = P256DH.replace("iw4", "iw8");
        for bad in ["", "!", SECRET, &P256DH[1..], &off_the_curve, &format!("A{}", &P256DH[1..])] {
            assert!(subscribe(endpoint, bad, SECRET, &hosts).is_err(), "{bad}");
        }
        for bad in ["", "!", P256DH, &SECRET[1..]] {
            assert!(subscribe(endpoint, P256DH, bad, &hosts).is_err(), "{bad}");
        }
    }
}
