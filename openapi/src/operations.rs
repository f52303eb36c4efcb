//! Every call. Which errors may come is found out by the tests: an answer that is not described here fails them.

use domain::conversation::{ConversationView, Watermark};
use domain::error::Error::{
    AlreadyExists, Blocked, Conflict, CursorExpired, NotAParticipant, NotAnAdmin, NotAuthenticated, NotFound,
    NotTheSender,
};
use domain::id::{ConversationId, MessageId, UserId};
use domain::message::{DraftFields, MessageView};
use domain::presence::PresenceView;
use domain::user::{ProfileChange, UserView};
use edge::tokens::Tokens;
use serde_json::{Value, json};
use store::{Blocked as BlockedUser, Receipt, RoomUser, RoomView, Unread};

use crate::operation::{Operation, Tag};

type Messages = Vec<MessageView>;

/// All calls, in the order in which they are shown.
pub(crate) fn all() -> Vec<Operation> {
    let parts = [messages(), conversations(), rooms(), blocks(), users(), accounts(), live(), operations()];
    parts.into_iter().flatten().collect()
}

fn call(
    method: &'static str,
    path: &'static str,
    tag: Tag,
    id: &'static str,
    about: &'static str,
) -> Operation {
    Operation::new((method, path), tag, id, about)
}

/// An id for the examples.
const CONVERSATION: &str = "dJ2wHcQ8b6XK0mVYtE1nR7zPo";

#[allow(clippy::too_many_lines, reason = "a list of calls")]
fn messages() -> Vec<Operation> {
    let call = |method, path, id, about| call(method, path, Tag::Messages, id, about);
    vec![
        call("post", "/api/messages/send", "sendMessage", "Sends a message.")
            .takes::<DraftFields>(json!({
                "recipient_id": "bob", "message_text": "Hello, Bob!", "client_message_id": "first",
            }))
            .or_form::<DraftFields>()
            .gives::<MessageView>(201, "The message.")
            .gives::<MessageView>(200, "The message that was sent before under the same `client_message_id`.")
            .or([NotAParticipant, Blocked, NotFound("")])
            .leads_to("id", &["editMessage", "deleteMessage", "getReceipts"])
            .limited(),
        call("get", "/api/messages/inbox", "getInbox", "The caller's conversations, latest activity first.")
            .query::<inbox::Page>()
            .lists_of::<Vec<ConversationView>>("A page of rows."),
        call(
            "get",
            "/api/messages/conversation/{id}",
            "getDirectMessages",
            "A page of the direct conversation with a user, in ascending order; the newest unless told. \
             Marks it read up to the page's newest message, unless `mark_read` is false.",
        )
        .at::<UserId>()
        .query::<conversation::Page>()
        .lists::<Messages>("The page; an empty one where there is no conversation yet."),
        call(
            "get",
            "/api/conversations/{id}/messages",
            "getMessages",
            "A page of a conversation, in ascending order; the newest unless told. Marks nothing read unless \
             `mark_read` is true.",
        )
        .at::<ConversationId>()
        .query::<conversation::Page>()
        .lists::<Messages>("The page.")
        .or([NotAParticipant]),
        call(
            "put",
            "/api/messages/mark-as-read/{message_id}",
            "markAsRead",
            "Moves the caller's read watermark to a message, never back.",
        )
        .at::<MessageId>()
        .gives::<Watermark>(200, "The watermark as it stands.")
        .or([NotAParticipant, NotFound("")]),
        call(
            "put",
            "/api/conversations/{id}/read",
            "markConversationRead",
            "Marks everything in a conversation read.",
        )
        .at::<ConversationId>()
        .gives::<Watermark>(200, "The watermark as it stands.")
        .or([NotAParticipant]),
        call("get", "/api/messages/{id}/receipts", "getReceipts", "Who has read a message, and when.")
            .at::<MessageId>()
            .lists::<Vec<Receipt>>("Everyone who has.")
            .or([NotAParticipant, NotFound("")]),
        call(
            "get",
            "/api/messages/unread-count",
            "getUnreadCount",
            "Unread messages in all, and how many conversations have some.",
        )
        .gives::<Unread>(200, "The counts."),
        call(
            "get",
            "/api/messages/search",
            "searchMessages",
            "Messages that hold all words, and all \"quoted phrases\", anywhere; newest first.",
        )
        .query::<search::Search>()
        .lists::<Vec<search::HitView>>("A page of hits. It may be empty and still go on.")
        .or([NotAParticipant]),
        call("patch", "/api/messages/{id}", "editMessage", "Gives a message of the caller's another text.")
            .at::<MessageId>()
            .takes::<edit::Edit>(json!({"message_text": "Hello, Bob."}))
            .gives::<MessageView>(200, "The message as it is now.")
            .or([NotAParticipant, NotTheSender, Blocked, NotFound(""), Conflict("")])
            .limited(),
        call(
            "delete",
            "/api/messages/{id}",
            "deleteMessage",
            "Deletes a message for everyone, or for the caller alone.",
        )
        .at::<MessageId>()
        .query::<delete::Deletion>()
        .gives::<Option<MessageView>>(
            200,
            "What is left of it; null where it is hidden from the caller alone.",
        )
        .or([NotAParticipant, NotTheSender, NotFound("")])
        .limited(),
        call(
            "delete",
            "/api/messages/conversation/{id}",
            "deleteConversation",
            "Removes a conversation from the caller's inbox and hides its history up to now from them alone.",
        )
        .at::<ConversationId>()
        .acknowledges("It is gone until its next message.")
        .or([NotAParticipant]),
    ]
}

