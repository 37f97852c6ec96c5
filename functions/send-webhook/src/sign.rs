//! Signatures of Standard Webhooks 1.0: `v1,` and the base 64 of HMAC-SHA256 over `id.timestamp.payload`, one for every
//! secret that signs, with a space in between.

use base64::{Engine, prelude::BASE64_STANDARD};
use domain::Secret;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The header `webhook-signature`. `id` holds no full stop; `timestamp` is in seconds since 1970.
pub fn signatures<'a>(secrets: impl Iterator<Item = &'a Secret>, id: &str, timestamp: i64, payload: &str) -> String {
    let signed = secrets.filter_map(|secret| {
        let mut mac = Hmac::<Sha256>::new_from_slice(&key(secret)?).ok()?;
        mac.update(format!("{id}.{timestamp}.{payload}").as_bytes());
        Some(format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes())))
    });
    signed.collect::<Vec<_>>().join(" ")
}

/// The bytes of a secret; `None` for a text that is none, which signs nothing.
fn key(secret: &Secret) -> Option<Vec<u8>> {
    BASE64_STANDARD.decode(secret.reveal().strip_prefix("whsec_")?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_reference_implementations_is_signed_as_they_sign_it() {
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into());
        let payload = r#"{"test": 2432232314}"#;
        let signature = signatures([&secret].into_iter(), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, payload);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
