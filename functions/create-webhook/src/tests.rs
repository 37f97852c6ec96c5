use super::*;
use serde_json::{Value, json};
use service::{
    places,
    testing::{Bench, Reply},
    webhooks::Resolver,
};

const PATH: &str = "/api/v1/webhooks";

async fn create(bench: &Bench, user: &str, body: &Value) -> Reply {
    bench.post(FUNCTION, user, PATH, None, body).await
}

fn asking(url: &str) -> Value {
    json!({"url": url, "events": ["batch.completed"]})
}

#[tokio::test]
async fn an_endpoint_is_made_and_its_secret_is_shown() {
    let bench = Bench::new().await;
    let body = json!({"url": "HTTPS://Example.org/hook", "description": "our lab",
                      "events": ["batch.failed", "batch.completed", "batch.failed"]});
    let reply = create(&bench, "u1", &body).await;
    assert_eq!((reply.status, reply.text("/url")), (201, "https://example.org/hook"));
    assert_eq!(reply.body["events"], json!(["batch.completed", "batch.failed"]), "each once");
    assert_eq!((reply.text("/description"), &reply.body["disabled"]), ("our lab", &Value::Null));
    let kept = webhooks::of(&bench.world.docs, &bench.caller("u1").uid).await.unwrap();
    let secret: Vec<_> = kept.endpoints[0].signing(bench.now()).map(|secret| secret.reveal().to_owned()).collect();
    assert_eq!((secret.as_slice(), kept.endpoints.len()), ([reply.text("/secret").to_owned()].as_slice(), 1));
    let random = reply.text("/secret").strip_prefix("whsec_").unwrap();
    assert_eq!(random.len(), 44, "the base 64 of 32 bytes");
}

#[tokio::test]
async fn a_secret_lies_where_no_browser_reads() {
    let bench = Bench::new().await;
    create(&bench, "u1", &asking("https://example.org/")).await;
    let path = places::webhooks(&bench.caller("u1").uid);
    assert_eq!(path.segments(), ["webhooks", "u1"], "the rules let users read all of users/{{uid}}");
}

#[tokio::test]
async fn every_endpoint_has_a_secret_of_its_own() {
    let bench = Bench::new().await;
    let (one, two) = (
        create(&bench, "u1", &asking("https://example.org/")).await,
        create(&bench, "u1", &asking("https://example.org/")).await,
    );
    assert_ne!(one.text("/secret"), two.text("/secret"));
    assert_ne!(one.text("/webhook_id"), two.text("/webhook_id"));
}

#[tokio::test]
async fn a_url_that_may_not_be_called_is_named() {
    let mut bench = Bench::new().await;
    for url in
        ["http://example.org/", "https://169.254.169.254/", "https://127.0.0.1/", "https://metadata.google.internal/"]
    {
        let reply = create(&bench, "u1", &asking(url)).await;
        assert_eq!((reply.status, reply.pointers()), (422, vec!["/url"]), "{url}");
    }
    bench.world.resolver = Resolver::new(|_| Box::pin(async { Ok(vec!["10.0.0.1".parse().unwrap()]) }));
    let reply = create(&bench, "u1", &asking("https://example.org/")).await;
    assert_eq!((reply.status, reply.pointers()), (422, vec!["/url"]));
    assert!(!reply.body.to_string().contains("10.0.0.1"), "what our network calls it is not told");
}

#[tokio::test]
async fn other_fields_are_named_too() {
    let bench = Bench::new().await;
    let url = "https://example.org/";
    let long = "x".repeat(201);
    for (body, pointer) in [
        (json!({"url": url, "events": []}), "/events"),
        (json!({"url": url, "events": ["batch.begun"]}), "/events/0"),
        (json!({"url": url, "events": ["batch.failed"], "description": long}), "/description"),
    ] {
        let reply = create(&bench, "u1", &body).await;
        assert_eq!((reply.status, reply.pointers()), (422, vec![pointer]), "{body}");
    }
}

#[tokio::test]
async fn a_user_has_ten_at_most_even_when_they_are_made_at_once() {
    let bench = Bench::new().await;
    let body = asking("https://example.org/");
    let (mut made, mut refused) = (0, 0);
    for _ in 0..3 {
        let replies = tokio::join!(
            create(&bench, "u1", &body),
            create(&bench, "u1", &body),
            create(&bench, "u1", &body),
            create(&bench, "u1", &body)
        );
        for status in [replies.0.status, replies.1.status, replies.2.status, replies.3.status] {
            made += usize::from(status == 201);
            refused += usize::from(status == 409);
        }
    }
    assert_eq!((made, refused), (10, 2));
    assert_eq!(create(&bench, "u2", &body).await.status, 201, "another user's are not counted");
}

#[tokio::test]
async fn a_request_sent_again_under_its_key_makes_one_endpoint_and_shows_its_secret_once() {
    let bench = Bench::new().await;
    let ask = async |url: &str| bench.post(FUNCTION, "u1", PATH, Some("k"), &asking(url)).await;
    let (first, again) = (ask("https://example.org/").await, ask("https://example.org/").await);
    assert_eq!((first.status, again.status, again.text("/webhook_id")), (201, 201, first.text("/webhook_id")));
    assert_eq!((first.text("/secret").is_empty(), &again.body["secret"]), (false, &Value::Null));
    assert_eq!(ask("https://example.com/").await.status, 422);
    assert_eq!(webhooks::of(&bench.world.docs, &bench.caller("u1").uid).await.unwrap().endpoints.len(), 1);
}
