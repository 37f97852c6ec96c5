//! Identity tokens: any text, and the good token with any edits. Only the good token itself is ever taken. Its private
//! key was thrown away.
#![no_main]

use chrono::{DateTime, Utc};
use libfuzzer_sys::fuzz_target;
use service::tokens::Verifier;
use std::sync::LazyLock;

const GOOD: &str = include_str!("token.txt");
const NOW: i64 = 1_700_000_000;

static VERIFIER: LazyLock<Verifier> = LazyLock::new(|| {
    let keys = serde_json::from_str(include_str!("token-keys.json")).expect("keys");
    Verifier::new("https://securetoken.google.com/project".into(), "project".into(), keys)
});

/// The good token after edits of three bytes each: a position (two bytes), and the byte that is put there.
fn edited(edits: &[u8]) -> Vec<u8> {
    let mut token = GOOD.trim().as_bytes().to_vec();
    for edit in edits.chunks_exact(3) {
        let at = usize::from(u16::from_be_bytes([edit[0], edit[1]])) % token.len();
        token[at] = edit[2];
    }
    token
}

fuzz_target!(|data: &[u8]| {
    let now = DateTime::<Utc>::from_timestamp_secs(NOW).expect("a moment");
    let Some((first, rest)) = data.split_first() else { return };
    let token = if first & 1 == 0 { rest.to_vec() } else { edited(rest) };
    let Ok(token) = String::from_utf8(token) else { return };
    let good = token == GOOD.trim();
    assert_eq!(VERIFIER.verify(&token, now).is_ok(), good, "{token}");
});
