//! Times as the API and the documents write them.

use chrono::{DateTime, Datelike, Months, NaiveTime, SecondsFormat, SubsecRound, TimeDelta, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use std::fmt;
use utoipa::ToSchema;

/// A moment in UTC, to the millisecond, always written with three decimals: the order of the texts is the order of
/// the moments, which document queries rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ToSchema)]
#[schema(value_type = String, format = DateTime, example = "2026-11-23T12:52:14.000Z")]
pub struct Timestamp(DateTime<Utc>);

impl Timestamp {
    pub fn as_datetime(self) -> DateTime<Utc> {
        self.0
    }

    /// Seconds from `earlier` to this moment; negative if it is later.
    pub fn seconds_since(self, earlier: Timestamp) -> f64 {
        (self.0 - earlier.0).as_seconds_f64()
    }

    /// The moment at which the span of so many seconds began that holds this one; spans are counted from 1970, in UTC.
    pub fn floor(self, span: i64) -> Self {
        let seconds = self.0.timestamp();
        Timestamp(DateTime::from_timestamp_secs(seconds - seconds.rem_euclid(span)).unwrap_or(self.0))
    }

    /// The month of UTC that holds this moment, `2026-11`. The order of the texts is the order of the months.
    pub fn month(self) -> String {
        self.0.format("%Y-%m").to_string()
    }

    /// When the next month of UTC begins.
    pub fn next_month(self) -> Self {
        let first = self.0.date_naive().with_day(1).and_then(|day| day.checked_add_months(Months::new(1)));
        Timestamp(first.map_or(self.0, |day| day.and_time(NaiveTime::MIN).and_utc()))
    }

    /// This moment and so many seconds.
    pub fn plus_seconds(self, seconds: u64) -> Self {
        Timestamp(self.0 + TimeDelta::seconds(seconds.min(u64::from(u32::MAX)) as i64))
    }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(time: DateTime<Utc>) -> Self {
        Timestamp(time.trunc_subsecs(3))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time = DateTime::parse_from_rfc3339(&text).map_err(D::Error::custom)?;
        Ok(Timestamp::from(time.to_utc()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_sort_like_moments() {
        let at = |millis| Timestamp::from(DateTime::from_timestamp_millis(millis).unwrap()).to_string();
        assert_eq!(at(0), "1970-01-01T00:00:00.000Z");
        assert!(at(5_000) < at(5_100) && at(5_100) < at(6_000));
    }

    #[test]
    fn hours_and_months_begin_where_utc_says() {
        let at = |text: &str| Timestamp::from(text.parse::<DateTime<Utc>>().unwrap());
        let time = at("2026-12-31T23:59:59.999Z");
        assert_eq!((time.floor(3600), time.month()), (at("2026-12-31T23:00:00Z"), "2026-12".to_owned()));
        assert_eq!(time.next_month(), at("2027-01-01T00:00:00Z"));
        assert_eq!(at("2024-01-31T00:00:00Z").next_month(), at("2024-02-01T00:00:00Z"));
    }
}
