//! Stand-ins for what only Google can give, for use against emulators and test servers: they prove nothing to anybody.

use google_cloud_auth::{
    credentials::{CacheableResource, Credentials, CredentialsProvider, EntityTag},
    errors::CredentialsError,
    signer::{Signer, SigningProvider},
};
use http::{Extensions, HeaderMap, HeaderValue, header::AUTHORIZATION};
use sha2::{Digest, Sha256};

/// The token by which the Firestore emulator knows a server, for which security rules do not count.
#[derive(Debug)]
pub(super) struct Owner(EntityTag);

impl Owner {
    pub(super) fn credentials() -> Credentials {
        Owner(EntityTag::new()).into()
    }
}

impl CredentialsProvider for Owner {
    async fn headers(&self, known: Extensions) -> Result<CacheableResource<HeaderMap>, CredentialsError> {
        if known.get::<EntityTag>() == Some(&self.0) {
            return Ok(CacheableResource::NotModified);
        }
        let data = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static("Bearer owner"))]);
        Ok(CacheableResource::New { entity_tag: self.0.clone(), data })
    }

    async fn universe_domain(&self) -> Option<String> {
        None
    }
}

/// Signs links with a plain SHA-256: well formed, and checked by no test server.
#[derive(Debug)]
pub(super) struct Unproven;

impl Unproven {
    pub(super) fn signer() -> Signer {
        Signer::from(Unproven)
    }
}

impl SigningProvider for Unproven {
    async fn client_email(&self) -> google_cloud_auth::signer::Result<String> {
        Ok("nobody@localhost".to_owned())
    }

    async fn sign(&self, content: &[u8]) -> google_cloud_auth::signer::Result<bytes::Bytes> {
        Ok(bytes::Bytes::copy_from_slice(&Sha256::digest(content)))
    }
}
