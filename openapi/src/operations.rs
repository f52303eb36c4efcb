//! Every call of the API. The tests fail on any response that is not described here.

use domain::content::Edit;
use domain::conversation::{ConversationView, Watermark};
use domain::draft::{Draft, DraftFields};
use domain::error::Error::{
    AlreadyExists, Blocked, Conflict, CursorExpired, FileTooLarge, NotAParticipant, NotAnAdmin,
    NotAuthenticated, NotFound, NotTheSender, NotUploaded,
};
use domain::id::{ConversationId, FileId, MessageId, SubscriptionId, UserId};
use domain::message::MessageView;
use domain::presence::PresenceView;
use domain::reactions::Emoji;
use domain::settings::SettingsChange;
use domain::user::{ProfileChange, UserView};
use domain::web_push::{SubscriptionFields, SubscriptionView};
use edge::files::{NewUpload, Offer};
use edge::page::ListPage;
use edge::tokens::Tokens;
use serde_json::{Value, json};
use store::{Blocked as BlockedUser, Receipt, RoomUser, RoomView, Unread};

use crate::operation::{Operation, Tag};

type Messages = Vec<MessageView>;

/// All calls, in display order.
pub(crate) fn all() -> Vec<Operation> {
    let parts = [
        messages(),
        attachments(),
        conversations(),
        rooms(),
        blocks(),
        users(),
        accounts(),
        live(),
        pushes(),
        operations(),
    ];
    parts.into_iter().flatten().collect()
}

fn call(
    method: &'static str,
    path: &'static str,
    tag: Tag,
    id: &'static str,
    summary: &'static str,
) -> Operation {
    Operation::new((method, path), tag, id, summary)
}

/// A conversation id for the examples.
const CONVERSATION: &str = "dJ2wHcQ8b6XK0mVYtE1nR7zPo";

