//! The socket: its frames and events.

use domain::conversation::Watermark;
use domain::event::EventView;
use domain::message::{DraftFields, MessageView};
use domain::presence::PresenceView;
use serde_json::{Map, Value, json};

use crate::schemas::Schemas;
use crate::{component, object, operation};

/// The types of events, with what each tells: a variant of the data, or nothing where it is described here.
const EVENTS: [(&str, &str, &[&str]); 11] = [
    ("message.created", "MessageCreated", &["Message"]),
    ("message.updated", "MessageUpdated", &["Message", "Restored"]),
    ("message.deleted", "MessageDeleted", &["Deleted"]),
    ("message.read", "MessageRead", &["Read"]),
    ("conversation.created", "ConversationCreated", &["Conversation"]),
    ("conversation.updated", "ConversationUpdated", &["Changes"]),
    ("conversation.deleted", "ConversationDeleted", &["Nothing"]),
    ("participant.joined", "ParticipantJoined", &["Participant"]),
    ("participant.left", "ParticipantLeft", &["Participant"]),
    ("typing", "Typing", &["Typing"]),
    (PRESENCE, "Presence", &["Presence"]),
];
/// The one that is in no queue.
const PRESENCE: &str = "presence";

/// Describes the events: a component for each type, and `Event`, which is one of those in the queue.
pub(crate) fn events(schemas: &mut Schemas) {
    schemas.written::<EventView>();
    let event = schemas.definition("Event");
    let mut told = Vec::new();
    titled(&event["properties"]["data"], &mut told);
    let data = |titles: &[&str]| -> Value {
        let found = told.iter().filter(|data| titles.iter().any(|title| data["title"] == *title));
        let mut found: Vec<Value> = found.cloned().collect();
        for data in &mut found {
            data.as_object_mut().map(|data| data.remove("title"));
        }
        match (found.pop(), found.pop()) {
            (Some(one), None) => one,
            (Some(one), Some(other)) => json!({"anyOf": [other, one]}),
            _ => Value::Null,
        }
    };
    let mut queued = Vec::new();
    for (kind, name, titles) in EVENTS {
        let data = match titles {
            ["Changes"] => changes(&schemas.definition("Conversation")),
            ["Nothing"] => object(&[]),
            titles => data(titles),
        };
        let mut conversation = component("ConversationId");
        if kind == PRESENCE {
            conversation = json!({"type": "null"});
        } else {
            queued.push((kind, format!("{name}Event")));
        }
        let mut described = object(&[
            ("id", component("EventId")),
            ("type", json!({"const": kind})),
            ("conversation_id", conversation),
            ("occurred_at", component("Timestamp")),
            ("data", data),
        ]);
        described["description"] = about(kind).into();
        schemas.add(&format!("{name}Event"), described);
    }
    schemas.add("Event", union(&queued));
}

/// The schemas that have a title.
fn titled(schema: &Value, found: &mut Vec<Value>) {
    match schema {
        Value::Object(members) if members.contains_key("title") => found.push(schema.clone()),
        Value::Object(members) => members.values().for_each(|member| titled(member, found)),
        Value::Array(entries) => entries.iter().for_each(|entry| titled(entry, found)),
        _ => {}
    }
}

/// One of some components, told apart by their `type`.
fn union(members: &[(&str, String)]) -> Value {
    let mapping: Map<String, Value> = members
        .iter()
        .map(|(kind, name)| ((*kind).to_owned(), format!("#/components/schemas/{name}").into()))
        .collect();
    let choices: Vec<Value> = members.iter().map(|(_, name)| component(name)).collect();
    json!({"oneOf": choices, "discriminator": {"propertyName": "type", "mapping": mapping}})
}

fn about(kind: &str) -> &'static str {
    match kind {
        "message.created" => "A message was sent.",
        "message.updated" => {
            "A message's text was changed or, where the unread count is told as well, a deleted message was brought back."
        }
        "message.deleted" => "A message was deleted for everyone, or hidden from the receiver alone.",
        "message.read" => {
            "Someone has read up to a message. On the reader's own devices with what is unread since."
        }
        "conversation.created" => "A row appeared in the inbox.",
        "conversation.updated" => "Some of what a row shows has changed: what is told, and no more.",
        "conversation.deleted" => "A row is gone from the inbox.",
        "participant.joined" => "Someone has joined a group or room.",
        "participant.left" => "Someone has left a group or room.",
        "typing" => "Someone types, or has stopped. Passing.",
        _ => "What someone shows has changed. Passing, and on sockets only.",
    }
}

/// What an update of a row may tell: some of its members, as the row has them, and a version.
fn changes(row: &Value) -> Value {
    let names = ["name", "photo_url", "other_user_name", "participant_count", "is_admin"];
    let mut properties: Map<String, Value> =
        names.iter().map(|name| ((*name).to_owned(), row["properties"][name].clone())).collect();
    let description = json!({"anyOf": [component("Description"), {"type": "null"}]});
    properties.insert("description".to_owned(), description);
    properties.insert("version".to_owned(), json!({"type": "integer", "minimum": 0}));
    json!({"type": "object", "properties": properties, "required": ["version"], "additionalProperties": false})
}

