//! Frames from clients: the same actions as over HTTP, with the same code.

use std::collections::HashSet;
use std::fmt;

use aws_lambda_events::apigw::{ApiGatewayProxyResponse, ApiGatewayWebsocketProxyRequest};
use domain::caller::Caller;
use domain::draft::Draft;
use domain::error::Error;
use domain::fields::FromFields;
use domain::id::MessageId;
use edge::app::App;
use edge::extract::from_members;
use edge::push::EXPIRED;
use edge::sending;
use edge::socket::{SocketEvent, accepted, log_fault};
use observe::meter;
use schemars::JsonSchema;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use store::Sent;
use typing::Signal;

/// Performs the action of a frame and answers on the same socket. A frame that fails leaves the socket open.
///
/// # Errors
/// An error code if the fault is ours.
pub async fn handle(
    app: App,
    event: ApiGatewayWebsocketProxyRequest,
) -> Result<ApiGatewayProxyResponse, String> {
    let SocketEvent { connection, caller, body, .. } =
        SocketEvent::read(event).map_err(|error| log_fault(&error))?;
    if caller.expires <= app.store.now() {
        app.push.close(&connection, EXPIRED).await;
        return Ok(accepted());
    }
    let answer = Frame::read(&body).answer(&app, &caller).await;
    let answer = serde_json::to_string(&answer).map_err(|error| error.to_string())?;
    app.push.answer(&connection, answer).await.map_err(|error| log_fault(&error))?;
    Ok(accepted())
}

/// The actions of frames.
const ACTIONS: [&str; 5] = ["send", "mark_as_read", "typing", "presence", "ping"];

/// A frame: `{"action", "ref"?, …}`.
struct Frame {
    action: Value,
    reference: Value,
    /// The fields of the action, or why they cannot be read.
    fields: Result<Vec<Member>, Error>,
}

/// The answer to a frame.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Answer {
    Pong { r#ref: Value },
    Ack { action: Value, r#ref: Value, data: Box<RawValue> },
    Error { action: Value, r#ref: Value, code: &'static str, message: String },
}

/// The newest message that the user has read.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MarkAsRead {
    message_id: MessageId,
}

/// A ping, which has no fields.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ping {}

impl Frame {
    /// Reads a frame. If a field is malformed or is there twice, `action` and `ref` are still read, so that the client
    /// learns which frame the error is about.
    fn read(text: &str) -> Self {
        let Ok(Members(members)) = serde_json::from_str(text) else {
            let fields = Err(invalid("The frame is not a JSON object."));
            return Self { action: Value::Null, reference: Value::Null, fields };
        };
        let readable = |wanted: &str| {
            let last = members.iter().rev().find(|(name, _)| name == wanted);
            last.and_then(|(_, value)| serde_json::from_str(value.get()).ok()).unwrap_or_default()
        };
        let (action, reference) = (readable("action"), readable("ref"));
        Self { action, reference, fields: fields_of(members) }
    }

    async fn answer(self, app: &App, caller: &Caller) -> Answer {
        let (action, r#ref) = (self.action.clone(), self.reference.clone());
        match self.perform(app, caller).await {
            Ok(None) => Answer::Pong { r#ref },
            Ok(Some(data)) => Answer::Ack { action, r#ref, data },
            Err(error) => {
                if error.status().is_server_error() {
                    let _ = log_fault(&error);
                } else {
                    meter::failed(&error);
                }
                Answer::Error { action, r#ref, code: error.code(), message: error.to_string() }
            }
        }
    }

    /// Performs the action and returns the data of its acknowledgement; `None` for a ping, whose answer is a pong.
    async fn perform(self, app: &App, caller: &Caller) -> Result<Option<Box<RawValue>>, Error> {
        let fields = self.fields?;
        let action = self.action.as_str().ok_or_else(|| Error::field("action", "The action is missing."))?;
        if let Some(known) = ACTIONS.iter().find(|known| **known == action) {
            meter::note_field("action", *known);
        }
        match action {
            "send" => send(app, caller, &fields).await.map(Some),
            "mark_as_read" => {
                let MarkAsRead { message_id } = from_members(&fields)?;
                meter::note(&message_id);
                let marked = app.store.mark_message_read(&caller.user, &message_id).await?;
                app.push.deliver(&app.store, marked.delivery).await;
                data(&marked.watermark).map(Some)
            }
            "typing" => {
                let Signal { conversation_id, is_typing } = from_members(&fields)?;
                let delivery = app.store.typing(&caller.user, &conversation_id, is_typing).await?;
                app.push.deliver(&app.store, delivery).await;
                data(&()).map(Some)
            }
            "presence" => {
                let presence::Change { status, current_conversation_id, is_active } = from_members(&fields)?;
                let (status, conversation) = ((status, is_active), current_conversation_id.as_ref());
                let (shown, delivery) = app.store.set_presence(&caller.user, status, conversation).await?;
                app.push.deliver(&app.store, delivery).await;
                data(&shown).map(Some)
            }
            "ping" => from_members(&fields).map(|Ping {}| None),
            _ => Err(Error::field("action", "Unknown action.")),
        }
    }
}

fn invalid(message: &str) -> Error {
    Error::Invalid { field: None, message: message.to_owned() }
}

/// Returns a frame's members, except `action` and `ref`, which belong to every frame.
fn fields_of(mut members: Vec<Member>) -> Result<Vec<Member>, Error> {
    let mut names = HashSet::new();
    if let Some((name, _)) = members.iter().find(|(name, _)| !names.insert(name)) {
        return Err(Error::field(name, "The field is there twice."));
    }
    for (name, value) in members.extract_if(.., |(name, _)| name == "action" || name == "ref") {
        serde_json::from_str::<Value>(value.get()).map_err(|e| Error::field(&name, e.to_string()))?;
    }
    Ok(members)
}

/// The data of an acknowledgement, as JSON.
fn data(value: &impl Serialize) -> Result<Box<RawValue>, Error> {
    to_raw_value(value).map_err(Error::internal)
}

/// A member of a JSON object, whose value is not parsed yet.
type Member = (String, Box<RawValue>);

/// The members of a JSON object, in their order.
struct Members(Vec<Member>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members;

    fn expecting(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        text.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
    }
}

async fn send(app: &App, caller: &Caller, fields: &[Member]) -> Result<Box<RawValue>, Error> {
    let draft = Draft::from_fields(from_members(fields)?)?;
    let (message, reads) = match sending::send(&app.store, &app.files, caller, draft).await? {
        Sent::New(message, reads, delivery) => {
            app.push.deliver(&app.store, delivery).await;
            (message, reads)
        }
        Sent::Duplicate(message) => {
            let reads = app.store.read_state(&caller.user, &message).await?;
            (message, reads)
        }
    };
    data(&message.shown_to(&caller.user, &reads, app.store.links()))
}
