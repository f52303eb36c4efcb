//! Permissions: every call on a conversation, a message or a room, by every kind of user.
//!
//! A row is a call; `$C` stands for the conversation, `$M` for its message, `$R` for the user `reader`. A cell is the
//! status of a successful call, or a word for a refusal. Every call starts from the same state of the database, and a
//! refused call must not change it.

use harness::{Actor, Answer, World};
use serde_json::Value;

use crate::direct::{another_conversation, another_message};
use crate::structure::routes_of_the_template;

/// Direct conversations: the message's sender and reader; the same two after the reader has blocked the sender; another
/// user.
const DIRECT: &str = r#"
                                                              | sender   | reader   | blocked  | blocker  | stranger
GET /api/conversations/$C                                     | 200      | 200      | 200      | 200      | part
PATCH /api/conversations/$C {"name": "new"}                   | admin    | admin    | admin    | admin    | part
POST /api/conversations/$C/participants {"user_ids": ["eve"]} | admin    | admin    | admin    | admin    | part
DELETE /api/conversations/$C/participants/$R                  | admin    | admin    | admin    | admin    | part
DELETE /api/conversations/$C/participants/eve                 | admin    | admin    | admin    | admin    | part
PATCH /api/conversations/$C/participants/$R {"is_admin":true} | admin    | admin    | admin    | admin    | part
GET /api/conversations/$C/messages                            | 200      | 200      | 200      | 200      | part
GET /api/conversations/$C/messages?mark_read=true             | 200      | 200      | 200      | 200      | part
GET /api/conversations/$C/messages?before=$M                  | 200      | 200      | 200      | 200      | part
PUT /api/conversations/$C/read                                | 200      | 200      | 200      | 200      | part
PUT /api/messages/mark-as-read/$M                             | 200      | 200      | 200      | 200      | part
GET /api/messages/$M/receipts                                 | 200      | 200      | 200      | 200      | part
GET /api/messages/search?q=hello&conversation_id=$C           | 200      | 200      | 200      | 200      | part
PATCH /api/messages/$M {"message_text": "new"}                | 200      | sender   | blocked  | sender   | part
DELETE /api/messages/$M                                       | 200      | sender   | 200      | sender   | part
DELETE /api/messages/$M?scope=everyone                        | 200      | sender   | 200      | sender   | part
DELETE /api/messages/$M?scope=me                              | 200      | 200      | 200      | 200      | part
PUT /api/messages/mark-as-unread/$M                           | 200      | 200      | 200      | 200      | part
PATCH /api/conversations/$C/me {"pinned": true}               | 200      | 200      | 200      | 200      | part
PUT /api/messages/$M/reactions/%F0%9F%91%8D                  | 200      | 200      | blocked  | blocked  | part
DELETE /api/messages/$M/reactions/%F0%9F%91%8D               | 200      | 200      | blocked  | blocked  | part
PUT /api/messages/$M/pin                                      | 200      | 200      | blocked  | blocked  | part
DELETE /api/messages/$M/pin                                   | 200      | 200      | blocked  | blocked  | part
GET /api/conversations/$C/pins                                | 200      | 200      | 200      | 200      | part
DELETE /api/messages/conversation/$C                          | 200      | 200      | 200      | 200      | part
POST /api/messages/send {"conversation_id": "$C", "message_text": "hi"} | 201 | 201  | blocked  | blocked  | part
POST /api/messages/send {"conversation_id": "$C", "message_text": "hi", "reply_to": "$M"} | 201 | 201 | blocked | blocked | part
POST /api/messages/send {"recipient_id": "$R", "message_text": "hi"} | 201 | invalid | blocked  | invalid  | 201
POST /api/conversations {"type": "direct", "participant_ids": ["$R"]} | 200 | invalid | 200    | invalid  | 201
POST /api/conversations {"type": "group", "name": "g", "participant_ids": ["$R"]} | 201 | 201 | blocked | 201 | 201
GET /api/messages/conversation/$R                             | 200      | 200      | 200      | 200      | 200
POST /api/typing {"conversation_id": "$C", "is_typing": true} | 200      | 200      | 200      | 200      | part
PUT /api/presence {"status": "online", "current_conversation_id": "$C"} | 200 | 200  | 200      | 200      | part
GET /api/presence?user_ids=$R                                 | 200      | 200      | 200      | 200      | 200
POST /api/messages/block-user {"blocked_user_id": "$R"}       | 200      | invalid  | 200      | invalid  | 200
DELETE /api/messages/block-user/$R                            | 200      | 200      | 200      | 200      | 200
GET /api/messages/blocked-users                               | 200      | 200      | 200      | 200      | 200
POST /api/rooms/$C/join {}                                    | found    | found    | found    | found    | found
POST /api/rooms/$C/leave {}                                   | part     | part     | part     | part     | part
DELETE /api/rooms/$C                                          | found    | found    | found    | found    | found
GET /api/rooms/$C/users                                       | found    | found    | found    | found    | found
"#;

