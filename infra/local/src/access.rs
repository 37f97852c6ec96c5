//! The local identity provider: an RSA key made at the first start, tokens signed with it, and one API key. Both are
//! checked like any other; there is no way around the check.

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rsa::{KeyPair, KeySize},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::{DateTime, Utc};
use domain::{Account, Role, Scope, Tier, Uid};
use jsonwebtoken::{
    Algorithm, EncodingKey, Header, encode,
    jwk::{Jwk, JwkSet},
};
use platform::{Clock, Docs, Ids};
use serde_json::{Value, json};
use service::{api_key::ApiKey, places, tokens::Verifier};
use std::{
    fs, io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

const ISSUER: &str = "https://local.omtx-hub.invalid";
const AUDIENCE: &str = "omtx-hub-local";
const KEY_ID: &str = "local-1";
/// Seconds a token is good for, as Firebase's are.
const TOKEN_LIFE: i64 = 3600;

/// The keys of one data folder.
pub struct Access {
    folder: PathBuf,
    signing: EncodingKey,
    keys: JwkSet,
}

impl Access {
    /// Reads the keys of the folder, or makes them.
    pub fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let path = folder.join("token-key.pem");
        let pem = match fs::read_to_string(&path) {
            Ok(pem) => pem,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let pem = new_key()?;
                write_secret(&path, &pem)?;
                pem
            }
            Err(error) => return Err(error),
        };
        let signing = EncodingKey::from_rsa_pem(pem.as_bytes()).map_err(io::Error::other)?;
        let mut public = Jwk::from_encoding_key(&signing, Algorithm::RS256).map_err(io::Error::other)?;
        public.common.key_id = Some(KEY_ID.to_owned());
        Ok(Access { folder: folder.to_owned(), signing, keys: JwkSet { keys: vec![public] } })
    }

    pub fn verifier(&self) -> Verifier {
        Verifier::new(ISSUER.to_owned(), AUDIENCE.to_owned(), self.keys.clone())
    }

    /// What a function needs in its environment to check the tokens made here.
    pub fn environment(&self) -> io::Result<[(&'static str, String); 3]> {
        let keys = serde_json::to_string(&self.keys)?;
        Ok([("TOKEN_ISSUER", ISSUER.into()), ("TOKEN_AUDIENCE", AUDIENCE.into()), ("TOKEN_KEYS", keys)])
    }

    /// A token for a user of the tier enterprise, good for an hour.
    pub fn token(&self, user: &str, now: DateTime<Utc>) -> io::Result<String> {
        self.token_with(user, now, &json!({}))
    }

    /// The same with other claims in place of its own, or besides them.
    pub fn token_with(&self, user: &str, now: DateTime<Utc>, others: &Value) -> io::Result<String> {
        let now = now.timestamp();
        let mut claims = json!({
            "sub": user, "iss": ISSUER, "aud": AUDIENCE, "iat": now, "auth_time": now, "exp": now + TOKEN_LIFE,
            "tier": Tier::Enterprise,
        });
        for (name, value) in others.as_object().into_iter().flatten() {
            claims[name] = value.clone();
        }
        let header = Header { kid: Some(KEY_ID.to_owned()), ..Header::new(Algorithm::RS256) };
        encode(&header, &claims, &self.signing).map_err(io::Error::other)
    }

    /// The folder's API key, made and recorded for `user` where there is none yet, who becomes the operator.
    pub async fn api_key(&self, docs: &Docs, user: &str, clock: &Clock, ids: &Ids) -> io::Result<String> {
        let path = self.folder.join("api-key");
        let key = match fs::read_to_string(&path) {
            Ok(key) => key.trim().to_owned(),
            Err(_) => {
                let key = format!("omtx_{}{}", ids.next(), ids.next());
                write_secret(&path, &format!("{key}\n"))?;
                key
            }
        };
        let uid = Uid::named(user.to_owned()).map_err(io::Error::other)?;
        // Whoever has the machine is its operator.
        let account = Account { tier: Some(Tier::Admin), roles: Some(vec![Role::Admin]), ..Account::default() };
        let account = docs.create(&places::account(&uid), &account).await;
        let record = ApiKey {
            id: format!("key_{}", ids.next()),
            uid,
            name: "local".into(),
            scopes: Scope::ALL.to_vec(),
            created_at: clock.now().into(),
            expires_at: None,
            last_used_at: None,
        };
        for made in [account, docs.create(&ApiKey::path(&key), &record).await] {
            match made {
                Ok(()) | Err(platform::Error::AlreadyExists(_)) => {}
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(key)
    }

    /// The key that signed links are made with.
    pub fn link_key(&self) -> io::Result<String> {
        let path = self.folder.join("link-key");
        match fs::read_to_string(&path) {
            Ok(key) => Ok(key),
            Err(_) => {
                let ids = Ids::random();
                let key = format!("{}{}", ids.next(), ids.next());
                write_secret(&path, &key)?;
                Ok(key)
            }
        }
    }
}

fn new_key() -> io::Result<String> {
    let unspecified = |_| io::Error::other("no RSA key could be made");
    let key = KeyPair::generate(KeySize::Rsa2048).map_err(unspecified)?;
    let der: Pkcs8V1Der<'_> = key.as_der().map_err(unspecified)?;
    let text = BASE64_STANDARD.encode(der.as_ref());
    let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    Ok(format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n")))
}

/// Readable by its owner alone; there whole, or not at all.
fn write_secret(path: &Path, content: &str) -> io::Result<()> {
    let partial = path.with_extension("new");
    let mut options = fs::OpenOptions::new();
    options.create(true).truncate(true).write(true).mode(0o600);
    io::Write::write_all(&mut options.open(&partial)?, content.as_bytes())?;
    fs::rename(partial, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;

    #[test]
    fn a_token_made_here_is_taken_and_one_of_another_folder_is_not() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (access, other) = (Access::open(one.path()).unwrap(), Access::open(two.path()).unwrap());
        let now = Clock::system().now();
        let token = access.token("maria", now).unwrap();
        assert_eq!(access.verifier().verify(&token, now).unwrap().uid.as_str(), "maria");
        assert!(other.verifier().verify(&token, now).is_err());
        let expired = access.token("maria", now - TimeDelta::hours(2)).unwrap();
        assert!(access.verifier().verify(&expired, now).is_err());
        let again = Access::open(one.path()).unwrap();
        assert!(again.verifier().verify(&token, now).is_ok(), "the key is kept");
    }
}
