use crate::Clock;
use chrono::{TimeDelta, Utc};

/// What both kinds of clock promise: time that never runs backwards, shared by every copy of the clock.
pub fn clock(clock: &Clock) {
    let copy = clock.clone();
    let readings: Vec<_> = (0..1000).map(|n| if n % 2 == 0 { clock.now() } else { copy.now() }).collect();
    assert!(readings.is_sorted(), "time ran backwards");
    clock.advance(TimeDelta::hours(1));
    assert!(copy.now() >= readings[999]);
    assert_eq!(clock.now().timezone(), Utc);
}
