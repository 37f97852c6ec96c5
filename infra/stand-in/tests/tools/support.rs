//! Runs the stand-in as the worker does: as a child process in an empty folder, watched through
//! its exit code, its output and its files. No knowledge of how the stand-in works inside.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A folder with inputs and outputs that goes away with the test.
pub struct Bench {
    folder: TempDir,
}

impl Bench {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// `command` is split at spaces; `faults` is `STAND_IN_FAULTS`.
    pub fn command(&self, command: &str, faults: &str) -> Command {
        let mut child = Command::new(env!("CARGO_BIN_EXE_model-stand-in"));
        child
            .args(command.split_whitespace())
            .current_dir(self.folder.path())
            .env("STAND_IN_FAULTS", faults)
            .stdin(Stdio::null());
        child
    }

    pub fn run(&self, command: &str, faults: &str) -> Ended {
        Ended(self.command(command, faults).output().unwrap())
    }

    /// Every file below `name`, with its bytes.
    pub fn tree(&self, name: &str) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        collect(&self.path(name), &self.path(name), &mut files);
        files
    }

    pub fn files(&self, name: &str) -> Vec<String> {
        self.tree(name).into_keys().collect()
    }
}

fn collect(root: &Path, folder: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in folder.read_dir().into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, files);
        } else {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap();
            files.insert(name.to_owned(), std::fs::read(&path).unwrap());
        }
    }
}

/// A finished run.
pub struct Ended(Output);

impl Ended {
    /// The exit code; none when a signal ended it.
    pub fn code(&self) -> Option<i32> {
        self.0.status.code()
    }

    pub fn printed(&self) -> String {
        let bytes = [&self.0.stdout[..], &self.0.stderr[..]].concat();
        String::from_utf8(bytes).unwrap()
    }
}

/// A file of a real run.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// What an npz archive holds: name, element type and shape of each array, without the mark.
pub fn arrays(path: &Path) -> BTreeSet<(String, String, Vec<u64>)> {
    let mut archive = npyz::npz::NpzArchive::open(path).unwrap();
    let names: Vec<String> = archive.array_names().map(str::to_owned).collect();
    let described = names.into_iter().filter(|name| name != "simulated").map(|name| {
        let array = archive.by_name(&name).unwrap().unwrap();
        let (kind, shape) = (array.dtype().descr(), array.shape().to_vec());
        (name, kind, shape)
    });
    described.collect()
}

pub fn is_marked(path: &Path) -> bool {
    let archive = npyz::npz::NpzArchive::open(path).unwrap();
    archive.array_names().any(|name| name == "simulated")
}
