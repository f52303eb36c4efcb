//! Push subscriptions of the caller: `GET /api/push/key`, `PUT` and `GET /api/push/subscriptions`,
//! `DELETE /api/push/subscriptions/{id}`, `POST /api/push/test`.

use axum::Router;
use axum::extract::State;
use axum::routing::{delete, get, post};
use domain::caller::Caller;
use domain::error::Error;
use domain::id::SubscriptionId;
use domain::notification::Notification;
use domain::web_push::{Subscription, SubscriptionFields, SubscriptionView};
use edge::app::App;
use edge::extract::{Json, Path};
use edge::problem::Problem;
use edge::reply::Reply;
use edge::web_push::WebPush;
use schemars::JsonSchema;
use serde::Serialize;

/// The function's routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/push/key", get(key))
        .route("/api/push/subscriptions", get(list).put(subscribe))
        .route("/api/push/subscriptions/{id}", delete(unsubscribe))
        .route("/api/push/test", post(test))
}

/// The key to which browsers bind their subscriptions.
#[derive(Serialize, JsonSchema)]
pub struct PushKey {
    /// An uncompressed point of P-256, in base64url: the `applicationServerKey`.
    public_key: String,
}

/// The id of a subscription.
#[derive(Serialize, JsonSchema)]
pub struct Subscribed {
    id: SubscriptionId,
}

/// The results of a test notification.
#[derive(Serialize, JsonSchema)]
pub struct Tested {
    /// Push services that took it.
    sent: usize,
    /// Subscriptions that were removed, because their push service does not know them any more.
    removed: usize,
    /// Push services that refused it, or did not answer in time.
    failed: usize,
}

/// Returns the public key. Needs no token.
async fn key(State(app): State<App>) -> Result<Reply<PushKey>, Problem> {
    Ok(Reply::ok(PushKey { public_key: web_push(&app)?.public_key().to_owned() }, "OK"))
}

/// Stores a subscription of the caller. Returns 201, or 200 if its endpoint is known.
async fn subscribe(
    State(app): State<App>,
    caller: Caller,
    Json(fields): Json<SubscriptionFields>,
) -> Result<Reply<Subscribed>, Problem> {
    let hosts = web_push(&app)?.hosts();
    let subscription = Subscription::new(fields, hosts, caller.session, app.store.now())?;
    let is_new = app.store.subscribe(&caller.user, &subscription).await?;
    let id = Subscribed { id: subscription.id() };
    Ok(if is_new { Reply::created(id, "Subscribed.") } else { Reply::ok(id, "OK") })
}

/// Returns the caller's subscriptions, the oldest first.
async fn list(State(app): State<App>, caller: Caller) -> Result<Reply<Vec<SubscriptionView>>, Problem> {
    let subscriptions = app.store.subscriptions(&caller.user).await?;
    Ok(Reply::page(subscriptions.iter().map(SubscriptionView::from).collect(), None))
}

/// Removes a subscription of the caller.
async fn unsubscribe(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<SubscriptionId>,
) -> Result<Reply<()>, Problem> {
    app.store.unsubscribe(&caller.user, &id).await?;
    Ok(Reply::ok((), "Unsubscribed."))
}

/// Sends a notification to all of the caller's subscriptions.
async fn test(State(app): State<App>, caller: Caller) -> Result<Reply<Tested>, Problem> {
    let web_push = web_push(&app)?;
    app.store.admit_test_push(&caller.user).await?;
    let subscriptions = app.store.subscriptions(&caller.user).await?;
    let pushed = web_push.deliver(&app.store, &caller.user, &subscriptions, &Notification::test()).await;
    let tested = Tested { sent: pushed.sent, removed: pushed.removed, failed: pushed.failed };
    Ok(Reply::ok(tested, "OK"))
}

fn web_push(app: &App) -> Result<&WebPush, Error> {
    app.web_push.as_deref().ok_or(Error::NotFound("This server sends no notifications."))
}
