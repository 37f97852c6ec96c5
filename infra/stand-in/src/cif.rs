//! mmCIF text of a prediction, with the columns and order the models write (python-modelcif),
//! pLDDT as B-factor and a category `_omtx_simulated` that marks it.

use std::fmt::Write;

use crate::assembly::{Atom, Chain, Content, three_letters};

/// The file's text. `plddt` holds one number between 0 and 1 per token; the file shows 0 to 100.
pub fn text(chains: &[Chain], atoms: &[Atom], plddt: &[f32]) -> String {
    let mut cif = String::from(
        "data_model\n_entry.id model\n_struct.entry_id model\n\
         _struct.pdbx_structure_determination_methodology computational\n#\n\
         _omtx_simulated.note 'Written by a stand-in: not a prediction, the numbers mean nothing.'\n#\n",
    );
    entities(&mut cif, chains);
    polymers(&mut cif, chains);
    coordinates(&mut cif, chains, atoms, plddt);
    local_quality(&mut cif, chains, plddt);
    cif
}

/// Opens a loop of one category with the given columns.
fn open_loop(cif: &mut String, category: &str, columns: &[&str]) {
    cif.push_str("loop_\n");
    for column in columns {
        line(cif, format_args!("{category}.{column}"));
    }
}

fn close_loop(cif: &mut String) {
    cif.push_str("#\n");
}

fn line(cif: &mut String, text: std::fmt::Arguments) {
    // Writing into a string cannot fail.
    let _ = writeln!(cif, "{text}");
}

fn entities(cif: &mut String, chains: &[Chain]) {
    open_loop(cif, "_entity", &["id", "type", "src_method", "pdbx_number_of_molecules"]);
    for (i, chain) in chains.iter().enumerate() {
        let kind = if chain.is_protein() { "polymer" } else { "non-polymer" };
        line(cif, format_args!("{} {kind} man 1", i + 1));
    }
    close_loop(cif);
    open_loop(cif, "_struct_asym", &["id", "entity_id", "details"]);
    for (i, chain) in chains.iter().enumerate() {
        line(cif, format_args!("{id} {} 'Model subunit {id}'", i + 1, id = chain.id));
    }
    close_loop(cif);
}

fn polymers(cif: &mut String, chains: &[Chain]) {
    if !chains.iter().any(Chain::is_protein) {
        return;
    }
    open_loop(cif, "_entity_poly_seq", &["entity_id", "num", "mon_id", "hetero"]);
    for (i, chain) in chains.iter().enumerate() {
        if let Content::Protein(sequence) = &chain.content {
            for (n, letter) in sequence.chars().enumerate() {
                line(cif, format_args!("{} {} {} .", i + 1, n + 1, three_letters(letter)));
            }
        }
    }
    close_loop(cif);
}

fn coordinates(cif: &mut String, chains: &[Chain], atoms: &[Atom], plddt: &[f32]) {
    open_loop(
        cif,
        "_atom_site",
        &[
            "group_PDB",
            "id",
            "type_symbol",
            "label_atom_id",
            "label_alt_id",
            "label_comp_id",
            "label_seq_id",
            "auth_seq_id",
            "pdbx_PDB_ins_code",
            "label_asym_id",
            "Cartn_x",
            "Cartn_y",
            "Cartn_z",
            "occupancy",
            "label_entity_id",
            "auth_asym_id",
            "auth_comp_id",
            "B_iso_or_equiv",
            "pdbx_PDB_model_num",
        ],
    );
    for (i, atom) in atoms.iter().enumerate() {
        let Some(chain) = chains.get(atom.chain) else {
            continue;
        };
        let (group, sequence_id) =
            if chain.is_protein() { ("ATOM", atom.residue.to_string()) } else { ("HETATM", ".".to_owned()) };
        let (number, entity, residue) = (i + 1, atom.chain + 1, atom.residue);
        let (symbol, name) = (atom.element.to_uppercase(), &atom.name);
        let (component, id) = (&atom.component, &chain.id);
        let [x, y, z] = atom.place;
        let quality = percent(plddt, atom.token);
        line(
            cif,
            format_args!(
                "{group} {number} {symbol} {name} . {component} {sequence_id} {residue} ? {id} \
                 {x:.5} {y:.5} {z:.5} 1 {entity} {id} {component} {quality:.3} 1"
            ),
        );
    }
    close_loop(cif);
}

fn local_quality(cif: &mut String, chains: &[Chain], plddt: &[f32]) {
    cif.push_str(
        "_ma_qa_metric.id 1\n_ma_qa_metric.name pLDDT\n_ma_qa_metric.description 'Predicted lddt'\n\
         _ma_qa_metric.type pLDDT\n_ma_qa_metric.mode local\n#\n",
    );
    open_loop(
        cif,
        "_ma_qa_metric_local",
        &["ordinal_id", "model_id", "label_asym_id", "label_seq_id", "label_comp_id", "metric_id", "metric_value"],
    );
    let (mut ordinal, mut token) = (1, 0);
    for chain in chains {
        let id = &chain.id;
        match &chain.content {
            Content::Protein(sequence) => {
                for (n, letter) in sequence.chars().enumerate() {
                    let (component, quality) = (three_letters(letter), percent(plddt, token + n));
                    let residue = n + 1;
                    line(cif, format_args!("{ordinal} 1 {id} {residue} {component} 1 {quality:.3}"));
                    ordinal += 1;
                }
            }
            Content::Ligand { name, elements } => {
                let atoms = token..token + elements.len();
                let sum: f32 = atoms.map(|atom| percent(plddt, atom)).sum();
                let quality = sum / elements.len() as f32;
                line(cif, format_args!("{ordinal} 1 {id} 1 {name} 1 {quality:.3}"));
                ordinal += 1;
            }
        }
        token += chain.tokens();
    }
    close_loop(cif);
}

fn percent(plddt: &[f32], token: usize) -> f32 {
    100.0 * plddt.get(token).copied().unwrap_or_default()
}
