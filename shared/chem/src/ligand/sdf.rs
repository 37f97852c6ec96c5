//! One ligand as one record of an SD file, for spreadsheets and viewers downstream. Names and
//! values come from users and can never break out of their field here.

use super::{LigandError, check_text, toolkit};

/// Longest title line readers of the V2000 format accept, in characters.
const TITLE_CHARACTERS: usize = 80;

/// One V2000 record ending in `$$$$`: `name` as title, atoms and bonds with zero coordinates (the
/// receiving program draws them), then `properties` in order. A connection table without
/// coordinates cannot carry stereochemistry, so a `SMILES` property holding `smiles` comes first
/// unless the caller gives one. Line breaks and control characters in names and values become
/// spaces, angle brackets in property names become underscores.
///
/// # Errors
/// The SMILES cannot be read, or is far too large.
pub fn sdf_record(smiles: &str, name: &str, properties: &[(String, String)]) -> Result<String, LigandError> {
    let smiles = smiles.trim();
    check_text(smiles)?;
    let block = toolkit::guarded(|| toolkit::mol_block(smiles))?;
    let (_, body) = block.split_once('\n').ok_or(LigandError::Unprocessable)?;
    let title: String = one_line(name).chars().take(TITLE_CHARACTERS).collect();
    let mut record = format!("{}\n{}\n", title.trim_end(), body.trim_end());
    if !properties.iter().any(|(key, _)| key.eq_ignore_ascii_case("smiles")) {
        write_property("SMILES", smiles, &mut record);
    }
    for (key, value) in properties {
        write_property(key, value, &mut record);
    }
    record.push_str("$$$$\n");
    Ok(record)
}

fn write_property(key: &str, value: &str, record: &mut String) {
    let key = one_line(key).replace(['<', '>'], "_");
    let key = if key.is_empty() { "property" } else { &key };
    record.push_str(&format!(">  <{key}>\n{}\n\n", one_line(value)));
}

/// Text that stays on its line and is never taken for a record end or a data header.
fn one_line(text: &str) -> String {
    let flat: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut flat = flat.trim().to_owned();
    while flat.contains("$$$$") {
        flat = flat.replace("$$$$", "$$ $$");
    }
    if flat.starts_with('>') { format!(" {flat}") } else { flat }
}
