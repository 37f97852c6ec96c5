//! A data folder of the embedded storage, with the keys and the environment that every function needs to work on it.

use crate::{Outcome, process::Environment};
use chrono::{DateTime, Utc};
use domain::{Account, Role, Tier, Uid};
use local::Access;
use platform::{
    Clock,
    embedded::{Links, Store},
};
use serde_json::json;
use service::places;
use std::{fs, path::Path};
use tempfile::TempDir;

/// What is deleted with it.
pub struct Place {
    folder: TempDir,
    pub access: Access,
}

impl Place {
    pub fn new() -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        let access = Access::open(folder.path())?;
        Ok(Place { folder, access })
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The store, as this process may use it beside the functions.
    pub fn store(&self) -> Outcome<Store> {
        Ok(Store::open(self.path(), Clock::system(), Links::unsigned())?)
    }

    /// What a function is started with. Nobody is held to the limits of a tier.
    pub fn environment(&self) -> Outcome<Environment> {
        let settings = [
            ("STORE_URL", format!("file:{}", self.path().display())),
            ("STORAGE_URL", "http://127.0.0.1:8080/storage/".to_owned()),
            ("LINK_KEY", self.access.link_key()?),
            ("LIMITS", "off".to_owned()),
            ("WEBHOOKS_TO_LOOPBACK", "1".to_owned()),
            ("RUST_LOG", "warn".to_owned()),
        ];
        let settings = settings.into_iter().chain(self.access.environment()?);
        Ok(settings.map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// A token of an operator, good for an hour.
    pub fn token(&self, user: &str) -> Outcome<String> {
        Ok(self.access.token_with(user, now(), &json!({"tier": Tier::Admin, "roles": [Role::Admin]}))?)
    }

    /// Makes the account of a user of the largest tier.
    pub async fn account(&self, store: &Store, user: &Uid) -> Outcome<()> {
        let account = Account { tier: Some(Tier::Admin), ..Account::default() };
        Ok(store.docs().create(&places::account(user), &account).await?)
    }

    /// The bytes below the folder, in MiB.
    pub fn size(&self) -> Outcome<f64> {
        fn below(folder: &Path) -> std::io::Result<u64> {
            let sizes = fs::read_dir(folder)?.map(|entry| {
                let entry = entry?;
                let meta = entry.metadata()?;
                if meta.is_dir() { below(&entry.path()) } else { Ok(meta.len()) }
            });
            sizes.sum()
        }
        Ok(below(self.path())? as f64 / 1024.0 / 1024.0)
    }
}

/// What time it is.
pub fn now() -> DateTime<Utc> {
    Clock::system().now()
}
