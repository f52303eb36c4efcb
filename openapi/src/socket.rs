//! The socket's frames and events.

use domain::conversation::{Description, Watermark};
use domain::custom::Custom;
use domain::draft::DraftFields;
use domain::event::EventView;
use domain::message::MessageView;
use domain::presence::PresenceView;
use serde_json::{Map, Value, json};

use crate::errors;
use crate::json::{component, object};
use crate::schemas::Schemas;

/// Each event type with the name of its component and the titles of its data's variants. The data of `Changes` and
/// `Nothing` is described in this file.
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
/// The only event type that is in no queue.
const PRESENCE: &str = "presence";

/// Adds a component per event type, and `Event`, the union of those that a queue can contain.
pub(crate) fn events(schemas: &mut Schemas) {
    schemas.output::<EventView>();
    let event = schemas.definition("Event");
    let mut variants = Vec::new();
    collect_titled(&event["properties"]["data"], &mut variants);
    let data = |titles: &[&str]| -> Value {
        let found = variants.iter().filter(|data| titles.iter().any(|title| data["title"] == *title));
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
            ["Changes"] => {
                let description = schemas.input::<Description>();
                let custom = schemas.input::<Custom>();
                changes(
                    &schemas.definition("Conversation"),
                    [("description", description), ("custom", custom)],
                )
            }
            ["Nothing"] => object(&[]),
            titles => data(titles),
        };
        let mut conversation = component("ConversationId");
        if kind == PRESENCE {
            conversation = json!({"type": "null"});
        } else {
            queued.push((kind, format!("{name}Event")));
        }
        let mut event = object(&[
            ("id", component("EventId")),
            ("type", json!({"const": kind})),
            ("conversation_id", conversation),
            ("occurred_at", component("Timestamp")),
            ("data", data),
        ]);
        event["description"] = description(kind).into();
        schemas.add(&format!("{name}Event"), event);
    }
    schemas.add("Event", union(&queued));
}

/// Collects the schemas that have a title.
fn collect_titled(schema: &Value, found: &mut Vec<Value>) {
    match schema {
        Value::Object(members) if members.contains_key("title") => found.push(schema.clone()),
        Value::Object(members) => members.values().for_each(|member| collect_titled(member, found)),
        Value::Array(entries) => entries.iter().for_each(|entry| collect_titled(entry, found)),
        _ => {}
    }
}

/// A union of components, discriminated by `type`.
fn union(members: &[(&str, String)]) -> Value {
    let mapping: Map<String, Value> = members
        .iter()
        .map(|(kind, name)| ((*kind).to_owned(), format!("#/components/schemas/{name}").into()))
        .collect();
    let choices: Vec<Value> = members.iter().map(|(_, name)| component(name)).collect();
    json!({"oneOf": choices, "discriminator": {"propertyName": "type", "mapping": mapping}})
}

fn description(kind: &str) -> &'static str {
    match kind {
        "message.created" => "A message was sent.",
        "message.updated" => {
            "A message was edited or, if `unread_count` is present, a deleted message was restored."
        }
        "message.deleted" => "A message was deleted for everyone, or hidden from the receiver only.",
        "message.read" => {
            "A user has read up to a message. Their own devices also get `unread_count`, `counted_to` and `marked_unread`: \
             whether they have marked messages as unread instead."
        }
        "conversation.created" => "A row appeared in the inbox.",
        "conversation.updated" => "A row has changed. Only the changed members are present.",
        "conversation.deleted" => "A row has left the inbox.",
        "participant.joined" => "A user has joined a group or room.",
        "participant.left" => "A user has left a group or room.",
        "typing" => "A user is typing, or has stopped. Expires at `expires_at`.",
        _ => "A user's presence has changed. Sent over sockets only.",
    }
}

