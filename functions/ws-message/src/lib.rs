//! Frames from clients: the same actions as over HTTP, with the same code.

use std::fmt;

use aws_lambda_events::apigw::{ApiGatewayProxyResponse, ApiGatewayWebsocketProxyRequest};
use domain::caller::Caller;
use domain::draft::Draft;
use domain::error::Error;
use domain::fields::FromFields;
use domain::id::MessageId;
use edge::app::App;
use edge::extract::from_object;
use edge::push::EXPIRED;
use edge::sending;
use edge::socket::{SocketEvent, accepted, log_fault};
use observe::meter;
use schemars::JsonSchema;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
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
    app.push.answer(&connection, &answer).await.map_err(|error| log_fault(&error))?;
    Ok(accepted())
}

/// The actions of frames.
const ACTIONS: [&str; 5] = ["send", "mark_as_read", "typing", "presence", "ping"];

/// A frame: `{"action", "ref"?, …}`.
struct Frame {
    action: Value,
    reference: Value,
    /// The fields of the action, or why they cannot be read.
    fields: Result<Map<String, Value>, Error>,
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

    async fn answer(self, app: &App, caller: &Caller) -> Value {
        let (action, reference) = (self.action.clone(), self.reference.clone());
        match self.perform(app, caller).await {
            Ok(None) => json!({"type": "pong", "ref": reference}),
            Ok(Some(data)) => json!({"type": "ack", "action": action, "ref": reference, "data": data}),
            Err(error) => {
                if error.status().is_server_error() {
                    let _ = log_fault(&error);
                } else {
                    meter::failed(&error);
                }
                let (code, message) = (error.code(), error.to_string());
                json!({"type": "error", "action": action, "ref": reference, "code": code, "message": message})
            }
        }
    }

    /// Performs the action and returns the data of its acknowledgement; `None` for a ping, whose answer is a pong.
    async fn perform(self, app: &App, caller: &Caller) -> Result<Option<Value>, Error> {
        let fields = self.fields?;
        let action = self.action.as_str().ok_or_else(|| Error::field("action", "The action is missing."))?;
        if let Some(known) = ACTIONS.iter().find(|known| **known == action) {
            meter::note_field("action", *known);
        }
        match action {
            "send" => send(app, caller, fields).await.map(Some),
            "mark_as_read" => {
                let MarkAsRead { message_id } = from_object(fields)?;
                meter::note(&message_id);
                let marked = app.store.mark_message_read(&caller.user, &message_id).await?;
                app.push.deliver(&app.store, marked.delivery).await;
                Ok(Some(json!(marked.watermark)))
            }
            "typing" => {
                let Signal { conversation_id, is_typing } = from_object(fields)?;
                let delivery = app.store.typing(&caller.user, &conversation_id, is_typing).await?;
                app.push.deliver(&app.store, delivery).await;
                Ok(Some(Value::Null))
            }
            "presence" => {
                let presence::Change { status, current_conversation_id, is_active } = from_object(fields)?;
                let (status, conversation) = ((status, is_active), current_conversation_id.as_ref());
                let (shown, delivery) = app.store.set_presence(&caller.user, status, conversation).await?;
                app.push.deliver(&app.store, delivery).await;
                Ok(Some(json!(shown)))
            }
            "ping" => from_object(fields).map(|Ping {}| None),
            _ => Err(Error::field("action", "Unknown action.")),
        }
    }
}

fn invalid(message: &str) -> Error {
    Error::Invalid { field: None, message: message.to_owned() }
}

/// Parses a frame's members, except `action` and `ref`, which belong to every frame.
fn fields_of(members: Vec<(String, Box<RawValue>)>) -> Result<Map<String, Value>, Error> {
    let mut fields = Map::new();
    for (name, value) in members {
        let value = serde_json::from_str(value.get()).map_err(|e| Error::field(&name, e.to_string()))?;
        if fields.insert(name.clone(), value).is_some() {
            return Err(Error::field(&name, "The field is there twice."));
        }
    }
    fields.remove("action");
    fields.remove("ref");
    Ok(fields)
}

/// The members of a JSON object, in their order; their values are not parsed yet.
struct Members(Vec<(String, Box<RawValue>)>);

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

async fn send(app: &App, caller: &Caller, fields: Map<String, Value>) -> Result<Value, Error> {
    let draft = Draft::from_fields(from_object(fields)?)?;
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
    Ok(json!(message.shown_to(&caller.user, &reads, app.store.links())))
}
