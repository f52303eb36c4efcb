//! The sweep: what dead sends leave is removed, and nothing that a message or an owner of a picture holds.

use std::time::Duration;

use aws_lambda_events::apigw::ApiGatewayWebsocketProxyRequest;
use domain::caller::Caller;
use edge::socket::context_of;
use futures_util::future::join_all;
use harness::storage::{Fault, Files, fetch, png, post_form};
use harness::{Actor, World};
use local::gateway::socket_functions;
use local::secrets::days_from_now;
use observe::meter::{self, Meter};
use serde_json::{Value, json};
use sweep::Swept;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::Instant;

use super::url;

const HOUR: i64 = 3_600_000;
/// When an upload of now has expired for more than an hour.
const LATER: i64 = 26 * HOUR;

/// Runs the sweep on a machine whose clock is ahead.
async fn sweep_after(world: &World, files: &Files, millis: i64) -> Result<Swept, String> {
    let later = world.with_storage_off_by(files, millis);
    let call = async {
        meter::serve_as("sweep");
        sweep::handle(later.app.clone(), Value::Null).await
    };
    Meter::default().watch(call).await
}

pub(super) async fn sweep(world: &World, files: &Files) -> Result<Swept, String> {
    sweep_after(world, files, LATER).await
}

fn swept(claims: usize, removed: usize) -> Swept {
    Swept { claims, removed }
}

/// Leaves a copy that no message holds: the send is refused, but its copy cannot be deleted.
async fn leave_a_copy(
    files: &Files,
    (from, to): (&Actor, &Actor),
    call: impl Future<Output = harness::Answer>,
) {
    to.block(&from.id).await.expect(200);
    files.inject(|method, _| if method == "DELETE" { Fault::Fails } else { Fault::None });
    call.await.refused(403, "blocked");
    files.heal();
    to.unblock(&from.id).await.expect(200);
}

#[tokio::test]
async fn a_copy_without_a_message_is_removed() {
    let (world, files) = World::with_files().await;
    let (alice, bob) = world.two().await;
    let id = alice.upload("a.png", &png(4, 4)).await;
    leave_a_copy(&files, (&alice, &bob), alice.send_files("bob", &[&id])).await;
    assert_eq!(files.below("f/").len(), 1);
    // The upload can be used for a day, and then a clock may be wrong.
    assert_eq!(sweep_after(&world, &files, 24 * HOUR).await, Ok(swept(0, 0)));
    assert_eq!(sweep(&world, &files).await, Ok(swept(1, 1)));
    assert!(files.below("f/").is_empty() && files.below("c/").is_empty());
    // A mistake could be undone for 30 days.
    assert_eq!(files.below("d/").len(), 1);
    files.storage.sweep_at(days_from_now(31)).await;
    assert!(files.keys().is_empty());
    assert_eq!(sweep(&world, &files).await, Ok(swept(0, 0)));
}

#[tokio::test]
async fn what_a_message_holds_stays_whatever_became_of_it() {
    let (world, files) = World::with_files().await;
    let (alice, bob) = world.two().await;
    let (file, preview) = (vec![7; 300], png(3, 2));
    let more = json!({"preview_size": preview.len()});
    let asked = alice.ask("raw.bin", "application/octet-stream", file.len(), &more).await.expect(201);
    post_form(&asked.data()["upload"], &[], &file).await.expect(204);
    post_form(&asked.data()["preview_upload"], &[], &preview).await.expect(204);
    let with_preview = asked.data()["attachment_id"].as_str().unwrap().to_owned();
    let mut sent = vec![alice.send_files_once("bob", &[&with_preview], "once").await.expect(201)];
    // A retry has made and deleted copies of its own.
    alice.send_files_once("bob", &[&with_preview], "once").await.expect(200);
    for name in ["edited", "hidden", "deleted", "left", "restored"] {
        let id = alice.upload(&format!("{name}.png"), &png(4, 4)).await;
        sent.push(alice.send_files("bob", &[&id]).await.expect(201));
    }
    alice.edit(&sent[1].id(), "a new text").await.expect(200);
    alice.hide(&sent[2].id()).await.expect(200);
    bob.hide(&sent[2].id()).await.expect(200);
    alice.unsend(&sent[3].id()).await.expect(200);
    // The file of this deletion could not be moved.
    files.inject(|_, _| Fault::Fails);
    alice.unsend(&sent[4].id()).await.refused(503, "unavailable");
    files.heal();
    // And this restore has moved the file back, but not restored the message yet.
    alice.unsend(&sent[5].id()).await.expect(200);
    let restored = sent[5].id().parse().unwrap();
    let moved = world.app.store.recoverable_files(&restored).await.unwrap();
    world.app.files.restore(&moved).await.unwrap();
    let before = [files.below("f/"), files.below("d/")];
    assert_eq!([before[0].len(), before[1].len()], [6, 1]);
    assert_eq!(sweep(&world, &files).await, Ok(swept(6, 0)));
    assert_eq!([files.below("f/"), files.below("d/")], before);
    assert!(files.below("c/").is_empty());
    world.app.store.restore_message(&restored).await.unwrap();
    for index in [0, 1, 2, 5] {
        bob.load(url(sent[index].data())).await.expect(200);
    }
    bob.load(sent[0].data()["attachments"][0]["preview_url"].as_str().unwrap()).await.expect(200);
}