fn conversations() -> Vec<Operation> {
    let call = |method, path, id, about| call(method, path, Tag::Conversations, id, about);
    vec![
        call(
            "post",
            "/api/conversations",
            "createConversation",
            "Opens a direct conversation, or makes a group.",
        )
        .takes::<conversations::New>(
            json!({"type": "group", "name": "Hikers", "participant_ids": ["bob", "carol"]}),
        )
        .gives::<ConversationView>(201, "The caller's row of it.")
        .gives::<ConversationView>(200, "The caller's row of the one that was there before.")
        .or([NotAParticipant, NotFound(""), Blocked])
        .leads_to(
            "conversation_id",
            &[
                "getConversation",
                "changeConversation",
                "addParticipants",
                "getMessages",
                "markConversationRead",
            ],
        )
        .limited(),
        call(
            "get",
            "/api/conversations/{id}",
            "getConversation",
            "A conversation, and a page of its participants.",
        )
        .at::<ConversationId>()
        .query::<conversations::Page>()
        .lists::<conversations::Shown>("The conversation, and up to 100 participants.")
        .or([NotAParticipant]),
        call(
            "patch",
            "/api/conversations/{id}",
            "changeConversation",
            "Changes a group's or room's name, description or photo.",
        )
        .at::<ConversationId>()
        .takes::<conversations::Change>(json!({"name": "Night hikers"}))
        .gives::<ConversationView>(200, "The caller's row of it.")
        .or([NotAParticipant, NotAnAdmin, AlreadyExists("")]),
        call("post", "/api/conversations/{id}/participants", "addParticipants", "Adds people to a group.")
            .at::<ConversationId>()
            .takes::<conversations::Newcomers>(json!({"user_ids": ["dave"]}))
            .gives::<ConversationView>(200, "The caller's row of it.")
            .or([NotAParticipant, NotAnAdmin, Blocked, NotFound(""), Conflict("")]),
        call(
            "patch",
            "/api/conversations/{id}/participants/{user_id}",
            "setAdmin",
            "Makes a participant an admin, or no longer one.",
        )
        .at::<ConversationId>()
        .at::<UserId>()
        .takes::<conversations::Role>(json!({"is_admin": true}))
        .acknowledges("They are.")
        .or([NotAParticipant, NotAnAdmin, NotFound(""), Conflict("")]),
        call(
            "delete",
            "/api/conversations/{id}/participants/{user_id}",
            "removeParticipant",
            "Removes a participant; oneself is leaving.",
        )
        .at::<ConversationId>()
        .at::<UserId>()
        .acknowledges("They are out.")
        .or([NotAParticipant, NotAnAdmin, NotFound("")]),
    ]
}

