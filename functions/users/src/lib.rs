//! People: `GET` and `PATCH /api/users/me`, `GET /api/users/{id}`, `GET /api/users?q=`.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use schemars::JsonSchema;
use serde::Deserialize;
use shared::app::App;
use shared::auth::Caller;
use shared::error::Error;
use shared::http::{Json, Path, Query, Reply};
use shared::id::UserId;
use shared::page::Limit;
use shared::people::PeopleQuery;
use shared::user::{ProfileChange, UserView};

/// Characters of a query at most.
const MAX_QUERY: usize = 200;

/// The function's routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/users/me", get(me).patch(change_me))
        .route("/api/users/{id}", get(user))
        .route("/api/users", get(people))
}

/// Whom to look for, and which page of them.
#[derive(Deserialize, JsonSchema)]
pub struct Search {
    /// The start of a username or of a word of a name.
    #[schemars(length(min = 1, max = MAX_QUERY), regex(pattern = "\\S"))]
    q: String,
    #[serde(default)]
    limit: Limit,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// The caller's profile, kept up to date with what their token says; made at the first call.
async fn me(State(app): State<App>, caller: Caller) -> Result<Reply<UserView>, Error> {
    let profile = app.store.see_user(&caller).await?;
    Ok(Reply::ok(UserView::own(caller.user, profile), "OK"))
}

/// Changes the caller's name or picture, here and in the rows of those they write with.
async fn change_me(
    State(app): State<App>,
    caller: Caller,
    Json(change): Json<ProfileChange>,
) -> Result<Reply<UserView>, Error> {
    app.store.admit_profile_change(&caller.user).await?;
    let profile = app.store.change_profile(&caller, &change).await?;
    Ok(Reply::ok(UserView::own(caller.user, profile), "Profile changed."))
}

/// Someone's profile.
async fn user(
    State(app): State<App>,
    _caller: Caller,
    Path(user): Path<UserId>,
) -> Result<Reply<UserView>, Error> {
    let profile = app.store.profile(&user).await?.ok_or(Error::NotFound("There is no such user."))?;
    Ok(Reply::ok(UserView::other(user, profile), "OK"))
}

/// A page of people by the starts of their names. It may be shorter than asked for and still go on.
async fn people(
    State(app): State<App>,
    caller: Result<Caller, Error>,
    search: Result<Query<Search>, Error>,
) -> Result<Reply<Vec<UserView>>, Error> {
    if !app.directory {
        return Err(Error::NotFound("There is no such route."));
    }
    let (caller, Query(search)) = (caller?, search?);
    if search.q.chars().count() > MAX_QUERY {
        return Err(Error::field("q", "A query has at most 200 characters."));
    }
    let query = PeopleQuery::parse(&search.q)
        .ok_or_else(|| Error::field("q", "Send the start of a username or of a name."))?;
    let list = format!("people {query:?}");
    let after = search.cursor.map(|cursor| app.cursors.open(&caller.user, &list, &cursor)).transpose()?;
    let (found, next) = app.store.find_people(&query, after, search.limit.get()).await?;
    let next = next.map(|position| app.cursors.seal(&caller.user, &list, &position)).transpose()?;
    let people = found.into_iter().map(|(user, profile)| UserView::other(user, profile)).collect();
    Ok(Reply::page(people, next))
}
