//! Files: `POST /api/attachments` asks for an upload, `GET /api/attachments/{id}` is the link to a file, and
//! `GET /api/pictures/{id}` the address of a user's or group's picture.

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use domain::caller::Caller;
use domain::error::Error;
use domain::id::FileId;
use edge::app::App;
use edge::extract::{Json, Path, Query};
use edge::files::{NewUpload, Offer};
use edge::pictures;
use edge::problem::Problem;
use edge::reply::Reply;
use http::{StatusCode, header};
use schemars::JsonSchema;
use serde::Deserialize;

/// The function's routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/attachments", post(offer))
        .route("/api/attachments/{id}", get(file))
        .route("/api/pictures/{id}", get(picture))
}

/// Offers to take an upload: 201 with a form to post, and the id under which a send uses the upload within a day.
async fn offer(
    State(app): State<App>,
    caller: Caller,
    Json(upload): Json<NewUpload>,
) -> Result<Reply<Offer>, Problem> {
    let offer = app.files.offer(&caller.user, &upload)?;
    app.store.admit_upload(&caller.user, upload.bytes()).await?;
    Ok(Reply::created(offer, "Post the form."))
}

/// The token of a link.
#[derive(Deserialize, JsonSchema)]
pub struct Link {
    /// Part of the link. Valid for at least a day.
    t: Option<String>,
}

/// Redirects to a file of a message. Needs no token but that of the link.
async fn file(
    State(app): State<App>,
    Path(file): Path<FileId>,
    Query(link): Query<Link>,
) -> Result<Response, Problem> {
    const GONE: Error = Error::NotFound("There is no such file, or the link is too old.");
    if !link.t.is_some_and(|token| app.store.links().is_valid(&file, &token)) {
        return Err(GONE.into());
    }
    let url = app.files.link(&file).await?.ok_or(GONE)?;
    Ok(redirect(url, "private, max-age=240"))
}

/// Redirects to the picture of a user or group. Needs no token.
async fn picture(State(app): State<App>, Path(picture): Path<FileId>) -> Result<Response, Problem> {
    Ok(redirect(pictures::link(&app.files, &picture)?, "public, max-age=240"))
}

/// Redirects to the storage, for a little less than the 5 minutes for which its link is valid.
fn redirect(url: String, cache_control: &'static str) -> Response {
    let headers = [
        (header::LOCATION, url),
        (header::CACHE_CONTROL, cache_control.to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        // Pages of other origins may show the file, but learn nothing from it.
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
    ];
    (StatusCode::FOUND, headers).into_response()
}