/// Calls with the same outcome in groups and rooms of any size.
const SHARED: &str = r#"
                                                              | admin    | sender   | reader   | former   | stranger
GET /api/conversations/$C                                     | 200      | 200      | 200      | part     | part
PATCH /api/conversations/$C {}                                | 200      | admin    | admin    | part     | part
PATCH /api/conversations/$C {"name": "new"}                   | 200      | admin    | admin    | part     | part
PATCH /api/conversations/$C {"description": "new"}            | 200      | admin    | admin    | part     | part
PATCH /api/conversations/$C {"photo_url": "https://a.example/b.png"} | 200 | admin  | admin    | part     | part
DELETE /api/conversations/$C/participants/$R                  | 200      | admin    | 200      | part     | part
DELETE /api/conversations/$C/participants/sender              | 200      | 200      | admin    | part     | part
DELETE /api/conversations/$C/participants/admin               | 200      | admin    | admin    | part     | part
DELETE /api/conversations/$C/participants/former              | found    | admin    | admin    | part     | part
DELETE /api/conversations/$C/participants/nobody              | found    | admin    | admin    | part     | part
GET /api/conversations/$C/messages                            | 200      | 200      | 200      | part     | part
GET /api/conversations/$C/messages?mark_read=true             | 200      | 200      | 200      | part     | part
GET /api/conversations/$C/messages?before=$M                  | 200      | 200      | 200      | part     | part
PUT /api/conversations/$C/read                                | 200      | 200      | 200      | part     | part
PUT /api/messages/mark-as-read/$M                             | 200      | 200      | 200      | part     | part
GET /api/messages/$M/receipts                                 | 200      | 200      | 200      | part     | part
GET /api/messages/search?q=hello&conversation_id=$C           | 200      | 200      | 200      | part     | part
PATCH /api/messages/$M {"message_text": "new"}                | sender   | 200      | sender   | part     | part
DELETE /api/messages/$M                                       | 200      | 200      | sender   | part     | part
DELETE /api/messages/$M?scope=everyone                        | 200      | 200      | sender   | part     | part
DELETE /api/messages/$M?scope=me                              | 200      | 200      | 200      | part     | part
PUT /api/messages/mark-as-unread/$M                           | 200      | 200      | 200      | part     | part
PATCH /api/conversations/$C/me {"muted_until": "always"}      | 200      | 200      | 200      | part     | part
PUT /api/messages/$M/reactions/%F0%9F%91%8D                  | 200      | 200      | 200      | part     | part
GET /api/conversations/$C/pins                                | 200      | 200      | 200      | part     | part
DELETE /api/messages/conversation/$C                          | 200      | 200      | 200      | part     | part
POST /api/messages/send {"conversation_id": "$C", "message_text": "hi"} | 201 | 201  | 201      | part     | part
POST /api/messages/send {"conversation_id": "$C", "message_text": "hi", "reply_to": "$M"} | 201 | 201 | 201 | part | part
POST /api/typing {"conversation_id": "$C", "is_typing": true} | 200      | 200      | 200      | part     | part
PUT /api/presence {"status": "online", "current_conversation_id": "$C"} | 200 | 200  | 200      | part     | part
"#;

