//! Direct messages, one call after the other.

use harness::World;

#[tokio::test]
async fn a_message_reaches_the_inbox() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let sent = alice.send("bob", "See you soon!").await.expect(201);
    assert_eq!(sent.data()["sender_id"], "alice");
    let row = bob.row("alice").await.unwrap();
    assert_eq!((&row["last_message"], &row["unread_count"]), (&"See you soon!".into(), &1.into()));
    assert_eq!(row["last_message_from_me"], false);
    assert_eq!((alice.unread().await, bob.unread().await), (0, 1));
}
