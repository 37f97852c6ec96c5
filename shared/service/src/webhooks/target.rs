//! Where a message may be sent: an https URL whose host is on the public internet, judged when the endpoint is made and
//! again at every attempt. A name is resolved once; if any of its addresses is not public, none is used; and the
//! connection is made to the addresses that were judged, whatever the name leads to a moment later.

use super::{Resolver, address::is_public};
use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};
use url::{Host, Url};

/// Characters of a URL.
const MAX_URL: usize = 2048;
/// How long a name may take to be resolved.
const RESOLVE_WITHIN: Duration = Duration::from_secs(5);

/// Endings of names that mean something only inside a network (RFC 6761, RFC 6762, RFC 8375, and what Google Cloud
/// calls its own hosts).
const INSIDE: [&str; 5] = [".localhost", ".local", ".internal", ".home.arpa", ".localdomain"];

/// Why nothing may be sent to a URL, as its owner is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("is not a URL of at most {MAX_URL} characters, without spaces and backslashes")]
    Unreadable,
    #[error("must begin with https://")]
    Scheme,
    #[error("must not hold a user name or a password")]
    Credentials,
    #[error("must use port 443, or one from 1024 on")]
    Port,
    #[error("must name a host by its full name, one that means the same everywhere")]
    Name,
    #[error("names a host that cannot be found")]
    Unresolved,
    #[error("leads to an address that is not on the public internet")]
    NotPublic,
}

/// A URL that may be sent to as far as it can be judged by itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    url: Url,
    loopback: bool,
}

impl Target {
    /// Judges the text. `loopback` is for tests and for work on a laptop: it lets messages go to this machine too, and
    /// there without TLS.
    pub fn parse(text: &str, loopback: bool) -> Result<Self, Refusal> {
        let strange = |c: char| c == '\\' || c.is_whitespace() || c.is_control();
        if text.len() > MAX_URL || text.contains(strange) {
            return Err(Refusal::Unreadable);
        }
        // The URL standard forgives a missing or an additional slash and takes the path for the host.
        let (scheme, rest) = text.split_once("://").ok_or(Refusal::Scheme)?;
        if rest.starts_with('/') {
            return Err(Refusal::Unreadable);
        }
        let schemes: &[&str] = if loopback { &["https", "http"] } else { &["https"] };
        if !schemes.iter().any(|allowed| scheme.eq_ignore_ascii_case(allowed)) {
            return Err(Refusal::Scheme);
        }
        let url = Url::parse(text).map_err(|_| Refusal::Unreadable)?;
        if !url.username().is_empty()
            || url.password().is_some()
            || rest.split('/').next().unwrap_or(rest).contains('@')
        {
            return Err(Refusal::Credentials);
        }
        if !url.port_or_known_default().is_some_and(|port| port == 443 || port >= 1024) {
            return Err(Refusal::Port);
        }
        let target = Target { url, loopback };
        match target.url.host().ok_or(Refusal::Unreadable)? {
            Host::Domain(name) if !loopback && !is_full_name(name) => Err(Refusal::Name),
            Host::Domain(_) => Ok(target),
            Host::Ipv4(address) => target.allows(address.into()).map(|()| target),
            Host::Ipv6(address) => target.allows(address.into()).map(|()| target),
        }
    }

    /// The addresses to connect to, all of them judged: none where one of them is not public.
    pub async fn addresses(&self, resolver: &Resolver) -> Result<Vec<SocketAddr>, Refusal> {
        let found: Vec<IpAddr> = match self.url.host().ok_or(Refusal::Unreadable)? {
            Host::Ipv4(address) => vec![address.into()],
            Host::Ipv6(address) => vec![address.into()],
            Host::Domain(name) => match tokio::time::timeout(RESOLVE_WITHIN, resolver.resolve(name)).await {
                Ok(Ok(found)) if !found.is_empty() => found,
                _ => return Err(Refusal::Unresolved),
            },
        };
        let port = self.url.port_or_known_default().unwrap_or(443);
        found.into_iter().map(|address| self.allows(address).map(|()| SocketAddr::new(address, port))).collect()
    }

    pub fn url(&self) -> &Url {
        &self.url
    }

    fn allows(&self, address: IpAddr) -> Result<(), Refusal> {
        let this_machine = self.loopback && address.is_loopback();
        let encrypted = self.url.scheme() == "https";
        if this_machine || encrypted && is_public(address) { Ok(()) } else { Err(Refusal::NotPublic) }
    }
}

fn is_full_name(name: &str) -> bool {
    let whole = name.contains('.') && !name.ends_with('.');
    whole && !INSIDE.iter().any(|ending| name.ends_with(ending))
}

#[cfg(test)]
#[path = "target_tests.rs"]
mod tests;
