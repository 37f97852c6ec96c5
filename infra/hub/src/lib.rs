//! Every function there is: one line here, one folder, one row in `infra/functions.json`. The executable is all of them
//! in one, for the image that every service runs: its first argument says which.

use service::Function;
use utoipa::openapi::{
    OpenApi, OpenApiBuilder, SecurityRequirement,
    info::InfoBuilder,
    security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
};

pub const ALL: &[Function] = &[
    aggregate_run::FUNCTION,
    create_upload::FUNCTION,
    delete_batch::FUNCTION,
    delete_job::FUNCTION,
    dispatch_shards::FUNCTION,
    estimate::FUNCTION,
    export_batch::FUNCTION,
    get_batch::FUNCTION,
    get_job::FUNCTION,
    get_job_file::FUNCTION,
    get_openapi::FUNCTION,
    get_results::FUNCTION,
    get_usage::FUNCTION,
    list_batches::FUNCTION,
    list_jobs::FUNCTION,
    list_models::FUNCTION,
    on_execution_ended::FUNCTION,
    on_library_uploaded::FUNCTION,
    on_shard_report::FUNCTION,
    plan_run::FUNCTION,
    predict_worker::FUNCTION,
    reconcile::FUNCTION,
    submit_batch::FUNCTION,
    submit_prediction::FUNCTION,
    system_status::FUNCTION,
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
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    let key = ApiKey::Header(ApiKeyValue::new(service::caller::API_KEY));
    components.add_security_scheme("api_key", SecurityScheme::ApiKey(key));
    let none: [&str; 0] = [];
    whole.security = Some(vec![SecurityRequirement::new("bearer", none), SecurityRequirement::new("api_key", none)]);
    whole
}