/// What a client may do on a socket.
fn actions(schemas: &mut Schemas) -> Vec<(&'static str, &'static str, &'static str, Value, Option<Value>)> {
    vec![
        (
            "send",
            "Send",
            "Sends a message, as `POST /api/messages/send` does.",
            schemas.read_inline::<DraftFields>(),
            Some(schemas.written::<MessageView>()),
        ),
        (
            "mark_as_read",
            "MarkAsRead",
            "Moves the read watermark to a message, never back.",
            schemas.read_inline::<ws_message::MarkAsRead>(),
            Some(schemas.written::<Watermark>()),
        ),
        (
            "typing",
            "SetTyping",
            "Tells that the user types, for 6 s, or has stopped.",
            schemas.read_inline::<ws_message::Typing>(),
            Some(json!({"type": "null"})),
        ),
        (
            "presence",
            "SetPresence",
            "Sets what the user shows.",
            schemas.read_inline::<ws_message::Presence>(),
            Some(schemas.written::<PresenceView>()),
        ),
        ("ping", "Ping", "Asks for a sign of life.", schemas.read_inline::<ws_message::Ping>(), None),
    ]
}

/// Describes the frames: `…Frame` from the client, `…Ack`, `Pong` and `FrameError` from the server,
pub(crate) fn frames(schemas: &mut Schemas) -> (Vec<String>, Vec<String>) {
    events(schemas);
    let reference = json!({"description": "Anything; the answer has the same."});
    let (mut sent, mut answered) = (Vec::new(), Vec::new());
    for (action, name, about, fields, data) in actions(schemas) {
        let mut frame = fields;
        frame["description"] = about.into();
        frame["properties"]["action"] = json!({"const": action});
        frame["properties"]["ref"] = reference.clone();
        let required = frame["required"].as_array().cloned().unwrap_or_default();
        frame["required"] = ["action".into()].into_iter().chain(required).collect();
        schemas.add(&format!("{name}Frame"), frame);
        sent.push(format!("{name}Frame"));
        if let Some(data) = data {
            let ack = object(&[
                ("type", json!({"const": "ack"})),
                ("action", json!({"const": action})),
                ("ref", reference.clone()),
                ("data", data),
            ]);
            schemas.add(&format!("{name}Ack"), ack);
            answered.push(format!("{name}Ack"));
        }
    }
    schemas.add("Pong", object(&[("type", json!({"const": "pong"})), ("ref", reference.clone())]));
    let mut failed = object(&[
        ("type", json!({"const": "error"})),
        ("action", json!({"description": "The frame's, whatever it was."})),
        ("ref", reference),
        ("code", operation::codes()),
        ("message", json!({"type": "string"})),
    ]);
    // The end of a socket whose token has expired is no frame's fault.
    failed["required"] = json!(["type", "code", "message"]);
    schemas.add("FrameError", failed);
    let kinds: Vec<&str> = EVENTS.iter().map(|(kind, ..)| *kind).collect();
    let mut truncated = object(&[
        ("id", component("EventId")),
        ("type", json!({"enum": kinds})),
        ("conversation_id", json!({"anyOf": [component("ConversationId"), {"type": "null"}]})),
        ("occurred_at", component("Timestamp")),
        ("truncated", json!({"const": true})),
    ]);
    truncated["description"] = "An event that is too large for a frame: a poll has it.".into();
    schemas.add("TruncatedEvent", truncated);
    answered.extend(["Pong", "FrameError"].map(ToOwned::to_owned));
    (sent, answered)
}

/// The `AsyncAPI` document.
pub(crate) fn described() -> Value {
    let mut schemas = Schemas::default();
    let (sent, answered) = frames(&mut schemas);
    let pushed = EVENTS.iter().map(|(_, name, _)| format!("{name}Event"));
    let pushed: Vec<String> = pushed.chain(["TruncatedEvent".to_owned()]).collect();
    let all: Vec<&String> = sent.iter().chain(&answered).chain(&pushed).collect();
    let messages: Map<String, Value> = all
        .iter()
        .map(|name| {
            let message =
                json!({"name": name, "contentType": "application/json", "payload": component(name)});
            ((*name).clone(), message)
        })
        .collect();
    let on_channel = |names: &[String]| -> Vec<Value> {
        names.iter().map(|name| json!({"$ref": format!("#/channels/socket/messages/{name}")})).collect()
    };
    let channel: Map<String, Value> = all
        .iter()
        .map(|name| ((*name).clone(), json!({"$ref": format!("#/components/messages/{name}")})))
        .collect();
    let operation = |action: &str, about: &str, names: &[String]| {
        json!({
            "action": action,
            "summary": about,
            "channel": {"$ref": "#/channels/socket"},
            "messages": on_channel(names),
        })
    };
    let mut act =
        operation("receive", "What a client asks for. Frames above 24 KB go by HTTP instead.", &sent);
    act["reply"] = json!({"channel": {"$ref": "#/channels/socket"}, "messages": on_channel(&answered)});
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Tidings: the socket",
            "version": env!("CARGO_PKG_VERSION"),
            "description": include_str!("socket.md"),
        },
        "defaultContentType": "application/json",
        "servers": {
            "local": {"host": "127.0.0.1:3000", "protocol": "ws", "security": [
                {"$ref": "#/components/securitySchemes/token"},
                {"$ref": "#/components/securitySchemes/ticket"},
            ]},
        },
        "channels": {"socket": {"address": "/ws", "messages": channel}},
        "operations": {
            "act": act,
            "hear": operation("send", "Events of the user's, each to every socket of theirs.", &pushed),
        },
        "components": {
            "securitySchemes": {
                "token": {"type": "httpApiKey", "in": "query", "name": "token", "description": "A JWT."},
                "ticket": {
                    "type": "httpApiKey", "in": "query", "name": "ticket",
                    "description": "From `POST /api/ws-ticket`: one use, 30 s.",
                },
            },
            "messages": messages,
            "schemas": schemas.into_components(),
        },
    })
}
