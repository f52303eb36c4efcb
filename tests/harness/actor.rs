//! Users who call the functions, and the answers.

use std::fmt;
use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use domain::time::Timestamp;
use edge::auth;
use http::{Method, Request, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::documents;

/// The HS256 secret of every world.
pub const SECRET: &str = "a secret that only the tests know, of more than 32 bytes";

/// The password of the users that [`Actor::register`] registers.
pub const PASSWORD: &str = "correct horse battery";

/// A user who has registered and logged in, in one session.
pub struct Registered {
    /// The user, with the session's access token.
    pub actor: Actor,
    /// The session's refresh token.
    pub refresh_token: String,
}

/// Far in the future, in milliseconds.
const FOREVER: i64 = 4_102_444_800_000;

/// The address from which actors call by default.
const DEFAULT_ADDRESS: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 50_000);

/// A user who calls the functions, with an id and a token.
#[derive(Clone)]
pub struct Actor {
    /// The user's id.
    pub id: String,
    token: Option<String>,
    address: SocketAddr,
    service: Router,
}

impl Actor {
    pub(crate) fn new(service: Router, id: &str) -> Self {
        let user = id.parse().expect("a user id");
        let token = auth::sign(SECRET.as_bytes(), &user, Some(&title(id)), Timestamp::from_millis(FOREVER));
        Self { id: id.to_owned(), token: Some(token.expect("a token")), address: DEFAULT_ADDRESS, service }
    }

    /// Returns the same user, who calls from another address.
    pub fn calling_from(&self, address: &str) -> Self {
        let address = SocketAddr::new(address.parse().expect("an address"), 50_000);
        Self { address, ..self.clone() }
    }

    /// Returns the same user with another token, or without one.
    pub fn with_token(&self, token: Option<&str>) -> Self {
        Self { token: token.map(ToOwned::to_owned), ..self.clone() }
    }

    /// Returns the same caller without a token.
    pub fn anonymous(&self) -> Self {
        self.with_token(None)
    }

    /// Returns the token.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Registers a user and logs in.
    pub async fn register(&self, username: &str) -> Registered {
        let account = json!({
            "username": username,
            "email": format!("{username}@example.com"),
            "password": PASSWORD,
            "full_name": format!("{username} Example"),
        });
        self.post("/api/auth/register", &account).await.expect(201);
        self.login(username, PASSWORD).await
    }

    /// Logs a user in.
    pub async fn login(&self, username: &str, password: &str) -> Registered {
        let body = json!({"username": username, "password": password});
        let answer = self.post("/api/auth/login", &body).await.expect(200);
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let data = answer.data();
        let actor = Self { id: text(&data["user"]["id"]), ..self.clone() };
        let actor = actor.with_token(data["access_token"].as_str());
        Registered { actor, refresh_token: text(&data["refresh_token"]) }
    }

