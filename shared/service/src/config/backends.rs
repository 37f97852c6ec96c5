//! Which adapter each port has, by URL: `file:FOLDER` for the embedded ones, Google's own schemes for Google Cloud
//! (feature `google`). `STORE_URL=file:FOLDER` sets all four.

use super::Reader;
#[cfg(feature = "google")]
use platform::google::{self, Endpoint};
use platform::{
    Blobs, Bus, Clock, Docs, Executions, Result,
    embedded::{Links, Store},
};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};
use url::Url;

const DOCS: &str = "firestore://PROJECT/DATABASE or file:FOLDER";
const BLOBS: &str = "gs://BUCKET-PREFIX or file:FOLDER";
const BUS: &str = "pubsub://PROJECT or file:FOLDER";
const EXECUTIONS: &str = "run://PROJECT/REGION or file:FOLDER";

/// What keeps what one port is given.
enum Backend {
    File(PathBuf),
    #[cfg(feature = "google")]
    Google(Place),
}

/// A place in Google Cloud.
#[cfg(feature = "google")]
struct Place {
    /// What stands before the slash: a project, or a bucket prefix.
    name: String,
    /// What stands after it: a database or a region.
    part: String,
    /// An emulator, where one is used.
    endpoint: Option<Endpoint>,
}

/// What the environment says of the ports; one it says nothing right of is absent.
pub(super) struct Stores {
    docs: Option<Backend>,
    blobs: Option<Backend>,
    bus: Option<Backend>,
    executions: Option<Backend>,
    links: Option<Links>,
}

/// One backend for every port.
pub(super) struct Backends {
    docs: Backend,
    blobs: Backend,
    bus: Backend,
    executions: Backend,
    /// Signed links, where objects are files.
    links: Option<Links>,
}

impl Stores {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let docs = backend(reader, "DOCS_URL", DOCS, "FIRESTORE_EMULATOR_HOST");
        let blobs = backend(reader, "BLOBS_URL", BLOBS, "STORAGE_EMULATOR_HOST");
        let bus = backend(reader, "BUS_URL", BUS, "PUBSUB_EMULATOR_HOST");
        let executions = backend(reader, "EXECUTIONS_URL", EXECUTIONS, "RUN_ENDPOINT");
        let links = match &blobs {
            Some(Backend::File(_)) => links(reader),
            _ => None,
        };
        Stores { docs, blobs, bus, executions, links }
    }

    /// What the names of buckets begin with, where the URL says it.
    pub(super) fn bucket_prefix(&self) -> Option<&str> {
        match &self.blobs {
            #[cfg(feature = "google")]
            Some(Backend::Google(place)) => Some(&place.name),
            _ => None,
        }
    }

    pub(super) fn complete(self) -> Option<Backends> {
        let Stores { docs, blobs, bus, executions, links } = self;
        Some(Backends { docs: docs?, blobs: blobs?, bus: bus?, executions: executions?, links })
    }
}

fn links(reader: &mut Reader<'_>) -> Option<Links> {
    let base = reader.need("STORAGE_URL", "the address signed links begin with");
    let base = base.and_then(|_| reader.parsed::<Url>("STORAGE_URL"));
    let key = reader.need("LINK_KEY", "the key signed links are signed with");
    Some(Links::signed(base?, key?.into_bytes()))
}

/// Reads one port's URL. `forms` are those it may have, the first of them Google's.
fn backend(reader: &mut Reader<'_>, variable: &str, forms: &str, endpoint: &str) -> Option<Backend> {
    let Some(url) = reader.get(variable).or_else(|| reader.get("STORE_URL")).map(str::to_owned) else {
        reader.wrong.push(format!("{variable} is not set ({forms})"));
        return None;
    };
    if let Some(folder) = url.strip_prefix("file:").filter(|folder| !folder.is_empty()) {
        return Some(Backend::File(folder.into()));
    }
    let (scheme, shape) = forms.split_whitespace().next()?.split_once("://")?;
    let (name, part) = match url.strip_prefix(scheme).and_then(|rest| rest.strip_prefix("://")) {
        Some(rest) => rest.split_once('/').unwrap_or((rest, "")),
        None => ("", ""),
    };
    if name.is_empty() || part.contains('/') || part.is_empty() == shape.contains('/') {
        reader.wrong.push(format!("{variable} is {url:?}, which it cannot be ({forms})"));
        return None;
    }
    on_google(reader, variable, (name, part), endpoint)
}

#[cfg(feature = "google")]
fn on_google(reader: &Reader<'_>, _: &str, (name, part): (&str, &str), endpoint: &str) -> Option<Backend> {
    let endpoint = reader.get(endpoint).map(Endpoint::new);
    Some(Backend::Google(Place { name: name.to_owned(), part: part.to_owned(), endpoint }))
}

#[cfg(not(feature = "google"))]
fn on_google(reader: &mut Reader<'_>, variable: &str, _: (&str, &str), _: &str) -> Option<Backend> {
    reader.wrong.push(format!("{variable} needs Google Cloud; this program was built without the feature `google`"));
    None
}

impl Backends {
    /// The ports. Folders are opened here; Google's adapters connect at their first use.
    pub(super) fn open(self, clock: &Clock) -> Result<(Docs, Blobs, Bus, Executions)> {
        let mut folders = Folders { open: HashMap::new(), links: self.links, clock };
        let docs = match self.docs {
            Backend::File(folder) => folders.store(&folder)?.docs(),
            #[cfg(feature = "google")]
            Backend::Google(at) => google::docs(&at.name, &at.part, at.endpoint, clock),
        };
        let blobs = match self.blobs {
            Backend::File(folder) => folders.store(&folder)?.blobs(),
            #[cfg(feature = "google")]
            Backend::Google(at) => google::blobs(&at.name, at.endpoint, clock),
        };
        let bus = match self.bus {
            Backend::File(folder) => folders.store(&folder)?.bus(),
            #[cfg(feature = "google")]
            Backend::Google(at) => google::bus(&at.name, at.endpoint, clock),
        };
        let executions = match self.executions {
            Backend::File(folder) => folders.store(&folder)?.executions(),
            #[cfg(feature = "google")]
            Backend::Google(at) => google::executions(&at.name, &at.part, at.endpoint, docs.clone(), clock),
        };
        Ok((docs, blobs, bus, executions))
    }
}

/// Data folders, each opened once.
struct Folders<'a> {
    open: HashMap<PathBuf, Store>,
    links: Option<Links>,
    clock: &'a Clock,
}

impl Folders<'_> {
    fn store(&mut self, folder: &Path) -> Result<Store> {
        if let Some(store) = self.open.get(folder) {
            return Ok(store.clone());
        }
        // A folder without objects signs no links.
        let links = self.links.clone().unwrap_or_else(Links::unsigned);
        let store = Store::open(folder, self.clock.clone(), links)?;
        self.open.insert(folder.to_owned(), store.clone());
        Ok(store)
    }
}
