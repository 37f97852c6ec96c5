//! Where a user wants to be told of what happens: their endpoints, what each listens to, the secrets its messages are
//! signed with, and when it is listened to no more. All endpoints of a user are one document, so that their number is
//! exact. A secret is shown once, by whoever made it, and never by `Debug`.

use crate::{EventKind, IdError, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;

/// Endpoints a user may have.
pub const MAX_WEBHOOKS: usize = 10;
/// How long it is kept for its owner to read that an endpoint was disabled.
const NOTICE_KEPT_SECONDS: u64 = 7 * 24 * 3600;
/// How long a secret goes on signing beside the one that took its place.
pub const OVERLAP_SECONDS: u64 = 24 * 3600;
/// Secrets that sign at the same time: each adds a signature to a header, and receivers look at all of them.
const MAX_SECRETS: usize = 5;

/// An endpoint: `webhook_…` with 24 characters of base 32.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, example = "webhook_0a1b2c3d4e5f6g7h8j9kmnpq")]
pub struct WebhookId(String);

/// A secret as its owner keeps it: `whsec_` and the base 64 of its bytes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

/// A secret, and until when it signs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Signing {
    secret: Secret,
    /// Absent for the current one.
    until: Option<Timestamp>,
}

/// Why nothing is sent to an endpoint any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DisabledReason {
    /// It answered 410: it wants nothing any more.
    Gone,
    /// A message could not be delivered in any of the tries, over more than a day.
    Failing,
}

/// Since when nothing is sent, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Disabled {
    pub reason: DisabledReason,
    pub since: Timestamp,
}

/// What the owner of a disabled endpoint is told, in a document beside the notices of their runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DisabledNotice {
    /// Always `webhook.disabled`.
    pub event: String,
    pub webhook_id: WebhookId,
    pub reason: DisabledReason,
    /// When it was disabled.
    pub at: Timestamp,
    /// When the document may be forgotten.
    pub expire_at: Timestamp,
}

/// One endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Webhook {
    pub id: WebhookId,
    pub url: String,
    pub description: Option<String>,
    /// What it is told of.
    pub events: Vec<EventKind>,
    /// The current one first.
    secrets: Vec<Signing>,
    pub created_at: Timestamp,
    /// When it was last made to listen: what was sent before can no longer disable it.
    enabled_at: Timestamp,
    pub disabled: Option<Disabled>,
}

/// The endpoints of one user, in the order they were made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Webhooks {
    pub endpoints: Vec<Webhook>,
}

impl WebhookId {
    /// The id of an endpoint, from 24 characters that a random id source gave.
    pub fn new(unique: &str) -> Result<Self, IdError> {
        WebhookId::try_from(format!("webhook_{unique}"))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Secret {
    pub fn new(text: String) -> Self {
        Secret(text)
    }

    /// The secret itself: for the answer that shows it once, and for signing.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl DisabledNotice {
    pub fn new(webhook_id: WebhookId, reason: DisabledReason, at: Timestamp) -> Self {
        let expire_at = at.plus_seconds(NOTICE_KEPT_SECONDS);
        DisabledNotice { event: "webhook.disabled".to_owned(), webhook_id, reason, at, expire_at }
    }

    /// The id of the document: another one each time the endpoint is disabled.
    pub fn id(&self) -> String {
        format!("{}.{}.{}", self.webhook_id, self.event, self.at)
    }
}

impl Webhook {
    pub fn new(id: WebhookId, url: String, events: Vec<EventKind>, secret: Secret, now: Timestamp) -> Self {
        let secrets = vec![Signing { secret, until: None }];
        Webhook { id, url, description: None, events, secrets, created_at: now, enabled_at: now, disabled: None }
    }

    /// Whether it is to be told of what happened then: it listens, and did so when it happened.
    pub fn wants(&self, event: EventKind, at: Timestamp) -> bool {
        self.disabled.is_none() && self.created_at <= at && self.events.contains(&event)
    }

    /// A new secret takes the place of the current one, which goes on signing beside it for [`OVERLAP_SECONDS`]. False,
    /// and nothing changed, where too many would sign at the same time.
    pub fn rotate(&mut self, secret: Secret, now: Timestamp) -> bool {
        self.secrets.retain(|signing| signing.until.is_none_or(|until| now < until));
        let room = self.secrets.len() < MAX_SECRETS;
        if room {
            for signing in &mut self.secrets {
                signing.until.get_or_insert(now.plus_seconds(OVERLAP_SECONDS));
            }
            self.secrets.insert(0, Signing { secret, until: None });
        }
        room
    }

    /// The secrets that sign now, the current one first.
    pub fn signing(&self, now: Timestamp) -> impl Iterator<Item = &Secret> {
        let valid = move |signing: &&Signing| signing.until.is_none_or(|until| now < until);
        self.secrets.iter().filter(valid).map(|signing| &signing.secret)
    }

    /// Nothing is sent any more, because of a message that was first sent at `sent`. True if that changed something.
    pub fn disable(&mut self, reason: DisabledReason, sent: Timestamp, now: Timestamp) -> bool {
        let changes = self.disabled.is_none() && self.enabled_at <= sent;
        if changes {
            self.disabled = Some(Disabled { reason, since: now });
        }
        changes
    }

    /// It listens again. True if that changed something.
    pub fn enable(&mut self, now: Timestamp) -> bool {
        let changes = self.disabled.take().is_some();
        if changes {
            self.enabled_at = now;
        }
        changes
    }
}

impl Webhooks {
    pub fn find(&self, id: &WebhookId) -> Option<&Webhook> {
        self.endpoints.iter().find(|webhook| webhook.id == *id)
    }

    pub fn find_mut(&mut self, id: &WebhookId) -> Option<&mut Webhook> {
        self.endpoints.iter_mut().find(|webhook| webhook.id == *id)
    }

    /// False, and nothing changed, where there are [`MAX_WEBHOOKS`] already.
    pub fn add(&mut self, webhook: Webhook) -> bool {
        let room = self.endpoints.len() < MAX_WEBHOOKS;
        if room {
            self.endpoints.push(webhook);
        }
        room
    }

    /// True if it was there.
    pub fn remove(&mut self, id: &WebhookId) -> bool {
        let before = self.endpoints.len();
        self.endpoints.retain(|webhook| webhook.id != *id);
        self.endpoints.len() < before
    }
}

impl TryFrom<String> for WebhookId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        let allowed = |c: char| c.is_ascii_digit() || c.is_ascii_lowercase();
        let unique = text.strip_prefix("webhook_");
        if unique.is_some_and(|unique| unique.len() == 24 && unique.chars().all(allowed)) {
            Ok(WebhookId(text))
        } else {
            Err(IdError::new(text, "the id of a webhook"))
        }
    }
}