/// Calls with another outcome in groups than in rooms.
const GROUP: &str = r#"
                                                              | admin    | sender   | reader   | former   | stranger
POST /api/conversations/$C/participants {"user_ids": ["eve"]} | 200      | admin    | admin    | part     | part
POST /api/conversations/$C/participants {"user_ids": ["$R"]}  | 200      | admin    | admin    | part     | part
POST /api/conversations/$C/participants {"user_ids": []}      | 200      | admin    | admin    | part     | part
POST /api/conversations/$C/participants {"user_ids": ["nobody"]} | found | admin    | admin    | part     | part
PATCH /api/conversations/$C/participants/$R {"is_admin": true} | 200     | admin    | admin    | part     | part
PATCH /api/conversations/$C/participants/$R {"is_admin": false} | 200    | admin    | admin    | part     | part
PATCH /api/conversations/$C/participants/admin {"is_admin": false} | conflict | admin | admin   | part     | part
PATCH /api/conversations/$C/participants/former {"is_admin": true} | found | admin  | admin    | part     | part
POST /api/rooms/$C/join {}                                    | found    | found    | found    | found    | found
POST /api/rooms/$C/leave {}                                   | part     | part     | part     | part     | part
DELETE /api/rooms/$C                                          | found    | found    | found    | found    | found
GET /api/rooms/$C/users                                       | found    | found    | found    | found    | found
"#;

/// Calls with another outcome in rooms than in groups. The admin is the room's creator.
const ROOM: &str = r#"
                                                              | admin    | sender   | reader   | former   | stranger
POST /api/conversations/$C/participants {"user_ids": ["eve"]} | conflict | admin    | admin    | part     | part
PATCH /api/conversations/$C/participants/$R {"is_admin": true} | conflict | admin   | admin    | part     | part
PATCH /api/conversations/$C/participants/admin {"is_admin": false} | conflict | admin | admin   | part     | part
POST /api/rooms/$C/join {}                                    | 200      | 200      | 200      | 200      | 200
POST /api/rooms/$C/leave {}                                   | 200      | 200      | 200      | part     | part
DELETE /api/rooms/$C                                          | 200      | admin    | admin    | admin    | admin
GET /api/rooms/$C/users                                       | 200      | 200      | 200      | 200      | 200
GET /api/rooms                                                | 200      | 200      | 200      | 200      | 200
POST /api/rooms {"name": "the room"}                          | taken    | taken    | taken    | taken    | taken
POST /api/rooms {"name": "another"}                           | 201      | 201      | 201      | 201      | 201
"#;

/// Returns the status and the code that a cell stands for.
fn expected(cell: &str) -> (u16, Option<&str>) {
    match cell {
        "part" => (403, Some("not_a_participant")),
        "admin" => (403, Some("not_an_admin")),
        "sender" => (403, Some("not_the_sender")),
        "blocked" => (403, Some("blocked")),
        "token" => (401, Some("not_authenticated")),
        "found" => (404, Some("not_found")),
        "conflict" => (409, Some("conflict")),
        "taken" => (409, Some("already_exists")),
        "invalid" => (400, Some("invalid_request")),
        status => (status.parse().expect("a status"), None),
    }
}

/// Parses a table into its columns and its rows: a call, and a cell for each column.
fn parse(table: &str) -> (Vec<&str>, Vec<(&str, Vec<&str>)>) {
    let mut lines = table.trim_matches('\n').lines().map(|line| {
        let mut parts = line.split('|').map(str::trim);
        (parts.next().unwrap_or_default(), parts.collect::<Vec<_>>())
    });
    let (_, columns) = lines.next().unwrap();
    (columns, lines.collect())
}

/// The kind of a scene's conversation.
#[derive(Clone, Copy, Debug, PartialEq)]
enum ConversationKind {
    Direct,
    Group,
    LargeGroup,
    Room,
    LargeRoom,
}

