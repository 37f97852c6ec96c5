//! `POST /api/v1/api-keys`: a key for programs, shown once. Kept of it is its SHA-256, its scopes and when it ends.

use axum::{extract::State, http::StatusCode};
use domain::{Scope, Timestamp};
use platform::Write;
use serde::{Deserialize, Serialize};
use service::{
    Body, Caller, Function, IdempotencyKey, Manager, Problem, Refusals, Result, World,
    api_key::{self, ApiKey, KeyView, MOST_KEYS},
    repeat::{self, Answer, Decided, Kept},
    runs::{quota::Known, submit},
};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub const FUNCTION: Function = Function::http("create-api-key", router);

fn router() -> OpenApiRouter<World> {
    OpenApiRouter::new().routes(routes!(create_api_key))
}

/// What a key is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct KeyRequest {
    #[schema(max_length = 200, example = "screening pipeline")]
    name: String,
    /// What it may be used for; one scope does not include another.
    #[schema(min_items = 1)]
    scopes: Vec<Scope>,
    /// When it ends; without it the key is good until it is revoked.
    expires_at: Option<Timestamp>,
}

/// A new key.
#[derive(Serialize, ToSchema)]
struct NewKey {
    /// The key itself, for the header `x-api-key`. It is shown this once: null where the request is a repeated one.
    #[schema(example = "omtx_…")]
    key: Option<String>,
    #[serde(flatten)]
    view: KeyView,
}

/// Makes an API key. A user may have twenty; a key may make only keys that may no more, and last no longer, than itself.
#[utoipa::path(post, path = "/api/v1/api-keys", tag = "account", request_body = KeyRequest,
    params(IdempotencyKey),
    responses((status = 201, body = NewKey, headers(("Location" = String))), Refusals))]
async fn create_api_key(
    Manager(caller): Manager,
    State(world): State<World>,
    IdempotencyKey(key): IdempotencyKey,
    Body { value, digest }: Body<KeyRequest>,
) -> Result<Answer> {
    let record = record(&caller, value, world.clock.now().into())?;
    let decide = |id| decide(&world, &caller, ApiKey { id: format!("key_{id}"), ..record.clone() });
    repeat::once(&world, &caller.uid, "api-keys", repeat::repeatable(key, digest), decide).await
}

/// The key that is asked for, without its id.
fn record(caller: &Caller, asked: KeyRequest, now: Timestamp) -> Result<ApiKey> {
    let name = submit::name(Some(asked.name), "/name")?.ok_or_else(|| Problem::field("/name", "is empty"))?;
    let mut scopes = asked.scopes;
    scopes.sort();
    scopes.dedup();
    if scopes.is_empty() {
        return Err(Problem::field("/scopes", "takes at least one of read, submit, manage"));
    }
    if scopes.iter().any(|scope| !caller.scopes.contains(scope)) {
        return Err(Problem::forbidden("a key makes no key that may more than itself"));
    }
    if asked.expires_at.is_some_and(|end| end <= now) {
        return Err(Problem::field("/expires_at", "takes a time to come"));
    }
    Ok(ApiKey {
        id: String::new(),
        uid: caller.uid.clone(),
        name,
        scopes,
        created_at: now,
        expires_at: asked.expires_at,
        last_used_at: None,
    })
}

/// The key's document, in one commit with the account, so that of two keys made at once both are counted.
async fn decide(world: &World, caller: &Caller, mut record: ApiKey) -> Result<Decided> {
    let mut known = Known::read(&world.docs, &caller.uid).await?;
    let keys = api_key::of_user(&world.docs, &caller.uid).await?;
    let by = keys.iter().find(|key| caller.key.as_ref() == Some(&key.value.id)).and_then(|key| key.value.expires_at);
    record.expires_at = [record.expires_at, by].into_iter().flatten().min();
    if keys.len() >= MOST_KEYS {
        return Err(Problem::conflict(format!("there are {MOST_KEYS} keys already; revoke one of them first")));
    }
    let account = &mut known.account.value;
    account.key_changes = account.key_changes.wrapping_add(1);
    account.claimed_tier = caller.claimed_tier.or(account.claimed_tier);
    let key = format!("omtx_{}{}", world.ids.next(), world.ids.next());
    let answer = |key| {
        let made = Answer::new(StatusCode::CREATED, &NewKey { key, view: KeyView::from(&record) })?;
        Ok::<_, Problem>(made.at(format!("/api/v1/api-keys/{}", record.id)))
    };
    let writes = vec![known.write()?, Write::create(ApiKey::path(&key), &record)?];
    Ok(Decided { kept: Kept::Answer(answer(None)?), answer: answer(Some(key))?, writes })
}

#[cfg(test)]
mod tests;