impl From<WebhookId> for String {
    fn from(id: WebhookId) -> String {
        id.0
    }
}

impl fmt::Display for WebhookId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;

    const DAY: u64 = 24 * 3600;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from(DateTime::from_timestamp_secs(1_700_000_000).unwrap()).plus_seconds(seconds)
    }

    fn secret(n: u32) -> Secret {
        Secret::new(format!("whsec_{n}"))
    }

    fn webhook(n: u32) -> Webhook {
        let id = WebhookId::new(&format!("{n:024}")).unwrap();
        Webhook::new(id, "https://example.org/hook".into(), vec![EventKind::BatchCompleted], secret(0), at(0))
    }

    fn signing(webhook: &Webhook, now: Timestamp) -> Vec<&str> {
        webhook.signing(now).map(Secret::reveal).collect()
    }

    #[test]
    fn the_old_secret_signs_beside_the_new_one_for_a_day() {
        let mut webhook = webhook(1);
        assert!(webhook.rotate(secret(1), at(100)));
        assert_eq!(signing(&webhook, at(100)), ["whsec_1", "whsec_0"]);
        assert_eq!(signing(&webhook, at(99 + DAY)), ["whsec_1", "whsec_0"]);
        assert_eq!(signing(&webhook, at(100 + DAY)), ["whsec_1"]);
        assert!(webhook.rotate(secret(2), at(100 + DAY)));
        assert_eq!(signing(&webhook, at(100 + DAY)), ["whsec_2", "whsec_1"], "what has expired does not come back");
    }

    #[test]
    fn secrets_do_not_pile_up_and_none_ends_before_its_day() {
        let mut webhook = webhook(1);
        let rotated: Vec<_> = (1..=6).map(|n| webhook.rotate(secret(n), at(n.into()))).collect();
        assert_eq!(rotated, [true, true, true, true, false, false]);
        assert_eq!(signing(&webhook, at(10)), ["whsec_4", "whsec_3", "whsec_2", "whsec_1", "whsec_0"]);
        assert!(webhook.rotate(secret(7), at(1 + DAY)), "one has had its day");
    }

    #[test]
    fn an_endpoint_hears_only_what_it_asked_for_and_what_happened_in_its_time() {
        let mut webhook = webhook(1);
        assert!(webhook.wants(EventKind::BatchCompleted, at(0)));
        assert!(!webhook.wants(EventKind::BatchFailed, at(0)));
        let before = Timestamp::from(at(0).as_datetime() - chrono::TimeDelta::seconds(1));
        assert!(!webhook.wants(EventKind::BatchCompleted, before));
        webhook.disable(DisabledReason::Gone, at(1), at(2));
        assert!(!webhook.wants(EventKind::BatchCompleted, at(3)));
    }

    #[test]
    fn a_message_from_before_it_was_enabled_does_not_disable_it_again() {
        let mut webhook = webhook(1);
        assert!(webhook.disable(DisabledReason::Failing, at(1), at(50)));
        assert_eq!(webhook.disabled, Some(Disabled { reason: DisabledReason::Failing, since: at(50) }));
        assert!(!webhook.disable(DisabledReason::Gone, at(2), at(51)), "it is already");
        assert!(webhook.enable(at(60)) && !webhook.enable(at(61)));
        assert!(!webhook.disable(DisabledReason::Failing, at(59), at(70)));
        assert!(webhook.disable(DisabledReason::Failing, at(60), at(70)));
    }

    #[test]
    fn a_user_has_at_most_ten() {
        let mut webhooks = Webhooks::default();
        let added: Vec<_> = (0..11).map(|n| webhooks.add(webhook(n))).collect();
        assert_eq!(added.iter().filter(|added| **added).count(), 10);
        let first = webhook(0).id;
        assert!(webhooks.remove(&first) && !webhooks.remove(&first) && webhooks.find(&first).is_none());
        assert!(webhooks.add(webhook(0)));
    }

    #[test]
    fn a_secret_is_in_its_document_and_not_in_what_is_logged() {
        let webhook = webhook(1);
        assert!(!format!("{webhook:?}").contains("whsec_"));
        let document = serde_json::to_value(&webhook).unwrap();
        assert_eq!(document["secrets"][0]["secret"], "whsec_0");
        assert_eq!(serde_json::from_value::<Webhook>(document).unwrap(), webhook);
        for wrong in ["webhook_", "webhook_../../../../../../../..", "job_0123456789abcdefghjkmnpq"] {
            assert!(WebhookId::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
    }
}
