//! A snapshot of most key formats of the table.

use domain::account::UniqueName;
use domain::id::{Clock, ConversationId, MessageId, SessionId, Stamp, UserId};

use crate::{
    accounts, archives, buckets, delivered, directory, inbox, messages, moves, notifying, profiles, queue,
    sending, sessions, subscriptions,
};

#[test]
fn the_keys_of_the_table() {
    let (alice, bob): (UserId, UserId) = ("alice".parse().unwrap(), "bob".parse().unwrap());
    let conversation = ConversationId::direct(&alice, &bob);
    let stamp = Stamp::first_of(Clock::default().now()).plus(1);
    let id = MessageId { conversation: conversation.clone(), stamp };
    let session: SessionId = "00000000-0000-4000-8000-000000000000".parse().unwrap();
    let all = [
        profiles::key(&alice),
        inbox::totals_key(&alice),
        inbox::key(&alice, &conversation),
        queue::key(&alice, stamp),
        delivered::key(&alice, &[0; 16]),
        messages::key(&id),
        archives::pack_key("1"),
        archives::user_index_key(&alice),
        archives::index_key(&conversation),
        archives::mark_key(&id),
        moves::key(&conversation, Some(stamp), &bob, None),
        moves::key(&conversation, None, &bob, Some(&alice)),
        sending::key(&conversation, &bob, "k 1"),
        accounts::key(&alice),
        accounts::guard_key(&UniqueName::to_sign_in("Alice")),
        accounts::guard_key(&UniqueName::to_sign_in("A@x.example")),
        sessions::key(&alice, &session),
        directory::key("ann#a", &alice),
        buckets::key("login#::1"),
        subscriptions::key(&alice),
        notifying::key(&alice, &conversation),
        notifying::waiting_key(&alice),
        notifying::listener_key(&conversation, &bob),
    ];
    let shown = all.map(|key| format!("{} | {}", key.pk, key.sk)).join("\n");
    let shown = shown.replace(conversation.as_str(), "<conversation>").replace(&stamp.to_string(), "<stamp>");
    insta::assert_snapshot!(shown, @r"
    U#alice | PROFILE
    U#alice | TOTALS
    U#alice | C#<conversation>
    Q#alice | E#<stamp>
    Q#alice | D#----------------------
    C#<conversation> | M#<stamp>
    A#1 | PACK
    U#alice | ARCHIVE
    C#<conversation> | A#INDEX
    C#<conversation> | A#E#<stamp>
    C#<conversation> | R#bob#<stamp>
    C#<conversation> | R#1#
    C#<conversation> | K#bob#k 1
    U#alice | ACCOUNT
    N#username#alice | GUARD
    N#email#a@x.example | GUARD
    U#alice | F#00000000-0000-4000-8000-000000000000
    S#a | ann#a#alice
    L#login#::1 | BUCKET
    U#alice | DEVICES
    U#alice | N#<conversation>
    WAITING | H#alice
    C#<conversation> | B#bob
    ");
}
