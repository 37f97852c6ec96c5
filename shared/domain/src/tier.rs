//! What a user may do and how much of it: tiers with their limits, roles, and the scopes of an API key. Whoever reads a
//! tier from somewhere decides there whether that place may be believed; a client never may.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use std::fmt;
use utoipa::ToSchema;

/// How much a user may use. It opens no endpoint: that is what a [`Role`] is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    #[default]
    Default,
    Premium,
    Enterprise,
    Admin,
}

/// What a tier may use. Every number is the most that is allowed; a run counts where it was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Limits {
    /// Requests to the API in any minute, counted by each instance of each function for itself.
    pub requests_per_minute: u32,
    /// Requests for a file (exports, structures) in any minute, counted likewise, and as requests too.
    pub downloads_per_minute: u32,
    /// Single predictions accepted in an hour of the clock, UTC.
    pub jobs_per_hour: u32,
    /// Batches accepted in a day of the calendar, UTC.
    pub batches_per_day: u32,
    /// Single predictions that have not ended.
    pub concurrent_jobs: u32,
    /// Batches that have not ended.
    pub concurrent_batches: u32,
    /// Ligands that one batch may run; rejected rows do not count.
    pub ligands_per_batch: u32,
    /// Minutes of GPU tasks, loading of models included, over all runs made in a month of the calendar, UTC: planned
    /// ones until a run ends, then those it took.
    pub gpu_minutes_per_month: u32,
}

impl Tier {
    /// From the least to the most.
    pub const ALL: [Tier; 4] = [Tier::Default, Tier::Premium, Tier::Enterprise, Tier::Admin];

    /// How many slots a user of this tier gets for one of a user of the default tier, where GPUs are short.
    pub const fn weight(self) -> u32 {
        match self {
            Tier::Default => 1,
            Tier::Premium => 2,
            Tier::Enterprise | Tier::Admin => 4,
        }
    }

    /// The limits of `design/api.md`, "Tiers".
    pub const fn limits(self) -> Limits {
        match self {
            Tier::Default => Limits {
                requests_per_minute: 60,
                downloads_per_minute: 20,
                jobs_per_hour: 10,
                batches_per_day: 2,
                concurrent_jobs: 2,
                concurrent_batches: 1,
                ligands_per_batch: 1_500,
                gpu_minutes_per_month: 60,
            },
            Tier::Premium => Limits {
                requests_per_minute: 300,
                downloads_per_minute: 100,
                jobs_per_hour: 50,
                batches_per_day: 10,
                concurrent_jobs: 5,
                concurrent_batches: 3,
                ligands_per_batch: 10_000,
                gpu_minutes_per_month: 300,
            },
            Tier::Enterprise => Limits {
                requests_per_minute: 1_000,
                downloads_per_minute: 500,
                jobs_per_hour: 200,
                batches_per_day: 50,
                concurrent_jobs: 20,
                concurrent_batches: 10,
                ligands_per_batch: 1_000_000,
                gpu_minutes_per_month: 1_800,
            },
            Tier::Admin => Limits {
                requests_per_minute: 10_000,
                downloads_per_minute: 1_000,
                jobs_per_hour: 1_000,
                batches_per_day: 200,
                concurrent_jobs: 100,
                concurrent_batches: 50,
                ligands_per_batch: 1_000_000,
                gpu_minutes_per_month: 10_000,
            },
        }
    }

    /// The tier of this name.
    pub fn named(name: &str) -> Option<Tier> {
        Tier::ALL.into_iter().find(|tier| tier.as_str() == name)
    }

    /// As tokens and documents write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Tier::Default => "default",
            Tier::Premium => "premium",
            Tier::Enterprise => "enterprise",
            Tier::Admin => "admin",
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Tier {
    /// What names no tier is the least one: a slip of an operator locks nobody out and opens nothing.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Ok(value.as_str().and_then(Tier::named).unwrap_or_default())
    }
}

/// What opens endpoints that are not everybody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The operator of the deployment.
    Admin,
}

/// What an API key may be used for. A scope does not include another one; an identity token has all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Look at runs, results and files.
    Read,
    /// Make, cancel and purge runs.
    Submit,
    /// Manage API keys and webhooks.
    Manage,
}

impl Scope {
    /// Every scope there is.
    pub const ALL: [Scope; 3] = [Scope::Read, Scope::Submit, Scope::Manage];

    /// As the API writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Scope::Read => "read",
            Scope::Submit => "submit",
            Scope::Manage => "manage",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_higher_tier_is_never_allowed_less() {
        let numbers = |tier: Tier| {
            let limits = serde_json::to_value(tier.limits()).unwrap();
            limits.as_object().unwrap().values().map(|limit| limit.as_u64().unwrap()).collect::<Vec<_>>()
        };
        for pair in Tier::ALL.windows(2) {
            let (less, more) = (numbers(pair[0]), numbers(pair[1]));
            assert!(less.iter().zip(&more).all(|(less, more)| less <= more), "{} and {}", pair[0], pair[1]);
            assert_ne!(less, more);
        }
    }

    /// The table of the design, row by row.
    #[test]
    fn the_limits_are_those_of_the_design() {
        let row =
            |name: &str| Tier::ALL.map(|tier| serde_json::to_value(tier.limits()).unwrap()[name].as_u64().unwrap());
        assert_eq!(Tier::ALL.map(Tier::as_str), ["default", "premium", "enterprise", "admin"]);
        assert_eq!(row("requests_per_minute"), [60, 300, 1_000, 10_000]);
        assert_eq!(row("jobs_per_hour"), [10, 50, 200, 1_000]);
        assert_eq!(row("batches_per_day"), [2, 10, 50, 200]);
        assert_eq!(row("downloads_per_minute"), [20, 100, 500, 1_000]);
        assert_eq!(row("gpu_minutes_per_month"), [60, 300, 1_800, 10_000]);
        assert_eq!(row("concurrent_jobs"), [2, 5, 20, 100]);
        assert_eq!(row("concurrent_batches"), [1, 3, 10, 50]);
        assert_eq!(row("ligands_per_batch"), [1_500, 10_000, 1_000_000, 1_000_000]);
    }

    #[test]
    fn a_tier_that_does_not_exist_is_the_least_one() {
        for slip in ["\"gold\"", "\"Admin\"", "7", "null", "[\"admin\"]", "{}"] {
            assert_eq!(serde_json::from_str::<Tier>(slip).unwrap(), Tier::Default, "{slip}");
        }
        for tier in Tier::ALL {
            assert_eq!(serde_json::from_value::<Tier>(serde_json::json!(tier)).unwrap(), tier);
        }
    }
}
