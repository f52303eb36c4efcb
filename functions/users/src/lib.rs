//! Users: `GET` and `PATCH /api/users/me`, `GET /api/users/{id}`, `GET /api/users?q=`.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use domain::caller::Caller;
use domain::error::Error;
use domain::id::UserId;
use domain::people::PeopleQuery;
use domain::user::{ProfileChange, UserView};
use edge::app::App;
use edge::extract::{Json, Path, Query};
use edge::page::Limit;
use edge::pictures;
use edge::problem::Problem;
use edge::reply::Reply;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

/// Maximum length of a query, in characters.
const MAX_QUERY: usize = 200;

/// The function's routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/users/me", get(me).patch(change_me))
        .route("/api/users/{id}", get(user))
        .route("/api/users", get(people))
}

/// A user search, and the page of users to return.
#[derive(Deserialize, JsonSchema)]
pub struct Search {
    /// The start of a username or of a word of a name.
    #[schemars(length(min = 1, max = MAX_QUERY), regex(pattern = "\\S"))]
    q: String,
    #[serde(default)]
    limit: Limit,
    /// The `next_cursor` of the previous page.
    cursor: Option<String>,
}

/// Returns the caller's profile. The first call creates it. For users who did not register here, each call updates it
/// from the token.
async fn me(State(app): State<App>, caller: Caller) -> Result<Reply<UserView>, Problem> {
    let profile = app.store.ensure_user(&caller).await?;
    Ok(Reply::ok(UserView::own(caller.user, profile), "OK"))
}

/// Changes the caller's name or picture, in their profile and in their peers' inbox rows.
async fn change_me(
    State(app): State<App>,
    caller: Caller,
    Json(change): Json<ProfileChange>,
) -> Result<Reply<UserView>, Problem> {
    let upload = change.upload()?;
    app.store.admit_profile_change(&caller.user).await?;
    let (links, owner) = (app.store.links(), pictures::owner(&caller.user));
    let change = match upload {
        Some(upload) => {
            let upload = ("avatar_attachment_id", upload);
            let picture = pictures::keep(&app.files, links, &caller.user, &owner, upload).await?;
            change.with_picture(picture)
        }
        None => change,
    };
    let (profile, replaced) = app.store.change_profile(&caller, &change).await?;
    if let Some(replaced) = replaced {
        pictures::remove(&app.files, links, &owner, &replaced).await;
    }
    Ok(Reply::ok(UserView::own(caller.user, profile), "Profile changed."))
}

/// Returns the profile of a user.
async fn user(
    State(app): State<App>,
    _caller: Caller,
    Path(user): Path<UserId>,
) -> Result<Reply<UserView>, Problem> {
    let profile = app.store.profile(&user).await?.ok_or(Error::NotFound("There is no such user."))?;
    Ok(Reply::ok(UserView::other(user, profile), "OK"))
}

/// Returns a page of users, found by the start of a username or of a word of their name. A page may be shorter than its
/// limit and still have a `next_cursor`.
async fn people(
    State(app): State<App>,
    caller: Result<Caller, Problem>,
    search: Result<Query<Search>, Problem>,
) -> Result<Reply<Vec<UserView>>, Problem> {
    if !app.directory {
        return Err(Error::NotFound("There is no such route.").into());
    }
    let (caller, Query(search)) = (caller?, search?);
    if search.q.chars().count() > MAX_QUERY {
        return Err(Error::field("q", "A query has at most 200 characters.").into());
    }
    let query = PeopleQuery::parse(&search.q)
        .ok_or_else(|| Error::field("q", "Send the start of a username or of a name."))?;
    let list = json!(["people", search.q]).to_string();
    let after = search.cursor.map(|cursor| app.cursors.open(&caller.user, &list, &cursor)).transpose()?;
    let found = app.store.find_people(&query, after, search.limit.get());
    let ((), (found, next)) = tokio::try_join!(app.store.admit_search(&caller.user), found)?;
    let next = next.map(|position| app.cursors.seal(&caller.user, &list, &position)).transpose()?;
    let people = found.into_iter().map(|(user, profile)| UserView::other(user, profile)).collect();
    Ok(Reply::page(people, next))
}