#[allow(clippy::too_many_lines, reason = "a list of calls")]
fn messages() -> Vec<Operation> {
    let call = |method, path, id, summary| call(method, path, Tag::Messages, id, summary);
    vec![
        call("post", "/api/messages/send", "sendMessage", "Sends a message.")
            .accepts::<DraftFields>(json!({
                "recipient_id": "bob", "message_text": "Hello, Bob!", "client_message_id": "first",
            }))
            .or_form::<Draft>()
            .returns::<MessageView>(201, "The message.")
            .returns::<MessageView>(200, "The original message: this `client_message_id` was sent before.")
            .fails_with([NotAParticipant, NotAnAdmin, Blocked, NotFound(""), NotUploaded(""), Conflict("")])
            .links_to("id", &["editMessage", "deleteMessage", "getReceipts"])
            .limited(),
        call(
"get", "/api/messages/inbox", "getInbox", "The caller's conversations: pinned ones first, in the order of pinning, then the most recently active.",)
            .query::<inbox::Page>()
            .lists_with_total::<Vec<ConversationView>>("A page of rows."),
        call(
            "get",
            "/api/messages/conversation/{id}",
            "getDirectMessages",
            "A page of the direct conversation with a user, oldest message first; by default the newest page. \
             Marks it as read up to the page's newest message, unless `mark_read` is false.",
        )
        .path_parameter::<UserId>()
        .query::<conversation::Page>()
        .lists::<Messages>("The page; empty if there is no conversation yet."),
        call(
            "get",
            "/api/conversations/{id}/messages",
            "getMessages",
            "A page of a conversation, oldest message first; by default the newest page. Marks it as read \
             only if `mark_read` is true.",
        )
        .path_parameter::<ConversationId>()
        .query::<conversation::Page>()
        .lists::<Messages>("The page.")
        .fails_with([NotAParticipant]),
        call(
            "put",
            "/api/messages/mark-as-read/{message_id}",
            "markAsRead",
            "Moves the caller's read watermark forward to a message, never back.",
        )
        .path_parameter::<MessageId>()
        .returns::<Watermark>(200, "The current watermark.")
        .fails_with([NotAParticipant, NotFound("")]),
        call(
            "put",
            "/api/messages/mark-as-unread/{message_id}",
            "markAsUnread",
            "Marks a message and all later ones as unread, for the caller alone.",
        )
        .path_parameter::<MessageId>()
        .returns::<Watermark>(200, "The watermark, which stays, and the unread count.")
        .fails_with([NotAParticipant, NotFound("")])
        .limited(),
        call(
            "put",
            "/api/conversations/{id}/read",
            "markConversationRead",
            "Marks everything in a conversation as read.",
        )
        .path_parameter::<ConversationId>()
        .returns::<Watermark>(200, "The current watermark.")
        .fails_with([NotAParticipant]),
        call("get", "/api/messages/{id}/receipts", "getReceipts", "Who has read a message, and when.")
            .path_parameter::<MessageId>()
            .lists::<Vec<Receipt>>("The users who have read it.")
            .fails_with([NotAParticipant, NotFound("")]),
        call(
            "get",
            "/api/messages/unread-count",
            "getUnreadCount",
            "The number of unread messages, and of conversations that have any.",
        )
        .returns::<Unread>(200, "The counts."),
        call(
            "get",
            "/api/messages/search",
            "searchMessages",
            "Messages that contain all words and \"quoted phrases\" of a query, no `-word`, and meet its filters, newest first.",
        )
        .query::<search::Search>()
        .lists::<Vec<search::HitView>>("A page of hits. It has fewer than `limit` and a `next_cursor` only if the call has searched for 2 s, or at its maximum size.")
        .fails_with([NotAParticipant])
        .limited(),
        call(
            "get",
            "/api/mentions",
            "getMentions",
            "Messages that mention the caller, alone or with everyone, newest first.",
        )
        .query::<ListPage>()
        .lists::<Vec<MessageView>>("A page of messages. It has fewer than `limit` and a `next_cursor` if the call has searched for 2 s, has read 8 MB, or is at its maximum size.")
        .limited(),
        call(
            "patch",
            "/api/messages/{id}",
            "editMessage",
            "Changes the text, the mentions or the custom data of one of the caller's messages.",
        )
            .path_parameter::<MessageId>()
            .accepts::<Edit>(json!({"message_text": "Hello, Bob."}))
            .returns::<MessageView>(200, "The edited message.")
            .fails_with([NotAParticipant, NotTheSender, NotAnAdmin, Blocked, NotFound(""), Conflict("")])
            .limited(),
        call(
            "put",
            "/api/messages/{id}/reactions/{emoji}",
            "addReaction",
            "Adds the caller's reaction to a message. Adding it again changes nothing.",
        )
        .path_parameter::<MessageId>()
        .path_parameter::<Emoji>()
        .returns::<MessageView>(200, "The message.")
        .fails_with([NotAParticipant, Blocked, NotFound(""), Conflict("")])
        .limited(),
        call(
            "delete",
            "/api/messages/{id}/reactions/{emoji}",
            "removeReaction",
            "Removes the caller's reaction from a message. Removing it again changes nothing.",
        )
        .path_parameter::<MessageId>()
        .path_parameter::<Emoji>()
        .returns::<MessageView>(200, "The message.")
        .fails_with([NotAParticipant, Blocked, NotFound("")])
        .limited(),
        call(
            "put",
            "/api/messages/{id}/pin",
            "pinMessage",
            "Pins a message for all participants. In groups and rooms of more than 24, admins only.",
        )
        .path_parameter::<MessageId>()
        .returns::<MessageView>(200, "The message.")
        .fails_with([NotAParticipant, NotAnAdmin, Blocked, NotFound(""), Conflict("")])
        .limited(),
        call(
            "delete",
            "/api/messages/{id}/pin",
            "unpinMessage",
            "Unpins a message. In groups and rooms of more than 24, admins only.",
        )
        .path_parameter::<MessageId>()
        .returns::<MessageView>(200, "The message.")
        .fails_with([NotAParticipant, NotAnAdmin, Blocked, NotFound("")])
        .limited(),
        call(
            "get",
            "/api/conversations/{id}/pins",
            "getPins",
            "The pinned messages of a conversation, the latest pin first.",
        )
        .path_parameter::<ConversationId>()
        .lists::<Vec<MessageView>>("The pinned messages: up to 50.")
        .fails_with([NotAParticipant]),
        call(
            "delete",
            "/api/messages/{id}",
            "deleteMessage",
            "Deletes a message for everyone, or hides it from the caller only.",
        )
        .path_parameter::<MessageId>()
        .query::<delete::Deletion>()
        .returns::<Option<MessageView>>(
            200,
            "What remains of the message; null if it was only hidden.",
        )
        .fails_with([NotAParticipant, NotTheSender, NotFound(""), Conflict("")])
        .limited(),
        call(
            "delete",
            "/api/messages/conversation/{id}",
            "deleteConversation",
            "Removes a conversation from the caller's inbox and hides its history so far from them only.",
        )
        .path_parameter::<ConversationId>()
        .acknowledges("It is removed until its next message.")
        .fails_with([NotAParticipant]),
    ]
}

