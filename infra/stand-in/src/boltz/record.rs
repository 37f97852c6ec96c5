//! One input after preprocessing, as it is kept in `processed/records`. A second run in the same
//! output folder reads it from there, so an edited input under the same name has no effect.

use serde::{Deserialize, Serialize};

use crate::assembly::{Chain, Content, three_letters};
use crate::draws::Draws;

/// One complex to predict.
#[derive(Debug, Serialize, Deserialize)]
pub struct Record {
    pub id: String,
    pub simulated: bool,
    /// The chain whose affinity is asked for.
    pub affinity: Option<String>,
    pub chains: Vec<RecordChain>,
}

/// One chain: exactly one of `sequence`, `smiles` and `ccd` is there.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct RecordChain {
    pub id: String,
    pub sequence: Option<String>,
    pub smiles: Option<String>,
    pub ccd: Option<String>,
    /// Elements of a ligand's heavy atoms.
    pub elements: Vec<String>,
}

impl Record {
    /// The chains as the output files show them: ligands are `LIG1`, `LIG2`, … in order.
    pub fn chains(&self) -> Vec<Chain> {
        let mut ligands = 0;
        let chains = self.chains.iter().map(|chain| {
            let content = match &chain.sequence {
                Some(sequence) => Content::Protein(sequence.clone()),
                None => {
                    ligands += usize::from(chain.ccd.is_none());
                    let unnamed = || format!("LIG{ligands}");
                    Content::Ligand {
                        name: chain.ccd.clone().unwrap_or_else(unnamed),
                        elements: chain.elements.clone(),
                    }
                }
            };
            Chain { id: chain.id.clone(), content }
        });
        chains.collect()
    }

    /// The numbers of this record: fixed by what is predicted, the seed and `purpose`, and by
    /// neither its id nor its neighbours.
    pub fn draws(&self, seed: &str, purpose: &str) -> Draws {
        let mut input = String::new();
        for chain in &self.chains {
            let residues = chain.sequence.iter().flat_map(|s| s.chars().map(three_letters));
            input.extend(residues);
            input.extend(chain.smiles.iter().chain(&chain.ccd).map(String::as_str));
            input.push('\n');
        }
        Draws::of(&["boltz", seed, purpose, &input])
    }

    /// Heavy atoms of the chain whose affinity is asked for.
    pub fn binder_atoms(&self) -> usize {
        let binder = self.chains.iter().find(|c| Some(&c.id) == self.affinity.as_ref());
        binder.map_or(0, |chain| chain.elements.len())
    }
}
