//! The table of results as Parquet: the columns of `results.csv`, with types, and nulls where there is no value.

use domain::{ResultRow, Scores};
use parquet::{
    basic::{Compression, LogicalType, Repetition, Type as Physical},
    data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type},
    errors::Result,
    file::{
        properties::WriterProperties,
        writer::{SerializedColumnWriter, SerializedFileWriter},
    },
    schema::types::{Type, TypePtr},
};
use std::{
    io::{self, Write},
    sync::Arc,
};

/// Rows of one row group: what is held in columns at once.
const GROUP: usize = 16_384;

/// A column: where its values come from tells its type.
enum Column<'a> {
    Text(&'a str, fn(&ResultRow) -> Option<String>),
    Whole(&'a str, fn(&ResultRow) -> Option<i64>),
    Flag(&'a str, fn(&ResultRow) -> Option<bool>),
    /// Of this name.
    Score(&'a str),
}

/// Writes the rows as one file, compressed with Snappy; `other` are the scores beyond the fourteen. No more than a row
/// group is held.
pub fn write(
    rows: impl Iterator<Item = io::Result<ResultRow>>,
    other: &[String],
    sink: &mut (dyn Write + Send),
) -> io::Result<()> {
    let columns = columns(other);
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut file = SerializedFileWriter::new(sink, schema(&columns)?, Arc::new(properties))?;
    let mut rows = rows.peekable();
    while rows.peek().is_some() {
        let rows = rows.by_ref().take(GROUP).collect::<io::Result<Vec<_>>>()?;
        let mut group = file.next_row_group()?;
        for column in &columns {
            if let Some(mut writer) = group.next_column()? {
                column.write(&rows, &mut writer)?;
                writer.close()?;
            }
        }
        group.close()?;
    }
    file.close()?;
    Ok(())
}

fn columns(other: &[String]) -> Vec<Column<'_>> {
    let mut columns = vec![
        Column::Whole("rank", |row| row.rank.map(i64::from)),
        Column::Text("job_id", |row| Some(row.job_id.clone())),
        Column::Text("ligand_name", |row| Some(row.ligand_name.clone())),
        Column::Text("other_names", |row| joined(&row.other_names)),
        Column::Text("ligand_smiles", |row| row.ligand_smiles.clone()),
        Column::Whole("row", |row| i64::try_from(row.row).ok()),
        Column::Text("status", |row| Some(row.status.as_str().to_owned())),
        Column::Score("affinity"),
        Column::Text("affinity_unit", |row| row.affinity_unit.clone()),
        Column::Score("pic50"),
        Column::Score("confidence"),
        Column::Flag("has_structure", |row| Some(row.has_structure)),
    ];
    columns.extend(Scores::FOURTEEN.into_iter().chain(other.iter().map(String::as_str)).map(Column::Score));
    columns.extend([
        Column::Text("notes", |row| joined(&row.notes)),
        Column::Text("error_code", |row| row.error.as_ref().map(|error| error.code.clone())),
        Column::Text("error_message", |row| row.error.as_ref().map(|error| error.message.clone())),
        Column::Flag("simulated", |row| Some(row.simulated)),
        Column::Flag("cached", |row| Some(row.cached)),
    ]);
    columns
}

fn joined(texts: &[String]) -> Option<String> {
    (!texts.is_empty()).then(|| texts.join("; "))
}

fn schema(columns: &[Column<'_>]) -> Result<TypePtr> {
    let fields = columns.iter().map(|column| column.field().map(Arc::new)).collect::<Result<_>>()?;
    Type::group_type_builder("results").with_fields(fields).build().map(Arc::new)
}

impl Column<'_> {
    fn field(&self) -> Result<Type> {
        let (name, physical, logical) = match self {
            Column::Text(name, _) => (name, Physical::BYTE_ARRAY, Some(LogicalType::String)),
            Column::Whole(name, _) => (name, Physical::INT64, None),
            Column::Flag(name, _) => (name, Physical::BOOLEAN, None),
            Column::Score(name) => (name, Physical::DOUBLE, None),
        };
        let field = Type::primitive_type_builder(name, physical).with_repetition(Repetition::OPTIONAL);
        field.with_logical_type(logical).build()
    }

    fn write(&self, rows: &[ResultRow], writer: &mut SerializedColumnWriter<'_>) -> Result<()> {
        match self {
            Column::Text(_, value) => {
                let text = |row| value(row).map(|text| ByteArray::from(text.into_bytes()));
                put::<ByteArrayType>(rows.iter().map(text), writer)
            }
            Column::Whole(_, value) => put::<Int64Type>(rows.iter().map(value), writer),
            Column::Flag(_, value) => put::<BoolType>(rows.iter().map(value), writer),
            Column::Score(name) => put::<DoubleType>(rows.iter().map(|row| row.score(name)), writer),
        }
    }
}

/// Values that are there, and for every row whether it has one (definition level 1) or not (0).
fn put<T: DataType>(cells: impl Iterator<Item = Option<T::T>>, writer: &mut SerializedColumnWriter<'_>) -> Result<()> {
    let (mut values, mut levels) = (vec![], vec![]);
    for cell in cells {
        levels.push(i16::from(cell.is_some()));
        values.extend(cell);
    }
    writer.typed::<T>().write_batch(&values, Some(&levels), None).map(|_| ())
}