#[tokio::test]
async fn a_message_is_found_behind_many_others_and_whatever_the_clocks_say() {
    let (world, files) = World::with_files().await;
    let (alice, bob) = world.two().await;
    // The clock of another machine is an hour ahead, so that later messages get stamps of that time, too.
    let ahead = world.with_clock_off_by(HOUR).stranger("bob");
    let id = alice.upload("a.png", &png(4, 4)).await;
    let talk = std::sync::Mutex::new(Some(ahead));
    files.inject(move |_, key| {
        let Some(bob) = talk.lock().unwrap().take_if(|_| key.starts_with("f/")) else { return Fault::None };
        // While the file is being copied, others write.
        Fault::After(Box::pin(async move {
            for n in 0..20 {
                bob.send("alice", &format!("message {n}")).await.expect(201);
            }
        }))
    });
    let sent = alice.send_files("bob", &[&id]).await.expect(201);
    files.heal();
    assert_eq!(bob.page("alice").await.len(), 21);
    let orphan = alice.upload("b.png", &png(4, 4)).await;
    leave_a_copy(&files, (&alice, &bob), alice.send_files("bob", &[&orphan])).await;
    assert_eq!(sweep(&world, &files).await, Ok(swept(2, 1)));
    bob.load(url(sent.data())).await.expect(200);
    assert_eq!(files.below("f/").len(), 1);
}

#[tokio::test]
async fn forwarded_files_are_swept_as_others_are() {
    let (world, files) = World::with_files().await;
    let [alice, bob, carol] = world.users(["alice", "bob", "carol"]).await;
    let id = alice.upload("a.png", &png(4, 4)).await;
    let sent = alice.send_files("bob", &[&id]).await.expect(201);
    let forward = json!({"recipient_id": "carol", "forward": sent.id()});
    let forwarded = bob.post("/api/messages/send", &forward).await.expect(201);
    // By a socket as well.
    let caller = Caller {
        user: bob.id.parse().unwrap(),
        name: None,
        picture: None,
        expires: days_from_now(1),
        session: None,
    };
    let mut event = ApiGatewayWebsocketProxyRequest::default();
    event.request_context.connection_id = Some("his".to_owned());
    event.request_context.authorizer.fields = serde_json::from_value(context_of(&caller).unwrap()).unwrap();
    let frame = json!({"action": "send", "recipient_id": "carol", "forward": sent.id()});
    event.body = Some(frame.to_string());
    let _ = (socket_functions(&world.app).message)(event).await;
    assert_eq!(carol.page("bob").await.len(), 2);
    leave_a_copy(&files, (&bob, &carol), bob.post("/api/messages/send", &forward)).await;
    alice.unsend(&sent.id()).await.expect(200);
    assert_eq!([files.below("f/").len(), files.below("c/").len()], [3, 4]);
    assert_eq!(sweep(&world, &files).await, Ok(swept(4, 1)));
    assert_eq!([files.below("f/").len(), files.below("c/").len()], [2, 0]);
    for message in carol.page("bob").await.iter().chain([forwarded.data()]) {
        assert_eq!(carol.load(url(message)).await.expect(200).body, png(4, 4));
    }
}