/// The data of `conversation.updated`: some members of the row, and a version.
fn changes(row: &Value, removable: [(&str, Value); 2]) -> Value {
    let names = ["name", "photo_url", "other_user_name", "participant_count", "is_admin"];
    let mut properties: Map<String, Value> =
        names.iter().map(|name| ((*name).to_owned(), row["properties"][name].clone())).collect();
    for (name, schema) in removable {
        properties.insert(name.to_owned(), json!({"anyOf": [schema, {"type": "null"}]}));
    }
    let mine = ["muted_until", "notify", "pinned_at", "is_archived"];
    let mine: Map<String, Value> =
        mine.iter().map(|name| ((*name).to_owned(), row["properties"][name].clone())).collect();
    let mine = json!({"type": "object", "properties": mine, "additionalProperties": false});
    properties.insert("mine".to_owned(), mine);
    let version = json!({
        "type": "integer",
        "minimum": 0,
        "description": "If two events change the same field, the one with the higher version is newer.",
    });
    properties.insert("version".to_owned(), version);
    json!({"type": "object", "properties": properties, "required": ["version"], "additionalProperties": false})
}

/// The actions of frames: name, name of the component, description, fields, and the data of the acknowledgement.
fn actions(schemas: &mut Schemas) -> Vec<(&'static str, &'static str, &'static str, Value, Option<Value>)> {
    vec![
        (
            "send",
            "Send",
            "Sends a message, as `POST /api/messages/send` does.",
            schemas.inline_input::<DraftFields>(),
            Some(schemas.output::<MessageView>()),
        ),
        (
            "mark_as_read",
            "MarkAsRead",
            "Moves the read watermark to a message, never back.",
            schemas.inline_input::<ws_message::MarkAsRead>(),
            Some(schemas.output::<Watermark>()),
        ),
        (
            "typing",
            "SetTyping",
            "Signals that the user is typing, for 6 s, or has stopped.",
            schemas.inline_input::<typing::Signal>(),
            Some(json!({"type": "null"})),
        ),
        (
            "presence",
            "SetPresence",
            "Sets the user's presence.",
            schemas.inline_input::<presence::Change>(),
            Some(schemas.output::<PresenceView>()),
        ),
        ("ping", "Ping", "Checks the connection.", schemas.inline_input::<ws_message::Ping>(), None),
    ]
}

/// Adds the components of all frames and events. Returns the names of the client's frames (`…Frame`) and of the
/// server's answers (`…Ack`, `Pong`, `FrameError`).
pub(crate) fn frames(schemas: &mut Schemas) -> (Vec<String>, Vec<String>) {
    events(schemas);
    let reference = json!({"description": "Any value; the answer repeats it."});
    let (mut sent, mut answered) = (Vec::new(), Vec::new());
    for (action, name, description, fields, data) in actions(schemas) {
        let mut frame = fields;
        frame["description"] = description.into();
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
        ("action", json!({"description": "The frame's `action`, of any JSON type."})),
        ("ref", reference),
        ("code", errors::codes()),
        ("message", json!({"type": "string"})),
    ]);
    // When a token expires, the server sends an error that answers no frame, so it has neither `action` nor `ref`.
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
    truncated["description"] = "An event that is too large for a frame. Poll for its data.".into();
    schemas.add("TruncatedEvent", truncated);
    answered.extend(["Pong", "FrameError"].map(ToOwned::to_owned));
    (sent, answered)
}

/// The `AsyncAPI` document.
pub(crate) fn document() -> Value {
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
    let operation = |action: &str, summary: &str, names: &[String]| {
        json!({
            "action": action,
            "summary": summary,
            "channel": {"$ref": "#/channels/socket"},
            "messages": on_channel(names),
        })
    };
    let mut act =
        operation("receive", "Frames from the client. Send bodies above 24 KB over HTTP instead.", &sent);
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
            "hear": operation("send", "The user's events, each pushed to all of their sockets.", &pushed),
        },
        "components": {
            "securitySchemes": {
                "token": {"type": "httpApiKey", "in": "query", "name": "token", "description": "A JWT."},
                "ticket": {
                    "type": "httpApiKey", "in": "query", "name": "ticket",
                    "description": "From `POST /api/ws-ticket`; valid once, for 30 s.",
                },
            },
            "messages": messages,
            "schemas": schemas.into_components(),
        },
    })
}
