//! What GPU time costs.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The price of one running task.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Price {
    pub usd_per_second: f64,
}

impl Price {
    /// Cloud Run in us-central1 without zonal redundancy, from Google's price list of late 2026: an L4 at 0.0001867,
    /// 4 vCPU at 0.000018 each and 16 GiB at 0.000002 each, in dollars per second.
    pub const L4_US_CENTRAL1: Price = Price { usd_per_second: 0.000_186_7 + 4.0 * 0.000_018 + 16.0 * 0.000_002 };

    /// Dollars for so many seconds of one task, rounded to a hundredth of a cent.
    pub fn of(self, gpu_seconds: f64) -> f64 {
        (self.usd_per_second * gpu_seconds * 10_000.0).round() / 10_000.0
    }
}

/// What a run may cost, what it has cost, and what is being spent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    pub limit_usd: f64,
    /// GPU seconds of all shards so far.
    pub spent_seconds: f64,
    /// GPU seconds that shards on GPUs are expected to take yet.
    pub in_flight_seconds: f64,
    /// GPU seconds that one more shard is expected to take.
    pub shard_seconds: f64,
}

impl Budget {
    /// How many more shards may be started, all together with what is in flight, without going beyond the limit. An
    /// estimate is rounded to a hundredth of a cent, and so is this: what was estimated to cost just the limit may run.
    pub fn affordable(&self, price: Price) -> u32 {
        let left = (self.limit_usd + 0.000_1) / price.usd_per_second - self.spent_seconds - self.in_flight_seconds;
        (left / self.shard_seconds.max(0.001)).floor().max(0.0) as u32
    }
}

/// Estimated before, actual after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Cost {
    /// Dollars, from the plan; absent until the run is planned.
    pub estimated_usd: Option<f64>,
    /// Dollars for the GPU seconds reported so far.
    pub actual_usd: f64,
    /// Task seconds reported so far, over all attempts.
    pub gpu_seconds: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_of_l4_costs_what_the_price_list_says() {
        assert_eq!(Price::L4_US_CENTRAL1.of(3600.0), 1.0465);
    }

    #[test]
    fn what_was_estimated_to_cost_just_the_limit_may_run_and_no_more() {
        let price = Price::L4_US_CENTRAL1;
        let budget = |limit_usd, spent_seconds, in_flight_seconds| {
            Budget { limit_usd, spent_seconds, in_flight_seconds, shard_seconds: 100.0 }.affordable(price)
        };
        assert_eq!(budget(price.of(700.0), 0.0, 0.0), 7);
        assert_eq!(budget(price.of(700.0), 350.0, 0.0), 3);
        assert_eq!(budget(price.of(700.0), 350.0, 300.0), 0);
        assert_eq!(budget(price.of(700.0), 900.0, 0.0), 0);
    }
}