#[tokio::test]
async fn pictures_that_are_nobodys_are_removed() {
    let (world, files) = World::with_files().await;
    let (alice, bob) = world.two().await;
    let group = alice.group("Hikers", &["bob"]).await;
    let me = async |width| {
        let id = alice.upload_for("picture", "me.png", &png(width, 8)).await;
        alice.patch("/api/users/me", &json!({"avatar_attachment_id": id})).await
    };
    let us = async |width| {
        let id = alice.upload_for("picture", "us.png", &png(width, 8)).await;
        alice.change(&group, &json!({"photo_attachment_id": id})).await
    };
    me(1).await.expect(200);
    us(1).await.expect(200);
    // The pictures that others replace are left over.
    files.inject(|method, _| if method == "DELETE" { Fault::Fails } else { Fault::None });
    let mine = me(2).await.expect(200).data()["avatar_url"].as_str().unwrap().to_owned();
    let ours = us(2).await.expect(200).data()["photo_url"].as_str().unwrap().to_owned();
    files.heal();
    // The database goes away between the copy and the change.
    for change in 0..2 {
        let wire = world.wire.clone();
        files.inject(move |method, key| {
            let wire = wire.clone();
            let is_copy = method == "PUT" && key.starts_with("p/");
            if is_copy { Fault::After(Box::pin(async move { wire.away_after(0) })) } else { Fault::None }
        });
        let answer = if change == 0 { me(3).await } else { us(3).await };
        answer.refused(503, "unavailable");
        world.wire.heal();
        files.heal();
    }
    assert_eq!(files.below("p/").len(), 6);
    assert_eq!(sweep(&world, &files).await.unwrap().claims, 6);
    assert_eq!([files.below("p/").len(), files.below("c/").len()], [2, 0]);
    for address in [&mine, &ours] {
        bob.load(address).await.expect(200);
    }
    // A young picture has a claim of its own.
    me(4).await.expect(200);
    assert_eq!(sweep_after(&world, &files, 0).await, Ok(swept(0, 0)));
    assert_eq!(files.below("p/").len(), 2);
}

/// Lets the storage do its call number `call` and all later ones without answering. Returns a channel that tells when it
/// has come to that.
fn hang_at(files: &Files, call: usize) -> UnboundedReceiver<()> {
    let (reached, reaches) = unbounded_channel();
    let mut seen = 0;
    files.inject(move |_, _| {
        seen += 1;
        if seen < call {
            return Fault::None;
        }
        let _ = reached.send(());
        Fault::After(Box::pin(std::future::pending()))
    });
    reaches
}

/// Sends an image, and dies at the storage's call number `call`. Returns the calls that it made.
async fn send_and_die(files: &Files, alice: &Actor, id: &str, call: usize) -> usize {
    let mut reached = hang_at(files, call);
    let ids = [id];
    tokio::select! {
        _ = alice.send_files_once("bob", &ids, "once") => {}
        _ = reached.recv() => {}
    }
    files.heal();
    files.calls().len()
}

#[tokio::test]
async fn a_sweep_that_dies_is_finished_by_the_next() {
    // The calls: the list; of each claim, to read and to delete it; of the copy, to look for it, to copy and to delete it;
    // and the list behind these claims.
    for call in 1..=9 {
        let (world, files) = World::with_files().await;
        let (alice, bob) = world.two().await;
        let [kept, left] = [alice.upload("a.png", &png(4, 4)).await, alice.upload("b.png", &png(4, 4)).await];
        let sent = alice.send_files("bob", &[&kept]).await.expect(201);
        leave_a_copy(&files, (&alice, &bob), alice.send_files("bob", &[&left])).await;
        let mut reached = hang_at(&files, call);
        tokio::select! {
            swept = sweep(&world, &files) => panic!("it has ended before call {call}: {swept:?}"),
            _ = reached.recv() => {}
        }
        files.heal();
        bob.load(url(sent.data())).await.expect(200);
        // Two at once finish what it has begun.
        for outcome in join_all([sweep(&world, &files), sweep(&world, &files)]).await {
            outcome.unwrap();
        }
        assert_eq!([files.below("f/").len(), files.below("c/").len()], [1, 0], "call {call}");
        bob.load(url(sent.data())).await.expect(200);
    }
}

