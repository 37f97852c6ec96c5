//! PDB text from an mmCIF atom table: ATOM, HETATM, TER and END records, column positions as in
//! the wwPDB format description 3.3. Values that a field cannot hold are errors, never truncated.

use std::fmt::Write;

use super::StructureError;
use super::cif::Table;

/// One-character chain ids, in the order they are handed out.
const CHAIN_IDS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// Atom serial numbers have five digits.
const MAX_SERIAL: usize = 99_999;

/// Rewrites the first model of an mmCIF as PDB. Coordinates in Å keep three decimals, fewer only
/// where a number would overflow its eight columns; the B-factor column (pLDDT, 0 to 100, in
/// predictions) is kept. Chain ids longer than one character get a free one, and a `REMARK 999`
/// says which; residue names keep their first three characters (`LIG1` becomes `LIG`).
///
/// # Errors
/// No readable atom table, or something PDB cannot represent.
pub fn cif_to_pdb(cif: &str) -> Result<String, StructureError> {
    let table = Table::read(cif)?;
    let columns = Columns::find(&table)?;
    let rows: Vec<&[&str]> = columns.first_model(&table);
    let chains = ChainIds::assign(rows.iter().map(|row| row[columns.chain]))?;
    let breaks = rows.windows(2).filter(|w| w[0][columns.chain] != w[1][columns.chain]).count();
    let records = rows.len() + breaks + 1;
    if records > MAX_SERIAL {
        return Err(StructureError::TooManyAtoms { records });
    }
    let mut pdb = String::with_capacity(81 * (records + 2));
    chains.write_remarks(&mut pdb);
    let mut serial = 0;
    for (index, row) in rows.iter().enumerate() {
        let atom = Atom::read(row, &columns, index + 1, &chains)?;
        serial += 1;
        atom.write(serial, &mut pdb)?;
        let last = rows.get(index + 1).is_none_or(|next| next[columns.chain] != row[columns.chain]);
        if last {
            serial += 1;
            atom.write_ter(serial, &mut pdb);
        }
    }
    pdb.push_str("END\n");
    Ok(pdb)
}

struct Columns {
    group: usize,
    element: usize,
    name: usize,
    residue: usize,
    chain: usize,
    number: usize,
    xyz: [usize; 3],
    occupancy: Option<usize>,
    b_factor: Option<usize>,
    insertion: Option<usize>,
    alternate: Option<usize>,
    model: Option<usize>,
}

impl Columns {
    fn find(table: &Table<'_>) -> Result<Self, StructureError> {
        Ok(Self {
            group: table.required("group_PDB")?,
            element: table.required("type_symbol")?,
            name: table.either("auth_atom_id", "label_atom_id")?,
            residue: table.either("auth_comp_id", "label_comp_id")?,
            chain: table.either("auth_asym_id", "label_asym_id")?,
            number: table.either("auth_seq_id", "label_seq_id")?,
            xyz: [table.required("Cartn_x")?, table.required("Cartn_y")?, table.required("Cartn_z")?],
            occupancy: table.optional("occupancy"),
            b_factor: table.optional("B_iso_or_equiv"),
            insertion: table.optional("pdbx_PDB_ins_code"),
            alternate: table.optional("label_alt_id"),
            model: table.optional("pdbx_PDB_model_num"),
        })
    }

    fn first_model<'t, 'a>(&self, table: &'t Table<'a>) -> Vec<&'t [&'a str]> {
        let model = |row: &[&'a str]| self.model.map(|column| row[column]);
        let first = table.rows().next().and_then(model);
        table.rows().filter(|row| model(row) == first).collect()
    }
}

/// One-character ids for the chains of a structure, in order of appearance.
struct ChainIds<'a>(Vec<(&'a str, char)>);

impl<'a> ChainIds<'a> {
    fn assign(ids: impl Iterator<Item = &'a str>) -> Result<Self, StructureError> {
        let mut seen: Vec<&str> = Vec::new();
        for id in ids {
            if seen.last() != Some(&id) && !seen.contains(&id) {
                seen.push(id);
            }
        }
        let kept = |id: &str| id.len() == 1 && CHAIN_IDS.contains(id);
        let mut free = CHAIN_IDS.chars().filter(|c| !seen.iter().any(|id| *id == c.to_string()));
        let mut ids = Vec::with_capacity(seen.len());
        for id in &seen {
            let short = if kept(id) { id.chars().next() } else { free.next() };
            let short = short.ok_or(StructureError::TooManyChains { chains: seen.len() })?;
            ids.push((*id, short));
        }
        Ok(Self(ids))
    }

    fn of(&self, id: &str) -> char {
        self.0.iter().find(|(long, _)| *long == id).map_or(' ', |(_, short)| *short)
    }

