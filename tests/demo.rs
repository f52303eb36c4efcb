//! The ready-made people and conversations.

use harness::World;

#[tokio::test(flavor = "multi_thread")]
async fn timing() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::on(local::engine::Engine::on_disk(&folder.path().join("tidings.db")).unwrap()).await;
    let began = std::time::Instant::now();
    local::demo::fill(&world.app).await.unwrap();
    eprintln!("filled in {:?}", began.elapsed());
}