#[tokio::test]
async fn a_send_that_dies_anywhere_leaves_nothing_for_ever() {
    // The calls of a send: check, claim, copy.
    for call in 1..=3 {
        for is_repeated in [false, true] {
            let (world, files) = World::with_files().await;
            let (alice, bob) = world.two().await;
            let id = alice.upload("a.png", &png(4, 4)).await;
            files.calls();
            assert_eq!(send_and_die(&files, &alice, &id, call).await, call);
            if is_repeated {
                alice.send_files_once("bob", &[&id], "once").await.expect(201);
            }
            sweep(&world, &files).await.unwrap();
            let page = bob.page("alice").await;
            assert_eq!((page.len(), files.below("f/").len()), (usize::from(is_repeated), page.len()));
            for message in &page {
                assert_eq!(bob.load(url(message)).await.expect(200).body, png(4, 4));
            }
            assert!(files.below("c/").is_empty());
        }
    }
}

#[tokio::test]
async fn a_copy_that_ends_after_its_send_is_removed_too() {
    let (world, files) = World::with_files().await;
    let (alice, bob) = world.two().await;
    let id = alice.upload("a.png", &png(4, 4)).await;
    // The storage takes so long that the send gives up, and deletes the copy before it is there.
    files.inject(|method, key| {
        let is_copy = method == "PUT" && key.starts_with("f/");
        let late = tokio::time::sleep(Duration::from_secs(7));
        if is_copy { Fault::After(Box::pin(late)) } else { Fault::None }
    });
    alice.send_files("bob", &[&id]).await.refused(503, "unavailable");
    files.heal();
    // The upload may be used by another send, which does not take its claim's memory.
    let sent = alice.send_files("bob", &[&id]).await.expect(201);
    let deadline = Instant::now() + Duration::from_secs(20);
    while files.below("f/").len() < 2 {
        assert!(Instant::now() < deadline, "the first copy is complete");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    sweep(&world, &files).await.unwrap();
    assert_eq!(files.below("f/").len(), 1);
    bob.load(url(sent.data())).await.expect(200);
}

#[tokio::test]
async fn a_sweep_that_cannot_know_removes_nothing() {
    let (world, files) = World::with_files().await;
    let (alice, bob) = world.two().await;
    let id = alice.upload("a.png", &png(4, 4)).await;
    leave_a_copy(&files, (&alice, &bob), alice.send_files("bob", &[&id])).await;
    let before = files.keys();
    world.wire.away_after(0);
    sweep(&world, &files).await.unwrap_err();
    world.wire.heal();
    files.inject(|_, _| Fault::Fails);
    sweep(&world, &files).await.unwrap_err();
    files.inject(|_, key| if key.starts_with("c/") { Fault::Fails } else { Fault::None });
    sweep(&world, &files).await.unwrap_err();
    files.heal();
    assert_eq!(files.keys(), before);
    // Its time may be over at once.
    let later = world.with_storage_off_by(&files, LATER);
    assert_eq!(sweep::handle_until(later.app.clone(), Instant::now()).await, Ok(swept(0, 0)));
    assert_eq!(files.keys(), before);
    // An object that is no claim does not stop it.
    let foreign = files.storage.folder().unwrap().join("objects/c/foreign.json");
    std::fs::write(&foreign, "{}").unwrap();
    assert_eq!(sweep(&world, &files).await, Ok(swept(1, 1)));
    assert!(foreign.exists());
}

#[tokio::test]
async fn a_sweep_goes_on_behind_the_first_page_of_claims() {
    let (world, files) = World::with_files().await;
    let (alice, _bob) = world.two().await;
    for _ in 0..31 {
        let ids = join_all((0..10).map(|_| async { alice.upload("a.png", &png(4, 4)).await })).await;
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        alice.send_files("bob", &ids).await.expect(201);
    }
    assert_eq!(sweep(&world, &files).await, Ok(swept(310, 0)));
    assert_eq!([files.below("f/").len(), files.below("c/").len()], [310, 0]);
}

#[tokio::test]
async fn a_world_without_files_has_nothing_to_sweep() {
    let world = World::new().await;
    assert_eq!(sweep::handle(world.app.clone(), Value::Null).await, Ok(swept(0, 0)));
    let (world, files) = World::with_files().await;
    assert_eq!(sweep(&world, &files).await, Ok(swept(0, 0)), "an untouched storage");
}

#[tokio::test]
async fn the_storage_lists_folders_for_those_who_sign() {
    let (_world, files) = World::with_files().await;
    let list = format!("{}/{}/?list-type=2&max-keys=10&prefix=c%2F", files.url, local::storage::BUCKET);
    fetch("GET", &list, &[], Vec::new()).await.expect(403);
}
