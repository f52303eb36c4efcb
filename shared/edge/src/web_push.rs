//! Sends notifications to push services (RFC 8030).
//!
//! Invariant: a notification is best effort. One that a service refuses, or does not take within [`TIMEOUT`], is given
//! up: the message is in the inbox. Only a service that says that a subscription is gone changes anything here.

use std::sync::OnceLock;
use std::time::Duration;

use async_recursion::async_recursion as boxed;
use aws_smithy_runtime_api::client::http::{HttpConnector, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use domain::error::Source;
use domain::id::UserId;
use domain::notification::Notification;
use domain::time::Timestamp;
use domain::web_push::{PushHosts, Subscription};
use futures_util::future::join_all;
use http::Uri;
use observe::log::reason;
use observe::meter;
use observe::metrics::Metric;
use store::Store;

use crate::bucket;
use crate::encryption::encrypt;
use crate::plain_http;
use crate::vapid::Vapid;

/// Time limit of one notification.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Seconds for which a push service keeps a notification for a device that is off.
const LIFE: u32 = 86_400;

/// Sends notifications to push services.
pub struct WebPush {
    vapid: Vapid,
    hosts: PushHosts,
    /// Made for the first notification, because it loads certificates.
    http: OnceLock<SharedHttpConnector>,
}

/// The results of a notification to the subscriptions of a user.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pushed {
    /// Push services that took it.
    pub sent: usize,
    /// Subscriptions that were removed, because their push service does not know them any more.
    pub removed: usize,
    /// Push services that refused it, or did not answer in time.
    pub failed: usize,
}

/// A push service's answer.
#[derive(Clone, Copy, PartialEq)]
enum Answer {
    Taken,
    Gone,
    TooLarge,
    Refused,
}

impl WebPush {
    /// Sends notifications that are signed with a private key to these hosts alone. `subject` tells push services whom
    /// to contact.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the key or the subject.
    pub fn new(key: &str, subject: &str, hosts: PushHosts) -> Result<Self, Source> {
        Ok(Self { vapid: Vapid::new(key, subject)?, hosts, http: OnceLock::new() })
    }

    /// The public key to which browsers bind their subscriptions, in base64url.
    #[must_use]
    pub fn public_key(&self) -> &str {
        &self.vapid.public
    }

    /// The hosts of the push services that may be called.
    #[must_use]
    pub fn hosts(&self) -> &PushHosts {
        &self.hosts
    }

    /// Sends a notification to subscriptions of a user, concurrently, and removes those that are gone.
    #[boxed]
    pub async fn deliver(
        &self,
        store: &Store,
        user: &UserId,
        subscriptions: &[Subscription],
        notification: &Notification,
    ) -> Pushed {
        let now = store.now();
        let answers = join_all(subscriptions.iter().map(async |subscription| {
            let answer = self.push(subscription, notification, now).await;
            let answer = answer.unwrap_or_else(|error| {
                tracing::warn!(host = subscription.host(), error = reason(&*error), "a notification failed");
                Answer::Refused
            });
            (subscription, answer)
        }));
        let (mut pushed, mut gone) = (Pushed::default(), Vec::new());
        for (subscription, answer) in answers.await {
            match answer {
                Answer::Taken => {
                    pushed.sent += 1;
                    meter::count(Metric::NotificationsSent);
                }
                Answer::Gone => gone.push(subscription.clone()),
                Answer::TooLarge | Answer::Refused => {
                    pushed.failed += 1;
                    meter::count(Metric::NotificationsFailed);
                }
            }
        }
        pushed.removed = gone.len();
        if let Err(error) = store.forget_subscriptions(user, &gone).await {
            // The next notification finds them again.
            tracing::warn!(error = reason(&error), "cannot remove subscriptions that are gone");
        }
        pushed
    }

    /// Sends a notification; if it is too large for the service, once more without the text.
    async fn push(
        &self,
        subscription: &Subscription,
        notification: &Notification,
        now: Timestamp,
    ) -> Result<Answer, Source> {
        match self.post(subscription, notification, now).await? {
            Answer::TooLarge => self.post(subscription, &notification.without_text(), now).await,
            answer => Ok(answer),
        }
    }

    /// Posts a notification to this URL only: a redirect is an error.
    async fn post(
        &self,
        subscription: &Subscription,
        notification: &Notification,
        now: Timestamp,
    ) -> Result<Answer, Source> {
        let url: Uri = subscription.endpoint.parse()?;
        // The operator may have changed the list since.
        if !self.hosts.allow(&url) {
            return Err("the push service is no longer allowed".into());
        }
        let keys = subscription.point().zip(subscription.secret());
        let (point, secret) = keys.ok_or("the subscription's keys cannot be read")?;
        let body = encrypt(&notification.payload(), &point, &secret)?;
        let headers = [
            ("Authorization", self.vapid.authorization(&origin(&url), now)?),
            ("Content-Encoding", "aes128gcm".to_owned()),
            ("Content-Type", "application/notification+json".to_owned()),
            ("TTL", LIFE.to_string()),
            ("Topic", notification.topic()),
            ("Urgency", notification.urgency().name().to_owned()),
        ];
        let status = tokio::time::timeout(TIMEOUT, async {
            // `hosts` allow this only for a host that is this machine.
            if url.scheme_str() == Some("http") {
                return plain_http::post(&url, &headers, &body).await;
            }
            let mut request = HttpRequest::new(SdkBody::from(body));
            request.set_method("POST")?;
            request.set_uri(subscription.endpoint.as_str())?;
            for (name, value) in headers {
                request.headers_mut().insert(name.to_ascii_lowercase(), value);
            }
            Ok(self.http.get_or_init(bucket::connector).call(request).await?.status().as_u16())
        });
        match status.await.map_err(|_| "the push service did not answer in time")?? {
            200..300 => Ok(Answer::Taken),
            404 | 410 => Ok(Answer::Gone),
            413 => Ok(Answer::TooLarge),
            status => {
                tracing::warn!(host = subscription.host(), status, "a push service refused a push");
                Ok(Answer::Refused)
            }
        }
    }
}

/// The origin of a URL (RFC 6454, section 6.2).
fn origin(url: &Uri) -> String {
    let scheme = url.scheme_str().unwrap_or_default();
    let host = url.host().unwrap_or_default().to_ascii_lowercase();
    match url.port_u16() {
        Some(port) if scheme != "https" || port != 443 => format!("{scheme}://{host}:{port}"),
        _ => format!("{scheme}://{host}"),
    }
}