    /// Makes a call with any headers and body. Panics if the answer does not match the published API document.
    pub async fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let verb: Method = method.parse().expect("a method");
        let mut request = Request::builder().method(verb).uri(path);
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.extension(ConnectInfo(self.address));
        let request = request.body(body.into()).expect("a request");
        let response = self.service.clone().oneshot(request).await.expect("an answer");
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        let answer = Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            json: serde_json::from_slice(&body).unwrap_or_default(),
            text: String::from_utf8(body.into()).unwrap_or_default(),
        };
        let kind = answer.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.unwrap_or_default();
        if let Some(fault) = documents::fault_of_answer(method, path, answer.status, kind, &answer.json) {
            panic!("{fault}");
        }
        answer
    }

    /// Makes a call with a JSON body. Panics if a body that was accepted does not match the published API document.
    pub async fn json(&self, method: &str, path: &str, body: &Value) -> Answer {
        let kind = [("content-type", "application/json")];
        let answer = self.call(method, path, &kind, body.to_string()).await;
        if answer.status < 300
            && let Some(fault) = documents::fault_of_body(method, path, body)
        {
            panic!("{fault}");
        }
        answer
    }

    /// Makes a `GET` call.
    pub async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, &[], Body::empty()).await
    }

    /// Makes a `PUT` call without a body.
    pub async fn put(&self, path: &str) -> Answer {
        self.call("PUT", path, &[], Body::empty()).await
    }

    /// Makes a `DELETE` call.
    pub async fn delete(&self, path: &str) -> Answer {
        self.call("DELETE", path, &[], Body::empty()).await
    }

    /// Makes a `PATCH` call with a JSON body.
    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.json("PATCH", path, body).await
    }

    /// Makes a `POST` call with a JSON body.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.json("POST", path, body).await
    }

    /// Sends a text to a user.
    pub async fn send(&self, to: &str, text: &str) -> Answer {
        self.post("/api/messages/send", &json!({"recipient_id": to, "message_text": text})).await
    }

    /// Sends a text to a user, with a client message id.
    pub async fn send_once(&self, to: &str, text: &str, key: &str) -> Answer {
        let body = json!({"recipient_id": to, "message_text": text, "client_message_id": key});
        self.post("/api/messages/send", &body).await
    }

    /// Blocks a user.
    pub async fn block(&self, other: &str) -> Answer {
        self.post("/api/messages/block-user", &json!({"blocked_user_id": other})).await
    }

    /// Unblocks a user.
    pub async fn unblock(&self, other: &str) -> Answer {
        self.delete(&format!("/api/messages/block-user/{other}")).await
    }

    /// Marks a message and the later ones as unread.
    pub async fn mark_unread(&self, message: &str) -> Answer {
        self.put(&format!("/api/messages/mark-as-unread/{message}")).await
    }

    /// Changes the user's own settings of a conversation.
    pub async fn set(&self, conversation: &str, change: &Value) -> Answer {
        self.patch(&format!("/api/conversations/{conversation}/me"), change).await
    }

    /// Moves the read watermark to a message.
    pub async fn mark(&self, message: &str) -> Answer {
        self.put(&format!("/api/messages/mark-as-read/{message}")).await
    }

    /// Returns the inbox's first page of up to 100 rows.
    pub async fn inbox(&self) -> Vec<Value> {
        self.get("/api/messages/inbox?limit=100").await.expect(200).list().to_vec()
    }

    /// Returns the first page of up to 100 archived rows.
    pub async fn archive(&self) -> Vec<Value> {
        self.get("/api/messages/inbox?archived=true&limit=100").await.expect(200).list().to_vec()
    }

    /// Returns the inbox row of the conversation with a user.
    pub async fn row(&self, other: &str) -> Option<Value> {
        self.inbox().await.into_iter().find(|row| row["other_user_id"] == other)
    }

    /// Returns the total number of unread messages.
    pub async fn unread(&self) -> u64 {
        let answer = self.get("/api/messages/unread-count").await.expect(200);
        answer.data()["unread_count"].as_u64().expect("a number")
    }

    /// Returns the newest page of the conversation with a user, without marking it as read.
    pub async fn page(&self, other: &str) -> Vec<Value> {
        let path = format!("/api/messages/conversation/{other}?mark_read=false&limit=100");
        self.get(&path).await.expect(200).list().to_vec()
    }

    /// Returns all messages of the conversation with a user, oldest first, without marking them as read.
    pub async fn history(&self, other: &str) -> Vec<Value> {
        let path = format!("/api/messages/conversation/{other}?mark_read=false&limit=100");
        let mut pages = self.pages(&path).await;
        pages.reverse();
        pages.concat()
    }

    /// Returns all pages of a list, following its cursors.
    pub async fn pages(&self, path: &str) -> Vec<Vec<Value>> {
        let join = if path.contains('?') { '&' } else { '?' };
        let mut next = path.to_owned();
        let mut pages = Vec::new();
        loop {
            let answer = self.get(&next).await.expect(200);
            pages.push(answer.list().to_vec());
            match answer.json["next_cursor"].as_str() {
                Some(cursor) => next = format!("{path}{join}cursor={cursor}"),
                None => return pages,
            }
        }
    }

    /// Creates a group with this name and these other participants. Returns its id.
    pub async fn group(&self, name: &str, others: &[&str]) -> String {
        let body = json!({"type": "group", "name": name, "participant_ids": others});
        self.post("/api/conversations", &body).await.expect(201).conversation()
    }

    /// Creates a room. Returns its id.
    pub async fn room(&self, name: &str) -> String {
        self.post("/api/rooms", &json!({"name": name})).await.expect(201).conversation()
    }

    /// Joins a room.
    pub async fn join(&self, room: &str) -> Answer {
        self.post(&format!("/api/rooms/{room}/join"), &json!({})).await
    }

    /// Leaves a group or room.
    pub async fn leave(&self, conversation: &str) -> Answer {
        self.remove(conversation, &self.id).await
    }

    /// Adds participants to a group.
    pub async fn add(&self, conversation: &str, users: &[&str]) -> Answer {
        self.post(&format!("/api/conversations/{conversation}/participants"), &json!({"user_ids": users}))
            .await
    }

    /// Removes a participant from a group or room.
    pub async fn remove(&self, conversation: &str, user: &str) -> Answer {
        self.delete(&format!("/api/conversations/{conversation}/participants/{user}")).await
    }

    /// Grants a participant the admin role, or revokes it.
    pub async fn set_admin(&self, conversation: &str, user: &str, is_admin: bool) -> Answer {
        let path = format!("/api/conversations/{conversation}/participants/{user}");
        self.patch(&path, &json!({"is_admin": is_admin})).await
    }

    /// Changes a group's or room's name, description or photo.
    pub async fn change(&self, conversation: &str, change: &Value) -> Answer {
        self.patch(&format!("/api/conversations/{conversation}"), change).await
    }

    /// Sends a text to a conversation.
    pub async fn say(&self, conversation: &str, text: &str) -> Answer {
        let body = json!({"conversation_id": conversation, "message_text": text});
        self.post("/api/messages/send", &body).await
    }

    /// Sends a text to a conversation, with the text as the client message id.
    pub async fn say_once(&self, conversation: &str, text: &str) -> Answer {
        let body = json!({"conversation_id": conversation, "message_text": text, "client_message_id": text});
        self.post("/api/messages/send", &body).await
    }

    /// Edits a message's text.
    pub async fn edit(&self, message: &str, text: &str) -> Answer {
        self.patch(&format!("/api/messages/{message}"), &json!({"message_text": text})).await
    }

    /// Deletes a message for everyone.
    pub async fn unsend(&self, message: &str) -> Answer {
        self.delete(&format!("/api/messages/{message}")).await
    }

    /// Deletes a message for this user alone.
    pub async fn hide(&self, message: &str) -> Answer {
        self.delete(&format!("/api/messages/{message}?scope=me")).await
    }

    /// Marks a whole conversation as read.
    pub async fn read_all(&self, conversation: &str) -> Answer {
        self.put(&format!("/api/conversations/{conversation}/read")).await
    }

    /// Deletes a conversation for this user alone.
    pub async fn forget(&self, conversation: &str) -> Answer {
        self.delete(&format!("/api/messages/conversation/{conversation}")).await
    }

    /// Returns the newest page of a conversation, without marking it as read.
    pub async fn messages(&self, conversation: &str) -> Vec<Value> {
        let path = format!("/api/conversations/{conversation}/messages?limit=100");
        self.get(&path).await.expect(200).list().to_vec()
    }

    /// Returns the inbox row of a conversation.
    pub async fn row_of(&self, conversation: &str) -> Option<Value> {
        self.inbox().await.into_iter().find(|row| row["conversation_id"] == conversation)
    }

    /// Returns a conversation with its participants.
    pub async fn overview(&self, conversation: &str) -> Value {
        self.get(&format!("/api/conversations/{conversation}")).await.expect(200).data().clone()
    }

    /// Returns all messages of the conversation with this id, oldest first.
    pub async fn history_of(&self, conversation: &str) -> Vec<Value> {
        let path = format!("/api/conversations/{conversation}/messages?limit=100");
        let mut pages = self.pages(&path).await;
        pages.reverse();
        pages.concat()
    }
}