fn rooms() -> Vec<Operation> {
    let call = |method, path, id, about| call(method, path, Tag::Rooms, id, about);
    vec![
        call("post", "/api/rooms", "createRoom", "Makes a room that anyone may join.")
            .takes::<rooms::New>(json!({"name": "Lobby", "description": "Come in"}))
            .gives::<ConversationView>(201, "The caller's row of it.")
            .or([AlreadyExists("")])
            .leads_to(
                "conversation_id",
                &["joinRoom", "leaveRoom", "getRoomUsers", "deleteRoom", "changeConversation"],
            )
            .limited(),
        call("get", "/api/rooms", "getRooms", "All rooms, in the order of their names.")
            .query::<rooms::Page>()
            .lists::<Vec<RoomView>>("A page of rooms."),
        call("delete", "/api/rooms/{id}", "deleteRoom", "Deletes a room; for its creator.")
            .at::<ConversationId>()
            .acknowledges("It is gone for everyone.")
            .or([NotAnAdmin, NotFound("")]),
        call("post", "/api/rooms/{id}/join", "joinRoom", "Joins a room. Its last 100 messages are shown.")
            .at::<ConversationId>()
            .gives::<ConversationView>(200, "The caller's row of it.")
            .or([NotFound(""), Conflict("")]),
        call("post", "/api/rooms/{id}/leave", "leaveRoom", "Leaves a room.")
            .at::<ConversationId>()
            .acknowledges("The caller is out.")
            .or([NotAParticipant]),
        call("get", "/api/rooms/{id}/users", "getRoomUsers", "Who is in a room, those online first.")
            .at::<ConversationId>()
            .query::<rooms::Page>()
            .lists::<Vec<RoomUser>>("A page of people.")
            .or([NotAParticipant, NotFound("")]),
    ]
}

fn blocks() -> Vec<Operation> {
    let call = |method, path, id, about| call(method, path, Tag::Users, id, about);
    vec![
        call(
            "post",
            "/api/messages/block-user",
            "blockUser",
            "Blocks a user: neither can write to the other directly.",
        )
        .takes::<block::Block>(json!({"blocked_user_id": "mallory"}))
        .acknowledges("They are blocked.")
        .or([NotFound("")]),
        call(
            "delete",
            "/api/messages/block-user/{user_id}",
            "unblockUser",
            "Takes the caller's own block back.",
        )
        .at::<UserId>()
        .acknowledges("They are not blocked."),
        call("get", "/api/messages/blocked-users", "getBlockedUsers", "Whom the caller has blocked.")
            .query::<block::Page>()
            .lists::<Vec<BlockedUser>>("A page of them."),
    ]
}

fn users() -> Vec<Operation> {
    let call = |method, path, id, about| call(method, path, Tag::Users, id, about);
    vec![
        call("get", "/api/users/me", "getMe", "The caller's profile. The first call makes it.")
            .gives::<UserView>(200, "The profile, with `email`."),
        call(
            "patch",
            "/api/users/me",
            "changeMe",
            "Changes the caller's name or picture. A picture of null is taken away.",
        )
        .takes::<ProfileChange>(json!({"full_name": "Alice Example"}))
        .gives::<UserView>(200, "The profile as it is now.")
        .limited(),
        call("get", "/api/users/{id}", "getUser", "Someone's profile.")
            .at::<UserId>()
            .gives::<UserView>(200, "The profile, without `email`.")
            .or([NotFound("")]),
        call(
            "get",
            "/api/users",
            "findUsers",
            "People by the start of a username or of a word of their name.",
        )
        .query::<users::Search>()
        .lists::<Vec<UserView>>("A page of them. It may be shorter than asked for and still go on.")
        .or([NotFound("")]),
    ]
}