fn attachments() -> Vec<Operation> {
    let call = |method, path, id, summary| call(method, path, Tag::Attachments, id, summary);
    vec![
        call(
            "post",
            "/api/attachments",
            "createUpload",
            "Asks for an upload. The answer has a form to post, and the id under which a send uses the file.",
        )
        .accepts::<NewUpload>(json!({"file_name": "photo.jpg", "content_type": "image/jpeg", "size": 48_211}))
        .returns::<Offer>(
            201,
            "Post the form as `multipart/form-data`: its fields first, the file last, as `file`.",
        )
        .fails_with([FileTooLarge(1), NotFound("")])
        .limited(),
        call(
            "get",
            "/api/attachments/{id}",
            "getFile",
            "The `url` of an attachment, which contains all that is needed. It is the same for a day.",
        )
        .path_parameter::<FileId>()
        .query::<attachments::Link>()
        .redirects("The file, for 5 minutes.")
        .fails_with([NotFound("")])
        .without_token(),
        call("get", "/api/pictures/{id}", "getPicture", "The picture of a user or group.")
            .path_parameter::<FileId>()
            .redirects("The picture, for 5 minutes.")
            .fails_with([NotFound("")])
            .without_token(),
    ]
}

fn conversations() -> Vec<Operation> {
    let call = |method, path, id, summary| call(method, path, Tag::Conversations, id, summary);
    vec![
        call(
            "post",
            "/api/conversations",
            "createConversation",
            "Opens a direct conversation or creates a group.",
        )
        .accepts::<conversations::New>(
            json!({"type": "group", "name": "Hikers", "participant_ids": ["bob", "carol"]}),
        )
        .returns::<ConversationView>(201, "The caller's row.")
        .returns::<ConversationView>(200, "The caller's row: the conversation already exists.")
        .fails_with([NotAParticipant, NotFound(""), Blocked, Conflict("")])
        .links_to(
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
            "A conversation and a page of its participants.",
        )
        .path_parameter::<ConversationId>()
        .query::<conversations::Page>()
        .lists::<conversations::ConversationDetails>("The conversation and up to 100 participants.")
        .fails_with([NotAParticipant]),
        call(
            "patch",
            "/api/conversations/{id}",
            "changeConversation",
            "Changes a group's or room's name, description or photo. Admins only.",
        )
        .path_parameter::<ConversationId>()
        .accepts::<conversations::Change>(json!({"name": "Night hikers"}))
        .returns::<ConversationView>(200, "The caller's row.")
        .fails_with([
            NotAParticipant,
            NotAnAdmin,
            AlreadyExists(""),
            NotFound(""),
            NotUploaded(""),
            Conflict(""),
        ])
        .limited(),
        call(
            "patch",
            "/api/conversations/{id}/me",
            "changeSettings",
            "Changes the caller's own settings of a conversation: muted, notification level, pinned, archived.",
        )
        .path_parameter::<ConversationId>()
        .accepts::<SettingsChange>(json!({"muted_until": "always"}))
        .returns::<ConversationView>(200, "The caller's row.")
        .fails_with([NotAParticipant, Conflict("")])
        .limited(),
        call(
            "post",
            "/api/conversations/{id}/participants",
            "addParticipants",
            "Adds users to a group. Admins only.",
        )
        .path_parameter::<ConversationId>()
        .accepts::<conversations::Newcomers>(json!({"user_ids": ["dave"]}))
        .returns::<ConversationView>(200, "The caller's row.")
        .fails_with([NotAParticipant, NotAnAdmin, Blocked, NotFound(""), Conflict("")])
        .limited(),
        call(
            "patch",
            "/api/conversations/{id}/participants/{user_id}",
            "setAdmin",
            "Makes a participant an admin, or revokes the role. Admins only.",
        )
        .path_parameter::<ConversationId>()
        .path_parameter::<UserId>()
        .accepts::<conversations::Role>(json!({"is_admin": true}))
        .acknowledges("The role is set.")
        .fails_with([NotAParticipant, NotAnAdmin, NotFound(""), Conflict("")])
        .limited(),
        call(
            "delete",
            "/api/conversations/{id}/participants/{user_id}",
            "removeParticipant",
            "Removes a participant. Users may remove themselves; admins may remove anyone.",
        )
        .path_parameter::<ConversationId>()
        .path_parameter::<UserId>()
        .acknowledges("The participant is removed.")
        .fails_with([NotAParticipant, NotAnAdmin, NotFound("")])
        .limited(),
    ]
}

