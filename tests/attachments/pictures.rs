//! The pictures of users and groups.

use harness::World;
use harness::storage::{PUBLIC_URL, png};
use serde_json::{Value, json};

#[tokio::test]
async fn people_have_pictures() {
    let (world, files) = World::with_files().await;
    let (alice, bob) = world.two().await;
    alice.send("bob", "hello").await.expect(201);
    let first = alice.upload_for("picture", "me.png", &png(128, 128)).await;
    let me = alice.patch("/api/users/me", &json!({"avatar_attachment_id": first})).await.expect(200);
    let address = me.data()["avatar_url"].as_str().unwrap().to_owned();
    assert!(address.starts_with(PUBLIC_URL) && address.len() <= 500, "{address}");
    assert_eq!(bob.row("alice").await.unwrap()["photo_url"], address);
    let loaded = world.anonymous().load(&address).await.expect(200);
    assert_eq!(
        (loaded.body.as_ref(), loaded.header("content-type")),
        (png(128, 128).as_slice(), "image/png")
    );
    assert_eq!(loaded.header("cache-control"), "public, max-age=31536000, immutable");
    // A repetition changes nothing.
    let again = alice.patch("/api/users/me", &json!({"avatar_attachment_id": first})).await.expect(200);
    assert_eq!(again.data()["avatar_url"], address);
    alice.load(&address).await.expect(200);

    let second = alice.upload_for("picture", "me.png", &png(64, 64)).await;
    let me = alice.patch("/api/users/me", &json!({"avatar_attachment_id": second})).await.expect(200);
    alice.load(&address).await.expect(404);
    alice.load(me.data()["avatar_url"].as_str().unwrap()).await.expect(200);
    assert_eq!(files.below("p/").len(), 1);
    alice.patch("/api/users/me", &json!({"avatar_url": null})).await.expect(200);
    assert!(files.below("p/").is_empty());
}

#[tokio::test]
async fn only_pictures_of_ones_own_become_pictures() {
    let (world, files) = World::with_files().await;
    let (alice, bob) = world.two().await;
    let page = alice.upload_for("picture", "me.png", b"<html></html>").await;
    let moving = alice.upload_for("picture", "me.gif", b"GIF89a\x08\0\x08\0\0\0\0;").await;
    let message = alice.upload("me.png", &png(8, 8)).await;
    let bobs = bob.upload_for("picture", "me.png", &png(8, 8)).await;
    for id in [page.as_str(), &moving, &message, &bobs, "x", ""] {
        let answer = alice.patch("/api/users/me", &json!({"avatar_attachment_id": id})).await;
        answer.refused(400, "invalid_request");
    }
    let both = json!({"avatar_attachment_id": page, "avatar_url": "https://elsewhere.example/x"});
    alice.patch("/api/users/me", &both).await.refused(400, "invalid_request");
    let asked = alice.ask("a", "image/png", 100, &json!({"purpose": "picture"})).await.expect(201);
    let late = json!({"avatar_attachment_id": asked.data()["attachment_id"]});
    alice.patch("/api/users/me", &late).await.refused(409, "not_uploaded");
    assert!(files.below("p/").is_empty());
}

#[tokio::test]
async fn nobody_can_remove_the_picture_of_another() {
    let (world, files) = World::with_files().await;
    let (alice, bob) = world.two().await;
    let id = alice.upload_for("picture", "me.png", &png(8, 8)).await;
    let me = alice.patch("/api/users/me", &json!({"avatar_attachment_id": id})).await.expect(200);
    let address = me.data()["avatar_url"].clone();
    bob.patch("/api/users/me", &json!({"avatar_url": address})).await.expect(200);
    bob.patch("/api/users/me", &json!({"avatar_url": null})).await.expect(200);
    alice.load(address.as_str().unwrap()).await.expect(200);
    assert_eq!(files.below("p/").len(), 1);
}

#[tokio::test]
async fn groups_have_photos_that_admins_set() {
    let (world, files) = World::with_files().await;
    let (alice, bob) = world.two().await;
    let group = alice.group("Hikers", &["bob"]).await;
    let change = async |who: &harness::Actor| {
        let id = who.upload_for("picture", "us.png", &png(8, 8)).await;
        who.change(&group, &json!({"photo_attachment_id": id})).await
    };
    change(&bob).await.refused(403, "not_an_admin");
    assert!(files.below("p/").is_empty());
    let row = change(&alice).await.expect(200);
    let address = row.data()["photo_url"].as_str().unwrap().to_owned();
    assert_eq!(bob.row_of(&group).await.unwrap()["photo_url"], address);
    bob.load(&address).await.expect(200);
    change(&alice).await.expect(200);
    bob.load(&address).await.expect(404);
    assert_eq!(files.below("p/").len(), 1);
    let both = json!({"photo_attachment_id": "x", "photo_url": "https://elsewhere.example/x"});
    alice.change(&group, &both).await.refused(400, "invalid_request");
    alice.change(&group, &json!({"photo_url": Value::Null})).await.expect(200);
    assert!(files.below("p/").is_empty());
}

#[tokio::test]
async fn the_picture_goes_with_the_account() {
    let (world, files) = World::with_files().await;
    let carol = world.registered("carol").await.actor;
    let id = carol.upload_for("picture", "me.png", &png(8, 8)).await;
    carol.patch("/api/users/me", &json!({"avatar_attachment_id": id})).await.expect(200);
    assert_eq!(files.below("p/").len(), 1);
    carol.json("DELETE", "/api/users/me", &json!({"password": harness::PASSWORD})).await.expect(200);
    assert!(files.below("p/").is_empty());
}
