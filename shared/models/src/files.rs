//! Files that another program may still be writing: what does not read whole is not there.

use npyz::npz::NpzArchive;
use serde_json::{Map, Value};
use std::{fs::File, io::BufReader, path::Path};

/// A JSON object, or nothing if the file is absent, cut short or something else. Python writes numbers that JSON
/// does not know (`NaN`, `Infinity`); they read as null.
pub(crate) fn json_object(path: &Path) -> Option<Map<String, Value>> {
    let text = std::fs::read_to_string(path).ok()?;
    let text = text.replace("-Infinity", "null").replace("Infinity", "null").replace("NaN", "null");
    serde_json::from_str(&text).ok()
}

/// True if the file is there and not empty.
pub(crate) fn has_content(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.len() > 0)
}

/// A complete npz archive. Its directory comes last, so half an archive does not open.
pub(crate) struct Npz(NpzArchive<BufReader<File>>);

impl Npz {
    pub fn open(path: &Path) -> Option<Self> {
        NpzArchive::open(path).ok().map(Npz)
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.array_names().any(|known| known == name)
    }

    /// All numbers of a floating-point array in C order.
    pub fn numbers(&mut self, name: &str) -> Option<Vec<f64>> {
        let single = self.0.by_name(name).ok()??.into_vec::<f32>();
        match single {
            Ok(numbers) => Some(numbers.into_iter().map(f64::from).collect()),
            Err(_) => self.0.by_name(name).ok()??.into_vec::<f64>().ok(),
        }
    }

    /// All values of a boolean array.
    pub fn flags(&mut self, name: &str) -> Option<Vec<bool>> {
        self.0.by_name(name).ok()??.into_vec::<bool>().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_file_is_no_file_and_not_a_number_is_null() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        std::fs::write(&path, "{\n    \"a\": NaN,\n    \"b\": -Infinity, \"c\": 1.5}").unwrap();
        let object = json_object(&path).unwrap();
        assert!(object["a"].is_null() && object["b"].is_null());
        assert_eq!(object["c"], 1.5);
        std::fs::write(&path, "{\n    \"a\": 1.").unwrap();
        assert!(json_object(&path).is_none());
        assert!(Npz::open(&path).is_none());
    }
}