fn rooms() -> Vec<Operation> {
    let call = |method, path, id, summary| call(method, path, Tag::Rooms, id, summary);
    vec![
        call("post", "/api/rooms", "createRoom", "Creates a room that anyone may join.")
            .accepts::<rooms::New>(json!({"name": "Lobby", "description": "Come in"}))
            .returns::<ConversationView>(201, "The caller's row.")
            .fails_with([AlreadyExists("")])
            .links_to(
                "conversation_id",
                &["joinRoom", "leaveRoom", "getRoomUsers", "deleteRoom", "changeConversation"],
            )
            .limited(),
        call("get", "/api/rooms", "getRooms", "All rooms, ordered by name.")
            .query::<ListPage>()
            .lists::<Vec<RoomView>>("A page of rooms."),
        call("delete", "/api/rooms/{id}", "deleteRoom", "Deletes a room. Its owner only: its creator or, after the owner has left, the longest-standing participant.")
            .path_parameter::<ConversationId>()
            .acknowledges("The room is deleted for everyone.")
            .fails_with([NotAnAdmin, NotFound("")]),
        call("post", "/api/rooms/{id}/join", "joinRoom", "Joins a room, from its last 100 messages on.")
            .path_parameter::<ConversationId>()
            .returns::<ConversationView>(200, "The caller's row.")
            .fails_with([NotFound(""), Conflict("")])
            .limited(),
        call("post", "/api/rooms/{id}/leave", "leaveRoom", "Leaves a room.")
            .path_parameter::<ConversationId>()
            .acknowledges("The caller has left.")
            .fails_with([NotAParticipant])
            .limited(),
        call("get", "/api/rooms/{id}/users", "getRoomUsers", "The users in a room, those online first.")
            .path_parameter::<ConversationId>()
            .query::<ListPage>()
            .lists::<Vec<RoomUser>>("A page of users.")
            .fails_with([NotAParticipant, NotFound("")]),
    ]
}

fn blocks() -> Vec<Operation> {
    let call = |method, path, id, summary| call(method, path, Tag::Users, id, summary);
    vec![
        call(
            "post",
            "/api/messages/block-user",
            "blockUser",
            "Blocks a user: neither can send to the other in their direct conversation.",
        )
        .accepts::<block::Block>(json!({"blocked_user_id": "mallory"}))
        .or_form::<block::Block>()
        .acknowledges("The user is blocked.")
        .fails_with([NotFound("")])
        .limited(),
        call(
            "delete",
            "/api/messages/block-user/{user_id}",
            "unblockUser",
            "Removes the caller's block of a user.",
        )
        .path_parameter::<UserId>()
        .acknowledges("The user is not blocked.")
        .limited(),
        call(
            "get",
            "/api/messages/blocked-users",
            "getBlockedUsers",
            "The users whom the caller has blocked.",
        )
        .query::<ListPage>()
        .lists::<Vec<BlockedUser>>("A page of users."),
    ]
}

