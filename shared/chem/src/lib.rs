//! Chemistry and sequence input: what a user typed or uploaded becomes a checked value here, or a
//! reason a chemist understands. Parsing, validation and small text exports live here; files,
//! networks, jobs, models' own limits and prices never do.

pub mod curate;
pub mod library;
pub mod ligand;
pub mod msa;
#[cfg(test)]
mod rdkit;
pub mod sequence;
pub mod structure;

pub use curate::{Curator, FirstReading, Noted, RejectReason, Verdict};
pub use library::{
    LibraryError, LibraryReader, LibraryRow, ReadError, Record, RowError, RowProblem, Source, Structure,
};
pub use ligand::{Ligand, LigandError, Note, sdf_record};
pub use msa::{MsaError, check_msa};
pub use sequence::{FastaError, FastaRecord, ProteinSequence, SequenceError, parse_fasta};
pub use structure::{StructureError, chain_count, cif_to_pdb};
