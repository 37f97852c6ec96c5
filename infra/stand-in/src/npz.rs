//! Writes npz archives the way numpy does, with the stand-in's mark and without a clock in them.

use std::io;
use std::path::Path;

use npyz::npz::NpzWriter;
use npyz::{AutoSerialize, WriterBuilder};
use zip::write::FileOptions;

/// An npz file being written. Every archive gets an array `simulated`, holding `true`.
pub struct Archive {
    npz: NpzWriter<io::BufWriter<std::fs::File>>,
}

impl Archive {
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut archive = Self { npz: NpzWriter::create(path)? };
        archive.array("simulated", &[1], [true])?;
        Ok(archive)
    }

    /// Adds one array in C order; `values` must fill `shape`.
    pub fn array<T: AutoSerialize>(
        &mut self,
        name: &str,
        shape: &[u64],
        values: impl IntoIterator<Item = T>,
    ) -> io::Result<()> {
        let dated_1980 = FileOptions::default().last_modified_time(zip::DateTime::default());
        let mut array = self.npz.array(name, dated_1980)?.default_dtype().shape(shape).begin_nd()?;
        array.extend(values)?;
        array.finish()
    }
}