fn users() -> Vec<Operation> {
    let call = |method, path, id, summary| call(method, path, Tag::Users, id, summary);
    vec![
        call("get", "/api/users/me", "getMe", "The caller's profile. The first call creates it.")
            .returns::<UserView>(200, "The profile, with `email`."),
        call(
            "patch",
            "/api/users/me",
            "changeMe",
            "Changes the caller's name or picture. Null removes the picture.",
        )
        .accepts::<ProfileChange>(json!({"full_name": "Alice Example"}))
        .returns::<UserView>(200, "The changed profile.")
        .fails_with([NotFound(""), NotUploaded(""), Conflict("")])
        .limited(),
        call("get", "/api/users/{id}", "getUser", "The profile of a user.")
            .path_parameter::<UserId>()
            .returns::<UserView>(200, "The profile, without `email`.")
            .fails_with([NotFound("")]),
        call(
            "get",
            "/api/users",
            "findUsers",
            "Users, found by the start of a username or of a word of their name.",
        )
        .query::<users::Search>()
        .lists::<Vec<UserView>>(
            "A page of users. It may be shorter than its limit and still have a `next_cursor`.",
        )
        .fails_with([NotFound("")])
        .limited(),
    ]
}

fn accounts() -> Vec<Operation> {
    let call = |method, path, id, summary| call(method, path, Tag::Accounts, id, summary);
    let token = || json!({"refresh_token": "a token from a login"});
    vec![
        call("post", "/api/auth/register", "register", "Creates an account.")
            .accepts::<auth::Registration>(json!({
                "username": "alice", "email": "alice@example.com", "password": "correct horse battery",
            }))
            .returns::<UserView>(201, "The user.")
            .fails_with([AlreadyExists(""), NotFound("")])
            .limited()
            .without_token(),
        call("post", "/api/auth/login", "login", "Starts a session, by username or e-mail address.")
            .accepts::<auth::Login>(json!({"username": "alice", "password": "correct horse battery"}))
            .returns::<auth::LoggedIn>(200, "A pair of tokens and the user.")
            .fails_with([NotAuthenticated(""), NotFound("")])
            .limited()
            .without_token(),
        call(
            "post",
            "/api/auth/refresh",
            "refreshSession",
            "A new pair of tokens. For 30 s, the token just replaced returns the same pair again; any other \
             reuse ends the session.",
        )
        .accepts::<session::Body>(token())
        .returns::<Tokens>(200, "The new pair.")
        .fails_with([NotAuthenticated(""), NotFound("")])
        .limited()
        .without_token(),
        call(
            "post",
            "/api/auth/logout",
            "logout",
            "Ends a session. Its access token stays valid until it expires.",
        )
        .accepts::<session::Body>(token())
        .acknowledges("The session has ended.")
        .fails_with([NotAuthenticated("")])
        .without_token(),
        call(
            "post",
            "/api/auth/change-password",
            "changePassword",
            "Changes the password and ends all other sessions.",
        )
        .accepts::<auth::PasswordChange>(json!({
            "current_password": "correct horse battery", "new_password": "wrong mule staple",
        }))
        .acknowledges("The password is changed.")
        .limited(),
        call(
            "delete",
            "/api/users/me",
            "deleteAccount",
            "Deletes the caller's account and profile. Their messages stay, without a name.",
        )
        .accepts::<auth::Deletion>(json!({"password": "correct horse battery"}))
        .acknowledges("The account is deleted.")
        .limited(),
    ]
}