/// A world with one conversation, one message in it, and users with the names of the columns.
struct Scene {
    world: World,
    conversation: String,
    message: String,
}

impl Scene {
    async fn of(kind: ConversationKind, who: &str) -> Self {
        let world = World::new().await;
        for name in ["admin", "sender", "reader", "former", "stranger", "eve"] {
            world.user(name).await;
        }
        let [admin, sender, reader, former] =
            ["admin", "sender", "reader", "former"].map(|id| world.stranger(id));
        let conversation = match kind {
            ConversationKind::Direct => reader.send("sender", "first").await.expect(201).conversation(),
            ConversationKind::Group | ConversationKind::LargeGroup => {
                let extra = world.crowd(if kind == ConversationKind::LargeGroup { 23 } else { 0 }).await;
                let extra = extra.iter().map(|actor| actor.id.as_str());
                admin
                    .group(
                        "the group",
                        &["sender", "reader", "former"].into_iter().chain(extra).collect::<Vec<_>>(),
                    )
                    .await
            }
            ConversationKind::Room | ConversationKind::LargeRoom => {
                let room = admin.room("the room").await;
                let extra = world.crowd(if kind == ConversationKind::LargeRoom { 23 } else { 0 }).await;
                for actor in [&sender, &reader, &former].into_iter().chain(&extra) {
                    actor.join(&room).await.expect(200);
                }
                room
            }
        };
        let message = sender.say(&conversation, "hello").await.expect(201).id();
        if kind != ConversationKind::Direct {
            former.leave(&conversation).await.expect(200);
            world.fan_out(&conversation).await;
        }
        if ["blocked", "blocker"].contains(&who) {
            reader.block("sender").await.expect(200);
        }
        Self { world, conversation, message }
    }

    fn actor(&self, who: &str) -> Actor {
        match who {
            "blocked" => self.world.stranger("sender"),
            "blocker" => self.world.stranger("reader"),
            "anonymous" => self.world.anonymous(),
            who => self.world.stranger(who),
        }
    }

    async fn call(&self, who: &str, call: &str) -> Answer {
        self.call_about(who, call, &self.conversation, &self.message).await
    }

    async fn call_about(&self, who: &str, call: &str, conversation: &str, message: &str) -> Answer {
        let call = call.replace("$C", conversation).replace("$M", message).replace("$R", "reader");
        let mut parts = call.splitn(3, ' ');
        let (method, path) = (parts.next().unwrap(), parts.next().unwrap());
        match parts.next() {
            Some(body) => self.actor(who).json(method, path, &serde_json::from_str(body).unwrap()).await,
            None => self.actor(who).call(method, path, &[], "").await,
        }
    }
}

/// Checks a table in conversations of this kind.
async fn check(kind: ConversationKind, table: &str) {
    let (columns, rows) = parse(table);
    let mut wrong = Vec::new();
    for (column, who) in columns.iter().chain([&"anonymous"]).enumerate() {
        let mut scene = Scene::of(kind, who).await;
        let before = scene.world.items().await;
        for (call, cells) in &rows {
            assert_eq!(columns.len(), cells.len(), "{call}");
            let cell = cells.get(column).unwrap_or(&"token");
            let answer = scene.call(who, call).await;
            let got = (answer.status, answer.json["code"].as_str());
            if got != expected(cell) {
                wrong.push(format!("{who}: {call}: {got:?} instead of {cell}"));
            }
            if scene.world.items().await != before {
                assert!(answer.status < 300, "{who}: {call} was refused, but changed something");
                scene.world = World::with_items(&before).await;
            }
        }
    }
    assert!(wrong.is_empty(), "in a {kind:?}:\n{}", wrong.join("\n"));
}

#[tokio::test]
async fn direct_conversations_have_these_permissions() {
    check(ConversationKind::Direct, DIRECT).await;
}

#[tokio::test]
async fn groups_have_these_permissions() {
    check(ConversationKind::Group, SHARED).await;
    check(ConversationKind::Group, GROUP).await;
}

