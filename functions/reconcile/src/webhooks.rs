//! Messages to users' endpoints that are due: tried again, left by a lost worker, or never heard of.

use domain::{Delivery, DeliveryState, Timestamp};
use platform::{Direction, Query, Result};
use serde_json::json;
use service::{World, places, webhooks};

/// Deliveries seen in one sweep, the longest due first.
const SEEN: u32 = 500;

/// Has every delivery that is due looked at.
pub async fn wake_due(world: &World, now: Timestamp) -> Result<()> {
    let waiting = Query::group(places::DELIVERIES).equals("state", json!(DeliveryState::Waiting));
    let waiting = waiting.order_by("next_attempt_at", Direction::Ascending).limit(SEEN);
    for delivery in world.docs.readable::<Delivery>(&waiting).await? {
        if !delivery.value.is_due(now) {
            break;
        }
        webhooks::wake(world, &delivery.value.uid, &delivery.value.id).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FUNCTION;
    use axum::http::StatusCode;
    use service::testing::{Bench, tick};

    #[tokio::test]
    async fn what_is_due_is_woken_once_a_sweep_and_nothing_else_is() {
        let bench = Bench::new().await;
        let webhook = bench.webhook("u1", "https://example.org/").await;
        let deliver = async |user: &str, id: &str, state: DeliveryState, seconds: u64| {
            let (uid, now) = (bench.caller(user).uid, bench.now());
            let new = Delivery::new(id.into(), uid, webhook.id.clone(), "webhook.test", None, "{}".into(), now);
            let delivery = Delivery { state, next_attempt_at: Some(now.plus_seconds(seconds)), ..new };
            bench.world.docs.create(&places::delivery(&delivery.uid, id), &delivery).await.unwrap();
        };
        deliver("u1", "msg_1", DeliveryState::Waiting, 0).await;
        deliver("u2", "msg_2", DeliveryState::Waiting, 60).await;
        deliver("u1", "msg_3", DeliveryState::Waiting, 61).await;
        deliver("u1", "msg_4", DeliveryState::Delivered, 0).await;
        bench.wait(60);
        bench.happened().await;
        assert_eq!(bench.tell(FUNCTION, tick()).await, StatusCode::NO_CONTENT);
        assert_eq!(bench.published(places::WEBHOOKS).await, 2);
        bench.wait(1);
        assert_eq!(bench.tell(FUNCTION, tick()).await, StatusCode::NO_CONTENT);
        assert_eq!(bench.published(places::WEBHOOKS).await, 3);
    }
}