fn live() -> Vec<Operation> {
    let call = |method, path, id, summary| call(method, path, Tag::Events, id, summary);
    vec![
        call(
            "get",
            "/api/events",
            "getEvents",
            "The events after a cursor, each once. Without a cursor: no events, only a cursor. Take it \
             first, load the inbox, then poll from it.",
        )
        .query::<events::Page>()
        .returns::<events::Events>(200, "Events in the order of their ids, and when to poll again.")
        .fails_with([CursorExpired]),
        call(
            "post",
            "/api/typing",
            "setTyping",
            "Signals that the caller is typing, for 6 s, or has stopped.",
        )
        .accepts::<typing::Signal>(json!({"conversation_id": CONVERSATION, "is_typing": true}))
        .acknowledges("The signal is sent, or dropped if a block exists.")
        .fails_with([NotAParticipant])
        .limited(),
        call("put", "/api/presence", "setPresence", "Sets the caller's presence.")
            .accepts::<presence::Change>(json!({"status": "away"}))
            .returns::<PresenceView>(200, "The new presence.")
            .fails_with([NotAParticipant])
            .limited(),
        call(
            "get",
            "/api/presence",
            "getPresence",
            "The presence of some users as the caller may see it, in the order of the query.",
        )
        .query::<presence::PresenceQuery>()
        .lists::<Vec<PresenceView>>("One entry per user."),
        call(
            "post",
            "/api/ws-ticket",
            "createSocketTicket",
            "Issues a ticket that opens one socket within 30 s.",
        )
        .returns::<ws_ticket::Ticket>(201, "The ticket.")
        .limited(),
    ]
}

fn pushes() -> Vec<Operation> {
    let call = |method, path, id, summary| call(method, path, Tag::Notifications, id, summary);
    let off = || [NotFound("")];
    vec![
        call("get", "/api/push/key", "getPushKey", "The key to which browsers bind their push subscriptions.")
            .returns::<push::PushKey>(200, "The key.")
            .fails_with(off())
            .without_token(),
        call(
            "put",
            "/api/push/subscriptions",
            "subscribeToPushes",
            "Stores a push subscription of the caller's browser. It ends with the session of the token. A user has up to \
             10; the oldest goes.",
        )
        .accepts::<SubscriptionFields>(json!({
            "endpoint": "https://updates.push.services.mozilla.com/wpush/v2/example",
            "keys": {
                "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
                "auth": "BTBZMqHH6r4Tts7J_aSIgg",
            },
        }))
        .returns::<push::Subscribed>(201, "It is stored.")
        .returns::<push::Subscribed>(200, "Its endpoint was known.")
        .fails_with(off())
        .links_to("id", &["unsubscribeFromPushes"])
        .limited(),
        call("get", "/api/push/subscriptions", "getPushSubscriptions", "The caller's push subscriptions.")
            .lists::<Vec<SubscriptionView>>("The subscriptions, the oldest first."),
        call(
            "delete",
            "/api/push/subscriptions/{id}",
            "unsubscribeFromPushes",
            "Removes a push subscription. Removing it again changes nothing.",
        )
        .path_parameter::<SubscriptionId>()
        .acknowledges("It is removed.")
        .limited(),
        call(
            "post",
            "/api/push/test",
            "testPushes",
            "Sends a notification to all of the caller's push subscriptions at once.",
        )
        .returns::<push::Tested>(200, "What became of it.")
        .fails_with(off())
        .limited(),
    ]
}

fn operations() -> Vec<Operation> {
    let call = |method, path, id, summary| call(method, path, Tag::Operations, id, summary);
    let object: Value = json!({"type": "object"});
    vec![
        call("get", "/health", "getHealth", "Checks the service: its database and clock.")
            .returns_plain(
                "application/json",
                "The service is healthy.",
                json!({"type": "object", "properties": {"status": {"type": "string"}}, "required": ["status"]}),
            )
            .without_token(),
        call("get", "/api/openapi.json", "getOpenApi", "This document.")
            .returns_plain("application/json", "The document.", object)
            .infallible(),
    ]
}
