//! Conversations and their participants: `POST /api/conversations`, `GET` and `PATCH /api/conversations/{id}`, the
//! caller's own settings (`PATCH /api/conversations/{id}/me`), and `/api/conversations/{id}/participants`.

use axum::Router;
use axum::extract::State;
use axum::routing::{get, patch, post};
use domain::attachment::MAX_UPLOAD_ID;
use domain::caller::Caller;
use domain::content::ClientId;
use domain::conversation::{ConversationView, Description};
use domain::custom::Custom;
use domain::error::Error;
use domain::fields::present;
use domain::id::{ConversationId, UserId};
use domain::name::{Name, Picture};
use domain::settings::SettingsChange;
use edge::app::App;
use edge::extract::{Json, Path, PathPair, Query, WithJson};
use edge::page::Limit;
use edge::pictures;
use edge::problem::Problem;
use edge::reply::Reply;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{Details, NewGroup, Opened, Overview, ParticipantView};

/// The function's routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/conversations", post(create))
        .route("/api/conversations/{id}", get(show).patch(change))
        .route("/api/conversations/{id}/me", patch(change_settings))
        .route("/api/conversations/{id}/participants", post(add))
        .route("/api/conversations/{id}/participants/{user_id}", patch(set_role).delete(remove))
}

/// The type of a new conversation. Rooms are created with `POST /api/rooms`.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "NewConversationType")]
pub enum NewKind {
    /// A conversation with one other user.
    Direct,
    /// A conversation whose admins add the participants.
    Group,
}

/// A direct conversation to open, or a group to create.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewConversation", transform = rules_of_each_type)]
pub struct New {
    r#type: NewKind,
    name: Option<Name>,
    participant_ids: Vec<UserId>,
    client_conversation_id: Option<ClientId>,
}

/// Adds the rules across fields to the schema: what each type requires.
fn rules_of_each_type(schema: &mut Schema) {
    let direct = json!({
        "type": {"const": "direct"},
        "name": {"type": "null"},
        "participant_ids": {"minItems": 1, "maxItems": 1},
    });
    let group = json!({"type": {"const": "group"}, "name": {"type": "string"}});
    let choices = json!([{"properties": direct}, {"properties": group, "required": ["name"]}]);
    schema.insert("anyOf".to_owned(), choices);
}

/// Opens a direct conversation or creates a group. Returns the caller's row: 201 if it is new, 200 if it existed.
async fn create(
    State(app): State<App>,
    caller: Caller,
    Json(new): Json<New>,
) -> Result<Reply<ConversationView>, Problem> {
    let New { r#type: kind, name, participant_ids: participants, client_conversation_id } = new;
    let mut opened = match (kind, name, participants.as_slice()) {
        (NewKind::Group, Some(name), _) => {
            let client_id = client_conversation_id.map(String::from);
            app.store.create_group(&caller, NewGroup { name, participants, client_id }).await?
        }
        (NewKind::Group, None, _) => return Err(Error::field("name", "A group needs a name.").into()),
        (NewKind::Direct, Some(_), _) => {
            return Err(Error::field("name", "A direct conversation cannot have a name.").into());
        }
        (NewKind::Direct, None, [peer]) => app.store.open_direct(&caller, peer).await?,
        (NewKind::Direct, None, _) => {
            return Err(Error::field("participant_ids", "A direct conversation needs one other user.").into());
        }
    };
    Ok(reply(&app, &mut opened).await)
}

async fn reply(app: &App, opened: &mut Opened) -> Reply<ConversationView> {
    app.push.deliver(&app.store, std::mem::take(&mut opened.delivery)).await;
    if opened.is_new {
        Reply::created(opened.shown(), "Conversation created.")
    } else {
        Reply::ok(opened.shown(), "The conversation already exists.")
    }
}

/// The page of participants to return.
#[derive(Deserialize, JsonSchema)]
pub struct Page {
    limit: Option<Limit>,
    /// The `next_cursor` of the previous page.
    cursor: Option<String>,
}

/// A conversation: the caller's row and a page of participants.
#[derive(Serialize, JsonSchema)]
pub struct ConversationDetails {
    #[serde(flatten)]
    row: ConversationView,
    description: Option<Description>,
    /// Data of the application.
    custom: Option<Custom>,
    participants: Vec<ParticipantView>,
}

/// Returns a conversation with a page of its participants, by default up to 100.
async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(conversation): Path<ConversationId>,
    Query(page): Query<Page>,
) -> Result<Reply<ConversationDetails>, Problem> {
    let list = format!("participants {conversation}");
    let after = page.cursor.map(|cursor| app.cursors.open(&caller.user, &list, &cursor)).transpose()?;
    let limit = page.limit.map_or(Limit::MAX, Limit::get);
    let found = app.store.overview(&caller.user, &conversation, after, limit).await?;
    let next = found.next.map(|user| app.cursors.seal(&caller.user, &list, &user)).transpose()?;
    let Overview { row, description, custom, participants, .. } = found;
    let shown = ConversationDetails { row: row.shown(&conversation), description, custom, participants };
    Ok(Reply::page(shown, next))
}

