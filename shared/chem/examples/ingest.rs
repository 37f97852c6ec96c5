//! How long a library takes, and how much memory: reads, judges and writes a library of any format as `library.ndjson`,
//! and prints the time and the peak of the resident memory. A made-up one of a million rows is judged by `tests/benches`.
//!
//!     cargo run --release -p chem --example ingest -- library.csv > library.ndjson

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::time::Instant;

use bytes::Bytes;
use chem::{Curator, LibraryReader, ReadError, Source, Verdict};

fn main() -> io::Result<()> {
    match std::env::args().nth(1) {
        Some(file) => judge(&file),
        None => Err(io::Error::other("name the library")),
    }
}

struct OnDisk(String);

impl Source for OnDisk {
    fn size(&self) -> u64 {
        File::open(&self.0).and_then(|file| file.metadata()).map_or(0, |meta| meta.len())
    }

    fn stream(&self) -> io::Result<Box<dyn BufRead + Send>> {
        Ok(Box::new(BufReader::with_capacity(256 * 1024, File::open(&self.0)?)))
    }

    fn range(&self, start: u64, length: usize) -> io::Result<Bytes> {
        let mut file = File::open(&self.0)?;
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = vec![0; length];
        file.read_exact(&mut bytes)?;
        Ok(bytes.into())
    }
}

fn judge(file: &str) -> io::Result<()> {
    let begun = Instant::now();
    let mut out = BufWriter::new(io::stdout().lock());
    let mut rows = LibraryReader::open(OnDisk(file.to_owned())).map_err(io::Error::other)?;
    let mut curator = Curator::new();
    let (mut accepted, mut rejected) = (0u64, 0u64);
    loop {
        let mut batch = Vec::with_capacity(chem::curate::BATCH);
        for row in rows.by_ref().take(chem::curate::BATCH) {
            batch.push(match row {
                Ok(record) => Ok(record),
                Err(ReadError::Row(error)) => Err(error),
                Err(ReadError::Library(error)) => return Err(io::Error::other(error)),
            });
        }
        if batch.is_empty() {
            break;
        }
        for verdict in curator.judge_all(batch) {
            match verdict {
                Verdict::Accepted { row, name, ligand } => {
                    accepted += 1;
                    let item = serde_json::json!({
                        "index": accepted, "row": row, "name": name, "smiles": ligand.smiles(),
                        "heavy_atoms": ligand.heavy_atoms(), "notes": ligand.notes().iter().map(ToString::to_string).collect::<Vec<_>>(),
                    });
                    serde_json::to_writer(&mut out, &item)?;
                    out.write_all(b"\n")?;
                }
                Verdict::Rejected { .. } => rejected += 1,
            }
        }
    }
    out.flush()?;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("peak unknown");
    eprintln!("{accepted} accepted, {rejected} rejected, {:.2} s, {peak}", begun.elapsed().as_secs_f64());
    Ok(())
}
