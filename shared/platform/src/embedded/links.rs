//! Signed links of the embedded store: an HMAC over method, object, expiry and the header that bounds what is written,
//! checked by whoever serves them.

use crate::{BlobPath, Clock, Error, Method, Result};
use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::time::Duration;
use url::Url;

/// Makes and checks links. Without a key (a scratch store) links carry an empty signature that no check accepts.
#[derive(Clone)]
pub struct Links {
    base: Option<Url>,
    key: Vec<u8>,
}

impl Links {
    /// Links below `base`, e.g. `http://127.0.0.1:8080/storage/`, signed with `key`.
    pub fn signed(base: Url, key: Vec<u8>) -> Self {
        Links { base: Some(base), key }
    }

    /// Links that nobody accepts.
    pub fn unsigned() -> Self {
        Links { base: None, key: vec![] }
    }

    pub(super) fn make(
        &self,
        path: &BlobPath,
        method: Method,
        expires: DateTime<Utc>,
        download_as: Option<&str>,
    ) -> Result<Url> {
        let base = self.base.clone();
        let mut url = match base {
            Some(url) => url,
            None => Url::parse("http://unsigned.invalid/").map_err(|error| Error::internal("making a link", error))?,
        };
        url.path_segments_mut()
            .map_err(|()| Error::Invalid("the address of the storage is no base".into()))?
            .pop_if_empty()
            .push(path.bucket())
            .extend(path.name().split('/'));
        let expires = expires.timestamp();
        let name = download_as.unwrap_or_default();
        url.query_pairs_mut()
            .append_pair("expires", &expires.to_string())
            .append_pair("filename", name)
            .append_pair("signature", &hex::encode(self.mac(path, method, expires, name)?.finalize().into_bytes()));
        Ok(url)
    }

    /// True if the signature was made here for exactly this use and has not run out.
    pub fn allows(
        &self,
        path: &BlobPath,
        method: Method,
        expires: i64,
        download_as: &str,
        signature: &str,
        clock: &Clock,
    ) -> bool {
        let Ok(signature) = hex::decode(signature) else { return false };
        let Ok(mac) = self.mac(path, method, expires, download_as) else { return false };
        !self.key.is_empty() && clock.now().timestamp() <= expires && mac.verify_slice(&signature).is_ok()
    }

    fn mac(&self, path: &BlobPath, method: Method, expires: i64, download_as: &str) -> Result<Hmac<Sha256>> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.key).map_err(|error| Error::internal("signing a link", error))?;
        let (verb, (_, signed)) = (method.as_str(), method.header().unwrap_or_default());
        mac.update(format!("{verb}\n{path}\n{expires}\n{download_as}\n{signed}").as_bytes());
        Ok(mac)
    }
}

pub(super) fn expiry(now: DateTime<Utc>, valid: Duration) -> DateTime<Utc> {
    now + TimeDelta::from_std(valid).unwrap_or(TimeDelta::hours(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_serves_one_object_one_method_and_for_a_while() {
        let clock = Clock::manual(DateTime::UNIX_EPOCH);
        let links = Links::signed(Url::parse("http://127.0.0.1:1/storage/").unwrap(), b"key".to_vec());
        let path = BlobPath::new("artifacts", "u 1/a.csv").unwrap();
        let url = links.make(&path, Method::Get, expiry(clock.now(), Duration::from_secs(60)), Some("a.csv")).unwrap();
        assert_eq!(url.path(), "/storage/artifacts/u%201/a.csv");
        let signature = url.query_pairs().find(|(k, _)| k == "signature").unwrap().1.into_owned();
        assert!(links.allows(&path, Method::Get, 60, "a.csv", &signature, &clock));
        let other = BlobPath::new("artifacts", "u2/a.csv").unwrap();
        assert!(!links.allows(&other, Method::Get, 60, "a.csv", &signature, &clock));
        assert!(!links.allows(&path, Method::Put { most: 9 }, 60, "a.csv", &signature, &clock));
        assert!(!links.allows(&path, Method::Get, 61, "a.csv", &signature, &clock));
        assert!(!links.allows(&path, Method::Get, 60, "b.csv", &signature, &clock));
        clock.advance(TimeDelta::seconds(61));
        assert!(!links.allows(&path, Method::Get, 60, "a.csv", &signature, &clock));
    }

    #[test]
    fn a_link_for_writing_is_signed_with_the_most_that_may_be_written() {
        let clock = Clock::manual(DateTime::UNIX_EPOCH);
        let links = Links::signed(Url::parse("http://127.0.0.1:1/storage/").unwrap(), b"key".to_vec());
        let path = BlobPath::new("uploads", "u1/a.csv").unwrap();
        let url =
            links.make(&path, Method::Put { most: 9 }, expiry(clock.now(), Duration::from_secs(60)), None).unwrap();
        let signature = url.query_pairs().find(|(k, _)| k == "signature").unwrap().1.into_owned();
        let allows = |method| links.allows(&path, method, 60, "", &signature, &clock);
        assert!(allows(Method::Put { most: 9 }) && !allows(Method::Put { most: 10 }) && !allows(Method::Get));
    }
}
