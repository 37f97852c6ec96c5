//! Who is asking, and what they may. A handler's signature is its permission: one that takes a [`Caller`] cannot be
//! reached without a verified identity and the scope its method needs, one that takes a [`Manager`], a [`Downloads`] or
//! an [`Admin`] asks for more. Documents and objects are reached only through paths made from the caller.
//!
//! Tier and roles come from claims of a verified token or from our own documents, never from anything else in a
//! request. Claims: `tier` (`default`, `premium`, `enterprise`, `admin`), `roles` (a list that may hold `admin`), and
//! `admin: true`, which is the same role. The account document `users/{uid}` overrides either. An API key has the tier
//! and roles of that document alone; there its owner's claimed tier is noted when they submit or manage with a token.
//! Who only looks at something, or submits a prediction, goes by that document as it was at most ten seconds ago; the
//! commit of the prediction fails where it is another one by then.

use crate::{
    Problem, World,
    api_key::{self, API_KEY},
    limits::{self, Counted},
    places,
    runs::quota::Known,
    tokens::{Identity, TokenError},
};
use axum::{
    extract::FromRequestParts,
    http::{Method, header::AUTHORIZATION, request::Parts},
};
use domain::{JobId, Role, Scope, Tier, Uid};
use platform::DocPath;

/// A verified user. As an extractor it needs the scope `read` for GET, and `submit` for what changes something.
#[derive(Clone, Debug, PartialEq)]
pub struct Caller {
    pub uid: Uid,
    pub tier: Tier,
    pub roles: Vec<Role>,
    pub scopes: Vec<Scope>,
    /// The id of the API key that was sent, if it was one.
    pub key: Option<String>,
    /// What the verified token says of the tier, where a token was sent.
    pub claimed_tier: Option<Tier>,
    /// What we keep of them, as it was read to let them in.
    pub known: Known,
}

/// Who may submit something: as [`Caller`], by the account as it was a moment ago. For handlers that read it anew before
/// they refuse by it, and whose commit holds only if it still is what it was.
pub struct Submitter(pub Caller);

/// Who may manage API keys and webhooks: the scope `manage`.
pub struct Manager(pub Caller);

/// Who may take a file away: as [`Caller`], within the tier's downloads a minute.
pub struct Downloads(pub Caller);

/// The operator: the role `admin`, and for an API key the scope `manage`. Others are told 403, since it is no secret
/// that such endpoints exist.
pub struct Admin(pub Caller);

impl Caller {
    /// The document of one of the caller's own runs. Another user's id leads nowhere.
    pub fn job(&self, id: &JobId) -> DocPath {
        places::job(&self.uid, id)
    }

    /// True for who [`Admin`] lets in.
    pub fn is_operator(&self) -> bool {
        self.roles.contains(&Role::Admin) && self.scopes.contains(&Scope::Manage)
    }

    fn needs(&self, scope: Scope) -> Result<(), Problem> {
        if self.scopes.contains(&scope) {
            return Ok(());
        }
        Err(Problem::forbidden(format!("the API key does not have the scope {:?}", scope.as_str())))
    }
}

impl FromRequestParts<World> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, world: &World) -> Result<Self, Problem> {
        let caller = verified(parts, world, looks(parts)).await?;
        caller.needs(if looks(parts) { Scope::Read } else { Scope::Submit })?;
        Ok(caller)
    }
}

impl FromRequestParts<World> for Submitter {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, world: &World) -> Result<Self, Problem> {
        let caller = verified(parts, world, true).await?;
        caller.needs(Scope::Submit)?;
        Ok(Submitter(caller))
    }
}

impl FromRequestParts<World> for Manager {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, world: &World) -> Result<Self, Problem> {
        let caller = verified(parts, world, looks(parts)).await?;
        caller.needs(Scope::Manage)?;
        Ok(Manager(caller))
    }
}

impl FromRequestParts<World> for Downloads {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, world: &World) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, world).await?;
        limits::count(parts, world, &caller, Counted::Downloads)?;
        Ok(Downloads(caller))
    }
}

impl FromRequestParts<World> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, world: &World) -> Result<Self, Problem> {
        let caller = verified(parts, world, looks(parts)).await?;
        caller.needs(Scope::Manage)?;
        if !caller.roles.contains(&Role::Admin) {
            return Err(Problem::forbidden("this is for operators"));
        }
        Ok(Admin(caller))
    }
}

/// The user that a request's token or key speaks for, within their requests a minute; `lately` where their account will
/// do as it was a moment ago.
async fn verified(parts: &Parts, world: &World, lately: bool) -> Result<Caller, Problem> {
    let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = text(AUTHORIZATION.as_str()).and_then(|value| value.split_once(' '));
    let caller = if let Some((_, token)) = bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")) {
        let Identity { uid, tier, roles } = token_of(world, token).await?;
        let known = account(world, &uid, lately).await?;
        let kept = &known.account.value;
        let (tier, roles, claimed_tier) = (kept.tier(Some(tier)), kept.roles(&roles), Some(tier));
        Caller { uid, tier, roles, scopes: Scope::ALL.to_vec(), key: None, claimed_tier, known }
    } else if let Some(key) = text(API_KEY) {
        let record = api_key::check(world, key).await?;
        let known = account(world, &record.uid, lately).await?;
        let (tier, roles) = (known.account.value.tier(None), known.account.value.roles(&[]));
        let key = Some(record.id);
        Caller { uid: record.uid, tier, roles, scopes: record.scopes, key, claimed_tier: None, known }
    } else {
        return Err(Problem::unauthorized("send a bearer token, or an API key in x-api-key"));
    };
    limits::count(parts, world, &caller, Counted::Requests)?;
    Ok(caller)
}

/// Whether a request only looks at something.
fn looks(parts: &Parts) -> bool {
    matches!(parts.method, Method::GET | Method::HEAD)
}

async fn account(world: &World, uid: &Uid, lately: bool) -> platform::Result<Known> {
    if lately {
        return world.recent.account(&world.docs, uid, world.clock.now()).await;
    }
    Known::read(&world.docs, uid).await
}

async fn token_of(world: &World, token: &str) -> Result<Identity, Problem> {
    match world.verifier.check(token, world.clock.now()).await {
        Ok(identity) => Ok(identity),
        Err(TokenError::NoKeys(cause)) => Err(Problem::unavailable(cause)),
        Err(error) => {
            tracing::info!(reason = %error, "token refused");
            Err(Problem::unauthorized("the token is not valid"))
        }
    }
}

#[cfg(test)]
mod tests;
