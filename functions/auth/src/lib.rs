//! Accounts: `POST /api/auth/register`, `/login` and `/change-password`, `DELETE /api/users/me`.
//!
//! Every call that hashes a password is in this function, because hashing needs more memory and time than other calls.

mod passwords;

use axum::Router;
use axum::extract::State;
use axum::routing::{delete, post};
use domain::account::{Account, EmailAddress, UniqueName, Username};
use domain::address::ClientAddress;
use domain::caller::Caller;
use domain::delivery::Socket;
use domain::error::Error;
use domain::id::UserId;
use domain::name::Name;
use domain::user::{Profile, UserView};
use edge::app::App;
use edge::extract::Json;
use edge::pictures;
use edge::problem::Problem;
use edge::reply::Reply;
use edge::socket::close_sockets;
use edge::tokens::Tokens;
use observe::log::reason;
use passwords::{NewPassword, Password};
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::Registered;

/// The function's routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/auth/register", post(register))
        .route("/api/auth/login", post(login))
        .route("/api/auth/change-password", post(change_password))
        .route("/api/users/me", delete(delete_account))
}

/// The details of a new account.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    username: Username,
    email: EmailAddress,
    password: NewPassword,
    full_name: Option<Name>,
}

/// The credentials of a login: either a username or an e-mail address, and the password.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = exactly_one_name)]
pub struct Login {
    username: Option<String>,
    email: Option<String>,
    password: Password,
}

/// Adds the rule across fields to the schema: either a username or an e-mail address.
fn exactly_one_name(schema: &mut Schema) {
    let one = |name: &str, other: &str| {
        let properties = json!({name: {"type": "string"}, other: {"type": "null"}});
        json!({"properties": properties, "required": [name]})
    };
    schema.insert("anyOf".to_owned(), json!([one("username", "email"), one("email", "username")]));
}

/// The current and the new password.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordChange {
    current_password: Password,
    new_password: NewPassword,
}

/// The password that confirms the deletion of an account.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AccountDeletion")]
pub struct Deletion {
    password: Password,
}

/// A pair of tokens and their user.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Session")]
pub struct LoggedIn {
    #[serde(flatten)]
    tokens: Tokens,
    user: UserView,
}

/// Creates an account with a random user id.
async fn register(
    State(app): State<App>,
    from: ClientAddress,
    body: Result<Json<Registration>, Problem>,
) -> Result<Reply<UserView>, Problem> {
    if !app.registration {
        return Err(Error::NotFound("There is no such route.").into());
    }
    let Json(new) = body?;
    app.store.admit_registration(from).await?;
    let hash = passwords::hash(new.password).await?;
    let account = Account { username: new.username, email: new.email, hash, password_version: 1 };
    let profile = Profile {
        username: Some(account.username.clone()),
        email: Some(account.email.clone()),
        ..Profile::new(new.full_name, None, app.store.now())
    };
    let registered = Registered { user: UserId::random(), account, profile };
    app.store.register(&registered).await?;
    Ok(Reply::created(UserView::own(registered.user, registered.profile), "Registered."))
}

/// Starts a session. An unknown name and a wrong password cannot be told apart: the database calls, the hashing and the
/// response are the same.
async fn login(
    State(app): State<App>,
    from: ClientAddress,
    Json(login): Json<Login>,
) -> Result<Reply<LoggedIn>, Problem> {
    let name = match (&login.username, &login.email) {
        (Some(name), None) | (None, Some(name)) => UniqueName::to_sign_in(name),
        _ => return Err(Error::field("username", "Send either a username or an email.").into()),
    };
    let holder = app.store.holder_of(&name).await?;
    let subject = holder.as_ref().map_or_else(|| name.to_string(), UserId::to_string);
    // An unknown name costs the same calls as a known one.
    let user = holder.unwrap_or_else(UserId::random);
    let admitted = app.store.admit_login(&subject, from);
    let (admitted, found) = tokio::try_join!(admitted, app.store.account_of(&user))?;
    // The name may only look like that of the account.
    let found = found.filter(|found| found.account.has_name(&name));
    let Registered { user, account, profile } = authenticated(found, login.password).await?;
    let recorded = app.store.record_login(admitted);
    let (session, ()) = tokio::try_join!(app.store.begin_session(&user, &account), recorded)?;
    let tokens = app.tokens(&session, &profile)?;
    Ok(Reply::ok(LoggedIn { tokens, user: UserView::own(user, profile) }, "Logged in."))
}

/// Changes the password, and ends all sessions of the account and closes all sockets except the caller's.
async fn change_password(
    State(app): State<App>,
    caller: Caller,
    Json(change): Json<PasswordChange>,
) -> Result<Reply<()>, Problem> {
    let account = account_of(&app, &caller, change.current_password).await?;
    let hash = passwords::hash(change.new_password).await?;
    app.store.change_password(&caller.user, &account, hash, caller.session.as_ref()).await?;
    let is_own = |socket: &Socket| socket.session.is_some() && socket.session == caller.session;
    close_now(&app, &caller.user, |socket| !is_own(socket)).await;
    Ok(Reply::ok((), "Password changed."))
}

/// Removes the caller from all groups and rooms, deletes their account, and closes all their sockets.
async fn delete_account(
    State(app): State<App>,
    caller: Caller,
    Json(deletion): Json<Deletion>,
) -> Result<Reply<()>, Problem> {
    let account = account_of(&app, &caller, deletion.password).await?;
    let delivery = app.store.leave_all(&caller.user).await?;
    app.push.deliver(&app.store, delivery).await;
    let profile = app.store.profile(&caller.user).await?;
    if let Some(picture) = profile.and_then(|profile| profile.picture) {
        let owner = pictures::owner(&caller.user);
        pictures::remove(&app.files, app.store.links(), &owner, &picture).await;
    }
    app.store.delete_account(&caller.user, &account).await?;
    close_now(&app, &caller.user, |_| true).await;
    Ok(Reply::ok((), "Account deleted."))
}

/// Closes the sockets that `is_over` selects. Never fails the call, which has taken effect and cannot be repeated: a
/// socket that stays open ends with its token.
async fn close_now(app: &App, user: &UserId, is_over: impl Fn(&Socket) -> bool) {
    if let Err(error) = close_sockets(app, user, is_over).await {
        tracing::warn!(error = reason(&error), "cannot close the sockets of ended sessions");
    }
}

/// Returns the caller's account if the password is correct.
async fn account_of(app: &App, caller: &Caller, password: Password) -> Result<Account, Error> {
    let admitted = app.store.admit_password(&caller.user);
    let ((), found) = tokio::try_join!(admitted, app.store.account_of(&caller.user))?;
    Ok(authenticated(found, password).await?.account)
}

/// Returns the account if there is one and the password is correct.
async fn authenticated(found: Option<Registered>, password: Password) -> Result<Registered, Error> {
    let is_correct = passwords::is_correct(found.as_ref().map(|found| &found.account.hash), password).await?;
    found.filter(|_| is_correct).ok_or(Error::NotAuthenticated("The name or the password is wrong."))
}