fn accounts() -> Vec<Operation> {
    let call = |method, path, id, about| call(method, path, Tag::Accounts, id, about);
    let token = || json!({"refresh_token": "a token from a login"});
    vec![
        call("post", "/api/auth/register", "register", "Makes an account.")
            .takes::<auth::Registration>(json!({
                "username": "alice", "email": "alice@example.com", "password": "correct horse battery",
            }))
            .gives::<UserView>(201, "The user.")
            .or([AlreadyExists(""), NotFound("")])
            .limited()
            .open(),
        call("post", "/api/auth/login", "login", "Begins a session, by a username or an e-mail address.")
            .takes::<auth::Login>(json!({"username": "alice", "password": "correct horse battery"}))
            .gives::<auth::LoggedIn>(200, "A pair of tokens, and the user.")
            .or([NotAuthenticated(""), NotFound("")])
            .limited()
            .open(),
        call(
            "post",
            "/api/auth/refresh",
            "refreshSession",
            "A new pair of tokens. The token just replaced gives the same pair again for 30 s; any other reuse ends \
             the session.",
        )
        .takes::<session::Body>(token())
        .gives::<Tokens>(200, "The pair.")
        .or([NotAuthenticated(""), NotFound("")])
        .limited()
        .open(),
        call("post", "/api/auth/logout", "logout", "Ends a session. Its access token holds until it expires.")
            .takes::<session::Body>(token())
            .acknowledges("It has ended.")
            .or([NotAuthenticated("")])
            .open(),
        call("post", "/api/auth/change-password", "changePassword", "Sets another password, and ends all other sessions.")
            .takes::<auth::PasswordChange>(json!({
                "current_password": "correct horse battery", "new_password": "wrong mule staple",
            }))
            .acknowledges("It is changed.")
            .limited(),
        call(
            "delete",
            "/api/users/me",
            "deleteAccount",
            "Deletes the caller's account and profile. Their messages stay, without a name.",
        )
        .takes::<auth::Deletion>(json!({"password": "correct horse battery"}))
        .acknowledges("It is gone.")
        .limited(),
    ]
}

fn live() -> Vec<Operation> {
    let call = |method, path, id, about| call(method, path, Tag::Events, id, about);
    vec![
        call(
            "get",
            "/api/events",
            "getEvents",
            "What has happened since a cursor, each event once. Without one: no events, and a cursor. Take it, load \
             the inbox, then read on from it.",
        )
        .query::<events::Page>()
        .gives::<events::Events>(200, "Events in the order of their ids, and when to come again.")
        .or([CursorExpired]),
        call("post", "/api/typing", "setTyping", "Tells that the caller types, for 6 s, or has stopped.")
            .takes::<typing::Signal>(json!({"conversation_id": CONVERSATION, "is_typing": true}))
            .acknowledges("It is told, unless a block stands.")
            .or([NotAParticipant])
            .limited(),
        call("put", "/api/presence", "setPresence", "Sets what the caller shows.")
            .takes::<presence::Change>(json!({"status": "away"}))
            .gives::<PresenceView>(200, "What they show.")
            .or([NotAParticipant]),
        call("get", "/api/presence", "getPresence", "What some users show to the caller, in the order asked for.")
            .query::<presence::Wanted>()
            .lists::<Vec<PresenceView>>("One for each."),
        call("post", "/api/ws-ticket", "createSocketTicket", "A ticket that opens one socket, once, within 30 s.")
            .gives::<ws_ticket::Ticket>(201, "The ticket."),
    ]
}

fn operations() -> Vec<Operation> {
    let call = |method, path, id, about| call(method, path, Tag::Operations, id, about);
    let object: Value = json!({"type": "object"});
    vec![
        call("get", "/health", "getHealth", "Whether the service is up.")
            .plainly(
                "application/json",
                "It is.",
                json!({"type": "object", "properties": {"status": {"type": "string"}}, "required": ["status"]}),
            )
            .open(),
        call("get", "/api/openapi.json", "getOpenApi", "This document.")
            .plainly("application/json", "It.", object)
            .fixed(),
    ]
}