fn title(id: &str) -> String {
    let mut chars = id.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// The answer to a call.
#[derive(Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: http::HeaderMap,
    /// The body; null if it is not JSON.
    pub json: Value,
    /// The body as text; empty if it is not UTF-8.
    pub text: String,
}

impl Answer {
    /// Asserts the status and returns the answer.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    /// Asserts that the call was refused with this status and code, as a problem document.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.json["code"].as_str()), (status, Some(code)), "{self:?}");
        assert_eq!(self.json["success"], false, "{self:?}");
        assert_eq!(self.json["status"], status, "{self:?}");
        assert_eq!(self.json["detail"], self.json["message"], "{self:?}");
        assert_eq!(self.headers["content-type"], "application/problem+json");
    }

    /// Returns `data`.
    pub fn data(&self) -> &Value {
        &self.json["data"]
    }

    /// Returns `data`, which must be a list.
    pub fn list(&self) -> &[Value] {
        self.data().as_array().expect("a list")
    }

    /// Returns the `id` in `data`.
    pub fn id(&self) -> String {
        self.data()["id"].as_str().expect("an id").to_owned()
    }

    /// Returns a figure of the `Server-Timing` header: `calls`, `depth`, `rcu` or `wcu`.
    pub fn cost(&self, figure: &str) -> f64 {
        let timing = self.headers["server-timing"].to_str().expect("a header");
        let figures = timing.split('"').nth(1).expect("a description");
        let found = figures.split(' ').find_map(|pair| pair.strip_prefix(figure)?.strip_prefix('='));
        found.expect("a figure").parse().expect("a number")
    }

    /// Returns the `conversation_id` in `data`.
    pub fn conversation(&self) -> String {
        self.data()["conversation_id"].as_str().expect("a conversation").to_owned()
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.json)
    }
}