    fn write_remarks(&self, pdb: &mut String) {
        for (long, short) in self.0.iter().filter(|(long, short)| **long != short.to_string()) {
            let _ = writeln!(pdb, "REMARK 999 CHAIN {short} IS CHAIN {long} OF THE MMCIF FILE");
        }
    }
}

struct Atom<'a> {
    index: usize,
    record: &'a str,
    element: String,
    name: &'a str,
    alternate: char,
    residue: String,
    chain: char,
    number: i32,
    insertion: char,
    xyz: [f64; 3],
    occupancy: f64,
    b_factor: f64,
}

impl<'a> Atom<'a> {
    fn read(row: &[&'a str], columns: &Columns, index: usize, chains: &ChainIds<'_>) -> Result<Self, StructureError> {
        let number = |column: Option<usize>, name: &'static str, otherwise: f64| {
            let Some(text) = column.map(|c| row[c]).filter(|text| !is_null(text)) else {
                return Ok(otherwise);
            };
            text.parse::<f64>().ok().filter(|value| value.is_finite()).ok_or_else(|| StructureError::NotANumber {
                atom: index,
                column: name,
                text: text.to_owned(),
            })
        };
        let letter = |column: Option<usize>| {
            column.map(|c| row[c]).filter(|text| !is_null(text)).and_then(|t| t.chars().next()).unwrap_or(' ')
        };
        let [x, y, z] = columns.xyz;
        let sequence = number(Some(columns.number), "auth_seq_id", 1.0)?;
        Ok(Self {
            index,
            record: if row[columns.group] == "HETATM" { "HETATM" } else { "ATOM" },
            element: row[columns.element].to_uppercase(),
            name: row[columns.name],
            alternate: letter(columns.alternate),
            residue: row[columns.residue].chars().take(3).collect(),
            chain: chains.of(row[columns.chain]),
            #[expect(clippy::cast_possible_truncation, reason = "the field width is checked below")]
            number: sequence as i32,
            insertion: letter(columns.insertion),
            xyz: [
                number(Some(x), "Cartn_x", f64::NAN)?,
                number(Some(y), "Cartn_y", f64::NAN)?,
                number(Some(z), "Cartn_z", f64::NAN)?,
            ],
            occupancy: number(columns.occupancy, "occupancy", 1.0)?,
            b_factor: number(columns.b_factor, "B_iso_or_equiv", 0.0)?,
        })
    }

    fn write(&self, serial: usize, pdb: &mut String) -> Result<(), StructureError> {
        let [x, y, z] = self.xyz;
        let (x, y, z) = (self.decimal(x, 8, 3, "x")?, self.decimal(y, 8, 3, "y")?, self.decimal(z, 8, 3, "z")?);
        let occupancy = self.decimal(self.occupancy, 6, 2, "occupancy")?;
        let b_factor = self.decimal(self.b_factor, 6, 2, "B-factor")?;
        let name = self.padded_name()?;
        let residue = self.numbered_residue()?;
        let _ = writeln!(
            pdb,
            "{:<6}{serial:>5} {name}{}{residue}   {x}{y}{z}{occupancy}{b_factor}          {:>2}  ",
            self.record, self.alternate, self.element,
        );
        Ok(())
    }

    fn write_ter(&self, serial: usize, pdb: &mut String) {
        let residue = self.numbered_residue().unwrap_or_default();
        let _ = writeln!(pdb, "TER   {serial:>5}      {}", residue.trim_end());
    }

    /// Columns 18 to 27: residue name, chain, number, insertion code.
    fn numbered_residue(&self) -> Result<String, StructureError> {
        if !(-999..=9_999).contains(&self.number) {
            return Err(self.does_not_fit("residue number", self.number.to_string()));
        }
        Ok(format!("{:>3} {}{:>4}{}", self.residue, self.chain, self.number, self.insertion))
    }

    /// Columns 13 to 16: names of one-letter elements start in the second column.
    fn padded_name(&self) -> Result<String, StructureError> {
        match self.name.len() {
            0..=3 if self.element.len() < 2 => Ok(format!(" {:<3}", self.name)),
            0..=4 => Ok(format!("{:<4}", self.name)),
            _ => Err(self.does_not_fit("atom name", self.name.to_owned())),
        }
    }

    /// Right-aligned with as many decimals, up to `decimals`, as the width allows, at least one.
    fn decimal(
        &self,
        value: f64,
        width: usize,
        decimals: usize,
        column: &'static str,
    ) -> Result<String, StructureError> {
        (1..=decimals)
            .rev()
            .map(|places| format!("{value:>width$.places$}"))
            .find(|text| text.len() == width && value.is_finite())
            .ok_or_else(|| self.does_not_fit(column, value.to_string()))
    }

    fn does_not_fit(&self, column: &'static str, text: String) -> StructureError {
        StructureError::DoesNotFit { atom: self.index, column, text }
    }
}

/// `.` (not applicable) and `?` (unknown).
fn is_null(text: &str) -> bool {
    matches!(text, "." | "?")
}
