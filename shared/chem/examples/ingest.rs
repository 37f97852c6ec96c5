//! How long a library takes, and how much memory: reads, judges and writes a CSV library as `library.ndjson`, and prints
//! the time and the peak of the resident memory. Without a file it makes a library of so many rows.
//!
//!     cargo run --release -p chem --example ingest -- make 1000000 > library.csv
//!     cargo run --release -p chem --example ingest -- judge library.csv > library.ndjson

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::time::Instant;

use bytes::Bytes;
use chem::{Curator, LibraryReader, ReadError, Source, Verdict};

/// What a molecule is put together from: substituent, ring, joint, middle, ring, substituent.
const HEAD: [&str; 10] = ["F", "Cl", "CO", "CC", "N#C", "CN(C)", "OC(=O)", "FC(F)(F)", "CS(=O)(=O)", "C1CC1"];
const TAIL: [&str; 10] = ["F", "Cl", "OC", "CC", "C#N", "N(C)C", "C(=O)O", "C(F)(F)F", "S(=O)(=O)C", "C1CC1"];
const LEFT: [&str; 10] = [
    "c1ccc(cc1)",
    "c1cccc(c1)",
    "c1ccnc(c1)",
    "c1csc(n1)",
    "c1ccc2c(c1)[nH]cc2",
    "c1cc(n[nH]1)",
    "C1CCN(CC1)",
    "c1nc2ccccc2n1",
    "C1CCC(CC1)",
    "c1noc(C)c1",
];
const JOINTS: [&str; 10] = [
    "C(=O)N",
    "C(=O)NC",
    "S(=O)(=O)N",
    "CC(=O)N",
    "NC(=O)N",
    "OC[C@H](O)CN",
    "CN(C)C(=O)",
    "C(=O)N1CCN(CC1)",
    "C(=O)N[C@@H](C)",
    "C/C=C/",
];
const MIDDLE: [&str; 10] =
    ["C", "CC", "CCC", "c1ccc(cc1)", "c1cccc(c1)", "C1CCC(CC1)", "CCO", "Cc1ccc(cc1)", "c1cc(on1)", "Cc1nc(cs1)"];
const RIGHT: [&str; 10] = [
    "c1ccc(cc1)",
    "c1cccc(c1)",
    "c1ccnc(c1)",
    "c1ccsc1",
    "C1CCN(CC1)",
    "c1cc2ccccc2c(c1)",
    "C1CCOC(C1)",
    "c1cnn(c1)",
    "c1c[nH]c2ccc(cc12)",
    "N1CCC(CC1)",
];

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["make", rows] => make(rows.parse().map_err(io::Error::other)?),
        ["judge", file] => judge(file),
        _ => Err(io::Error::other("make ROWS | judge FILE")),
    }
}

/// A million different molecules; of each hundred rows two are salts, one repeats another row and one is broken.
fn make(rows: usize) -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    writeln!(out, "smiles,name")?;
    for row in 0..rows {
        // A step prime to the number of molecules visits each once, in no order.
        let molecule = if row % 100 == 7 { row - 1 } else { row } * 387_421 % 1_000_000;
        let digit = |place: u32| molecule / 10_usize.pow(place) % 10;
        let tail = match row % 100 {
            3 => ".Cl",
            4 => ".[Na+].[Cl-]",
            5 => "(",
            _ => "",
        };
        let [left, joint, middle, right] = [LEFT[digit(0)], JOINTS[digit(1)], MIDDLE[digit(2)], RIGHT[digit(3)]];
        let (head, end) = (HEAD[digit(4)], TAIL[digit(5)]);
        writeln!(out, "{head}{left}{joint}{middle}{right}{end}{tail},Z{row:09}")?;
    }
    out.flush()
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
