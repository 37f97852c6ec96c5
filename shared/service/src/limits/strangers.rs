//! Requests to the API that nobody known sent, or that need nobody to be known: counted by where they come from.

use super::{Limiter, Reading, take_from};
use crate::Problem;
use axum::{extract::Request, http::HeaderValue};
use chrono::{DateTime, Utc};
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
};

/// Requests a minute of one address, on one instance.
const LIMIT: u32 = 600;

/// When the bucket of each address will be full again.
pub(super) type Strangers = Arc<Mutex<HashMap<IpAddr, DateTime<Utc>>>>;

/// Where a request to the API says that it comes from.
pub(super) struct Origin(Option<HeaderValue>);

impl Origin {
    /// `None` for what is no part of the API: health checks and events.
    pub fn of(request: &Request) -> Option<Self> {
        let told = || request.headers().get_all("x-forwarded-for").iter().next_back().cloned();
        request.uri().path().starts_with("/api/").then(|| Origin(told()))
    }

    /// The client's address. The load balancer appends it, and then its own, to whatever the client sent: only the last
    /// entry but one is to be believed. Who has one address of IPv6 has its whole network of 64 bits. One bucket is for
    /// all whose address is not told.
    fn address(&self) -> IpAddr {
        let told = self.0.as_ref().and_then(|value| value.to_str().ok()).unwrap_or_default();
        let mut from_the_end = told.rsplit(',').map(str::trim);
        let last = from_the_end.next();
        let client = from_the_end.next().or(last).and_then(|text| text.parse::<IpAddr>().ok());
        match client.map(|address| address.to_canonical()) {
            Some(IpAddr::V6(address)) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
            Some(address) => address,
            None => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        }
    }
}

impl Limiter {
    /// Takes one request from the bucket of where it comes from.
    pub(super) fn take_unknown(&self, origin: &Origin, now: DateTime<Utc>) -> Reading {
        let mut strangers = self.strangers.lock().unwrap_or_else(PoisonError::into_inner);
        take_from(&mut strangers, origin.address(), LIMIT, now)
    }
}

/// The refusal of a request too many.
pub(super) fn refusal(wait: u64) -> Problem {
    Problem::too_many(format!("without a known user, {LIMIT} requests a minute are answered")).retry_after(wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_load_balancer_wrote_is_believed() {
        let address = |told: &'static str| Origin(Some(HeaderValue::from_static(told))).address().to_string();
        assert_eq!(address("198.51.100.7, 203.0.113.1"), "198.51.100.7");
        assert_eq!(address("1.1.1.1,8.8.8.8, 198.51.100.7,203.0.113.1"), "198.51.100.7", "the client made up the rest");
        assert_eq!(address("198.51.100.7"), "198.51.100.7");
        assert_eq!(address("2001:db8:1:2:3:4:5:6,203.0.113.1"), "2001:db8:1:2::");
        assert_eq!(address("::ffff:198.51.100.7,203.0.113.1"), "198.51.100.7");
        assert_eq!((address("nonsense,203.0.113.1"), address("")), ("0.0.0.0".into(), "0.0.0.0".into()));
        assert_eq!(Origin(None).address().to_string(), "0.0.0.0");
    }
}
