use super::Port;
use crate::{
    faults::Faults,
    scenario::Scenario,
    trace::Trace,
    universe::{Universe, chance},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use platform::{Blobs, Bus, Docs, Executions, Message, conformance, embedded::Event};
use std::sync::Arc;

/// A store in which nothing goes wrong.
fn port() -> Arc<Port> {
    let mut random = chance(1);
    let universe = Universe::new(Scenario::draw(&mut random), Faults::none(), random, Trace::default());
    Arc::new(universe.port(universe.begin_safe("suite", None)))
}

#[tokio::test]
async fn simulated_documents_pass_the_suite() {
    conformance::docs(&Docs::new(port()), "suite").await;
}

#[tokio::test]
async fn simulated_objects_pass_the_suite() {
    conformance::blobs(&Blobs::new(port()), "suite").await;
}

#[tokio::test]
async fn simulated_messages_pass_the_suite() {
    let port = port();
    let arrived = || async {
        let happened = std::mem::take(&mut port.universe.lock().happened);
        let message = |event| match event {
            Event::Message { data, attributes, .. } => {
                Some(Message { data: BASE64_STANDARD.decode(data).unwrap(), attributes })
            }
            _ => None,
        };
        happened.into_iter().filter_map(message).collect()
    };
    conformance::bus(&Bus::new(port.clone()), "topic", arrived).await;
}

#[tokio::test]
async fn simulated_executions_pass_the_suite() {
    conformance::executions(&Executions::new(port()), "predict-worker").await;
}