#[tokio::test]
async fn large_groups_have_these_permissions() {
    check(ConversationKind::LargeGroup, SHARED).await;
    check(ConversationKind::LargeGroup, GROUP).await;
}

#[tokio::test]
async fn rooms_have_these_permissions() {
    check(ConversationKind::Room, SHARED).await;
    check(ConversationKind::Room, ROOM).await;
}

#[tokio::test]
async fn large_rooms_have_these_permissions() {
    check(ConversationKind::LargeRoom, SHARED).await;
    check(ConversationKind::LargeRoom, ROOM).await;
}

/// Returns an answer without the headers that differ between equal answers.
fn comparable(answer: &Answer) -> (u16, Vec<(String, String)>, Value) {
    let headers =
        answer.headers.iter().filter(|(name, _)| !["x-request-id", "server-timing"].contains(&name.as_str()));
    let headers = headers.map(|(name, value)| (name.to_string(), format!("{value:?}")));
    (answer.status, headers.collect(), answer.json.clone())
}

#[tokio::test]
async fn strangers_cannot_tell_what_exists() {
    for (kind, table) in [
        (ConversationKind::Direct, DIRECT),
        (ConversationKind::Group, SHARED),
        (ConversationKind::Group, GROUP),
        (ConversationKind::LargeGroup, SHARED),
        (ConversationKind::LargeGroup, GROUP),
        (ConversationKind::Room, SHARED),
    ] {
        let (columns, rows) = parse(table);
        let scene = Scene::of(kind, "stranger").await;
        let (conversation, message) = (&scene.conversation, &scene.message);
        let missing_conversation = another_conversation(conversation);
        let foreign_message = message.replace(conversation.as_str(), &missing_conversation);
        let unknown = another_message(message);
        assert!(foreign_message != *message && unknown.starts_with(conversation.as_str()));
        for (call, cells) in rows {
            for who in ["stranger", "former"] {
                let Some(column) = columns.iter().position(|name| *name == who) else { continue };
                if cells[column] != "part" {
                    continue;
                }
                let existing = comparable(&scene.call(who, call).await);
                for (conversation, message) in [
                    (&missing_conversation, &foreign_message),
                    (&missing_conversation, message),
                    (conversation, &unknown),
                    (conversation, &foreign_message),
                ] {
                    let missing = comparable(&scene.call_about(who, call, conversation, message).await);
                    let is_bound = call.contains("?before") || call.contains("reply_to");
                    let is_mixed = is_bound && !message.starts_with(conversation.as_str());
                    if is_mixed {
                        // A message of another conversation is refused with 400, whether or not either exists.
                        assert_eq!(missing.0, 400, "{who}: {call}");
                    } else {
                        assert_eq!(missing, existing, "{who}: {call} in a {kind:?}");
                    }
                }
            }
        }
    }
}

/// Routes that concern no conversation, or all of the caller's own.
const OTHERS: [&str; 10] = [
    "/api/attachments",
    "/api/pictures",
    "/api/push/",
    "/api/auth/",
    "/api/users",
    "/api/events",
    "/api/ws-ticket",
    "/health",
    "/docs",
    "/api/openapi.json",
];

#[test]
fn every_route_is_in_the_tables() {
    let tables = [DIRECT, SHARED, GROUP, ROOM].map(|table| parse(table).1).concat();
    let matches = |method: &str, route: &str| {
        tables.iter().any(|(call, _)| {
            let mut words = call.split([' ', '?']);
            let is_part = |(part, of): (&str, &str)| part == of || of.starts_with('{');
            let (its, path) = (words.next().unwrap(), words.next().unwrap());
            its == method
                && path.matches('/').count() == route.matches('/').count()
                && path.split('/').zip(route.split('/')).all(is_part)
        })
    };
    let own = ["/api/messages/inbox", "/api/mentions", "/api/messages/unread-count"];
    for (method, route) in routes_of_the_template() {
        let is_other = OTHERS.iter().any(|other| route.starts_with(other)) || own.contains(&route.as_str());
        assert!(is_other || matches(&method, &route), "{method} {route}");
    }
}