/// The details to change. An absent field stays as it is; null removes a description, photo or custom data.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::option_option, reason = "absent, null, or a value")]
#[schemars(rename = "ConversationChange")]
pub struct Change {
    name: Option<Name>,
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<Description>")]
    description: Option<Option<Description>>,
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<Picture>")]
    photo_url: Option<Option<Picture>>,
    /// The `attachment_id` of an upload with the purpose `picture`, which becomes the photo. Not with a `photo_url`.
    #[schemars(length(min = 1, max = MAX_UPLOAD_ID))]
    photo_attachment_id: Option<String>,
    /// Data of the application, which all participants see.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<Custom>")]
    custom: Option<Option<Custom>>,
}

/// Changes the name, description, photo or custom data. Admins only.
async fn change(
    State(app): State<App>,
    caller: Caller,
    WithJson(Path(conversation), change): WithJson<Path<ConversationId>, Change>,
) -> Result<Reply<ConversationView>, Problem> {
    let Change { name, description, photo_url, photo_attachment_id, custom } = change;
    let links = app.store.links();
    let picture = match (photo_url, photo_attachment_id) {
        (Some(_), Some(_)) => {
            let message = "Send this or photo_url, not both.";
            return Err(Error::field("photo_attachment_id", message).into());
        }
        (None, Some(upload)) => {
            app.store.require_admin(&caller.user, &conversation).await?;
            let upload = ("photo_attachment_id", upload.as_str());
            Some(Some(pictures::keep(&app.files, links, &caller.user, &conversation, upload).await?))
        }
        (picture, None) => picture,
    };
    let details = Details { name, description, picture, custom };
    let (delivery, replaced) = app.store.change_details(&caller.user, &conversation, &details).await?;
    app.push.deliver(&app.store, delivery).await;
    if let Some(replaced) = replaced {
        pictures::remove(&app.files, links, &conversation, &replaced).await;
    }
    Ok(row(&app, &caller, &conversation).await?)
}

/// Changes the caller's own settings of a conversation, on all their devices. Returns the caller's row.
async fn change_settings(
    State(app): State<App>,
    caller: Caller,
    WithJson(Path(conversation), change): WithJson<Path<ConversationId>, SettingsChange>,
) -> Result<Reply<ConversationView>, Problem> {
    change.validate()?;
    let (row, delivery) = app.store.change_settings(&caller.user, &conversation, &change).await?;
    app.push.deliver(&app.store, delivery).await;
    Ok(Reply::ok(row.shown(&conversation), "Settings changed."))
}

async fn row(
    app: &App,
    caller: &Caller,
    conversation: &ConversationId,
) -> Result<Reply<ConversationView>, Error> {
    let row = app.store.current_row(&caller.user, conversation).await?;
    Ok(Reply::ok(row.shown(conversation), "OK"))
}

/// The users to add.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Newcomers {
    user_ids: Vec<UserId>,
}

/// Adds participants and returns the caller's row. Admins only. New participants see the messages sent from now on.
async fn add(
    State(app): State<App>,
    caller: Caller,
    WithJson(Path(conversation), newcomers): WithJson<Path<ConversationId>, Newcomers>,
) -> Result<Reply<ConversationView>, Problem> {
    let delivery = app.store.add_participants(&caller, &conversation, newcomers.user_ids).await?;
    app.push.deliver(&app.store, delivery).await;
    Ok(row(&app, &caller, &conversation).await?)
}

/// Removes a participant. Users may remove themselves; admins may remove anyone.
async fn remove(
    State(app): State<App>,
    caller: Caller,
    PathPair(conversation, user): PathPair<ConversationId, UserId>,
) -> Result<Reply<()>, Problem> {
    let delivery = app.store.remove_participant(&caller.user, &conversation, &user).await?;
    app.push.deliver(&app.store, delivery).await;
    Ok(Reply::ok((), "OK"))
}

/// The new role of a participant.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Role {
    is_admin: bool,
}

/// Makes a participant an admin, or revokes the role. Admins only.
async fn set_role(
    State(app): State<App>,
    caller: Caller,
    WithJson(PathPair(conversation, user), role): WithJson<PathPair<ConversationId, UserId>, Role>,
) -> Result<Reply<()>, Problem> {
    let delivery = app.store.set_admin(&caller.user, &conversation, &user, role.is_admin).await?;
    app.push.deliver(&app.store, delivery).await;
    Ok(Reply::ok((), "OK"))
}
