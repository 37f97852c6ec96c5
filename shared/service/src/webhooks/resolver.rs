//! Names to addresses, as a function that a test can put another one in the place of.

use futures::future::BoxFuture;
use std::{io, net::IpAddr, sync::Arc};

type Resolve = dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync;

/// Finds the addresses of a host's name. Cloning shares it.
#[derive(Clone)]
pub struct Resolver(Arc<Resolve>);

impl Resolver {
    pub fn new<F>(resolve: F) -> Self
    where
        F: Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync + 'static,
    {
        Resolver(Arc::new(resolve))
    }

    /// As this machine resolves names.
    pub fn system() -> Self {
        Resolver::new(|name| {
            Box::pin(async move {
                let found = tokio::net::lookup_host((name, 0)).await?;
                Ok(found.map(|address| address.ip()).collect())
            })
        })
    }

    /// Every address of the name, asked for once.
    pub(super) async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        (self.0)(name.to_owned()).await
    }
}
