"""Writes a Parquet library as pandas users have them: a dictionary-coded, Snappy-compressed file with LargeUtf8
columns, nulls, a list column and several row groups; a Zstandard one, as Polars writes by default; and one whose codec
is not read.

    pip install pyarrow && python parquet_library.py ../../shared/chem/tests/fixtures
"""
import sys

import pyarrow as pa
import pyarrow.parquet as pq

ROWS = 300

table = pa.table({
    "weight": pa.array([float(n) for n in range(ROWS)]),
    "synonyms": pa.array([["a", "b"]] * ROWS, pa.list_(pa.string())),
    "Catalog_ID": pa.array([None if n % 10 == 9 else f"Z{n}" for n in range(ROWS)], pa.large_string()),
    "CID": pa.array(range(1000, 1000 + ROWS), pa.int64()),
    "SMILES": pa.array([None if n == 7 else "C" * (n % 50 + 1) + "O" for n in range(ROWS)], pa.large_string()),
})
pq.write_table(table, f"{sys.argv[1]}/pyarrow.parquet", compression="snappy", row_group_size=128, use_dictionary=["SMILES"])

few = pa.table({"SMILES": ["C" * (n % 40 + 1) for n in range(50)]})
for codec in ["zstd", "gzip"]:
    pq.write_table(few, f"{sys.argv[1]}/{codec}.parquet", compression=codec)
