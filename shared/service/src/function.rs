//! What a function is: a name, a trigger, and a router (or, for the GPU job, a piece of work). And what every one of
//! them is wrapped in: problems as the only errors, bounded bodies, CORS for browsers, a health check.

use crate::{
    Problem, World, limits, problem,
    telemetry::{self, Trace},
};
use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use std::{collections::BTreeMap, future::Future, pin::Pin, process::ExitCode, time::Duration};
use tower_http::{
    catch_panic::CatchPanicLayer,
    cors::{AllowOrigin, CorsLayer},
};
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

/// The most a submission may weigh: Cloud Run's own limit on HTTP/1.
const BODY_LIMIT: usize = 32 * 1024 * 1024;

/// One Cloud Run service, or the job.
#[derive(Clone, Copy)]
pub struct Function {
    /// The folder, the package and the service have this name.
    pub name: &'static str,
    pub trigger: Trigger,
    pub work: Work,
}

/// What calls a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// Clients, through the load balancer.
    Http,
    /// Eventarc: a document that fits `pattern` (`users/*/jobs/*`) was created or updated.
    DocumentWritten { pattern: &'static str },
    /// Eventarc: an object was written into the bucket.
    ObjectFinalized { bucket: &'static str },
    /// Pub/Sub push.
    Message { topic: &'static str },
    /// Cloud Scheduler.
    Schedule { every: Duration },
    /// Cloud Run job: started, not called.
    Job,
}

/// The environment of a job's task.
pub type Environment = BTreeMap<String, String>;

/// What runs.
#[derive(Clone, Copy)]
pub enum Work {
    Service(fn() -> OpenApiRouter<World>),
    Job(Job),
}

/// Work that ends by itself. Gets the environment and a future that ends when the task is told to stop.
pub type Job = fn(World, Environment, Shutdown) -> Pin<Box<dyn Future<Output = ExitCode> + Send>>;

/// Ends when the process is told to stop.
pub type Shutdown = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Function {
    /// A function that clients call.
    pub const fn http(name: &'static str, router: fn() -> OpenApiRouter<World>) -> Self {
        Function { name, trigger: Trigger::Http, work: Work::Service(router) }
    }

    /// A function that an event calls, with `POST /`.
    pub const fn on(name: &'static str, trigger: Trigger, router: fn() -> OpenApiRouter<World>) -> Self {
        Function { name, trigger, work: Work::Service(router) }
    }

    /// The routes alone; none for the job.
    pub fn routes(&self) -> Option<Router<World>> {
        match self.work {
            Work::Service(router) => Some(router().split_for_parts().0),
            Work::Job(_) => None,
        }
    }

    /// What its routes promise.
    pub fn openapi(&self) -> Option<OpenApi> {
        match self.work {
            Work::Service(router) => Some(router().split_for_parts().1),
            Work::Job(_) => None,
        }
    }
}

/// Routes as they are served: every function runs in this.
pub fn serve(routes: Router<World>, world: World) -> Router {
    let cors = cors(&world.settings.cors_origins);
    routes
        .route("/healthz", get(|| async { "ok" }))
        .fallback(|| async { Problem::of_status(StatusCode::NOT_FOUND, "there is nothing at this path") })
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(CatchPanicLayer::custom(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response()))
        .layer(middleware::from_fn_with_state(world.clone(), edge))
        .layer(cors)
        .with_state(world)
}

/// What is around every handler, in one layer: the trace its request names, what is left of its limits, and problems as
/// they are told.
async fn edge(State(world): State<World>, request: Request, next: Next) -> Response {
    let (method, address) = (request.method().clone(), request.uri().clone());
    let trace = Trace::of(request.headers());
    let answering = async {
        let response = limits::tell(&world, request, next).await;
        problem::render(response, &method, address.path())
    };
    telemetry::under(trace, answering).await
}

/// Browsers of the named origins may call; credentials travel in headers, never in cookies.
fn cors(origins: &[String]) -> CorsLayer {
    let named = origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok());
    let allowed =
        if origins.iter().any(|origin| origin == "*") { AllowOrigin::any() } else { AllowOrigin::list(named) };
    CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            HeaderName::from_static("idempotency-key"),
            HeaderName::from_static(crate::api_key::API_KEY),
        ])
        .expose_headers([header::LOCATION, header::RETRY_AFTER].into_iter().chain(limits::fields()).collect::<Vec<_>>())
        .max_age(Duration::from_secs(3600))
}
