use super::*;
use domain::Timestamp;
use service::testing::{Bench, push};

async fn tell(bench: &Bench, key: &str, at: Timestamp) -> u16 {
    let used = KeyUsed { hash: service::api_key::hash(key), at };
    bench.tell(FUNCTION, push(&serde_json::to_value(used).unwrap())).await.as_u16()
}

async fn last_use(bench: &Bench) -> Option<Timestamp> {
    bench.world.docs.get::<ApiKey>(&ApiKey::path("u1")).await.unwrap().value.last_used_at
}

#[tokio::test]
async fn the_last_use_is_written_once_an_hour_and_never_moves_back() {
    let bench = Bench::new().await;
    let first = last_use(&bench).await.unwrap();
    let (soon, later) = (first.plus_seconds(3599), first.plus_seconds(3600));
    assert_eq!((tell(&bench, "u1", soon).await, last_use(&bench).await), (204, Some(first)));
    assert_eq!((tell(&bench, "u1", later).await, last_use(&bench).await), (204, Some(later)));
    assert_eq!((tell(&bench, "u1", soon).await, last_use(&bench).await), (204, Some(later)), "a late message");
}

#[tokio::test]
async fn the_use_of_a_revoked_key_brings_nothing_back() {
    let bench = Bench::new().await;
    let path = ApiKey::path("u1");
    bench.world.docs.commit(vec![platform::Write::Delete { path: path.clone(), version: None }]).await.unwrap();
    assert_eq!(tell(&bench, "u1", bench.now().plus_seconds(7200)).await, 204);
    assert!(bench.world.docs.find::<ApiKey>(&path).await.unwrap().is_none());
}
