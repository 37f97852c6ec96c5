//! Every function there is: one line here, one folder, one row in `infra/functions.json`. The executable is all of them
//! in one, for the image that every service runs: its first argument says which.

use service::{Function, ProblemDetails};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        OpenApi, OpenApiBuilder, SecurityRequirement,
        info::InfoBuilder,
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

pub const ALL: &[Function] = &[
    aggregate_run::FUNCTION,
    create_api_key::FUNCTION,
    create_upload::FUNCTION,
    create_webhook::FUNCTION,
    delete_api_key::FUNCTION,
    delete_batch::FUNCTION,
    delete_job::FUNCTION,
    delete_webhook::FUNCTION,
    dispatch_shards::FUNCTION,
    enable_webhook::FUNCTION,
    estimate::FUNCTION,
    export_batch::FUNCTION,
    get_batch::FUNCTION,
    get_job::FUNCTION,
    get_job_file::FUNCTION,
    get_openapi::FUNCTION,
    get_results::FUNCTION,
    get_usage::FUNCTION,
    list_api_keys::FUNCTION,
    list_batches::FUNCTION,
    list_deliveries::FUNCTION,
    list_jobs::FUNCTION,
    list_models::FUNCTION,
    list_webhooks::FUNCTION,
    on_dead_letter::FUNCTION,
    on_execution_ended::FUNCTION,
    on_key_used::FUNCTION,
    on_library_uploaded::FUNCTION,
    on_notice::FUNCTION,
    on_shard_report::FUNCTION,
    plan_run::FUNCTION,
    predict_worker::FUNCTION,
    reconcile::FUNCTION,
    repair_runs::FUNCTION,
    retry_batch::FUNCTION,
    rotate_webhook::FUNCTION,
    send_webhook::FUNCTION,
    stream_events::FUNCTION,
    submit_batch::FUNCTION,
    submit_prediction::FUNCTION,
    system_status::FUNCTION,
    test_webhook::FUNCTION,
];

/// The contract of all HTTP functions together.
pub fn openapi() -> OpenApi {
    let info = InfoBuilder::new()
        .title("OMTX-Hub")
        .version("1.0.0")
        .description(Some("Boltz-2, Chai-1 and RFantibody on your own Google Cloud project."));
    let mut whole = OpenApiBuilder::new().info(info.build()).build();
    let http = ALL.iter().filter(|function| function.trigger == service::Trigger::Http);
    for part in http.filter_map(Function::openapi) {
        whole.merge(part);
    }
    let components = whole.components.get_or_insert_default();
    // Every operation refers to it; collected once, it is not repeated in each.
    let mut problem = vec![(ProblemDetails::name().into_owned(), ProblemDetails::schema())];
    ProblemDetails::schemas(&mut problem);
    components.schemas.extend(problem);
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    let key = ApiKey::Header(ApiKeyValue::new(service::api_key::API_KEY));
    components.add_security_scheme("api_key", SecurityScheme::ApiKey(key));
    let none: [&str; 0] = [];
    whole.security = Some(vec![SecurityRequirement::new("bearer", none), SecurityRequirement::new("api_key", none)]);
    whole
}
