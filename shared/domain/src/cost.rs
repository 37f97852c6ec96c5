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
}
