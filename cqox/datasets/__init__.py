"""Bytes to typed tables: reading what people have, keeping it, describing it, and guessing what its columns mean.

Pure: no concurrency, no clock, no hidden randomness.
"""

from cqox.datasets.findings import capping, detect_rows, of_roles, period_of_role, with_accepted
from cqox.datasets.folder import join_files
from cqox.datasets.headers import name_columns
from cqox.datasets.identity import dataset_id
from cqox.datasets.inference import Inference, RoleCandidate, infer_roles
from cqox.datasets.kinds import names_an_id, redescribed
from cqox.datasets.limits import Limits
from cqox.datasets.parquet_store import ROW_GROUP, ColumnsOnDisk, describe, load_columns, open_columns, write_parquet
from cqox.datasets.partition_columns import partition_column
from cqox.datasets.periods import as_periods, fits
from cqox.datasets.read_options import ReadOptions
from cqox.datasets.reading import open_table, read_table
from cqox.datasets.row_drops import kept_rows
from cqox.datasets.samples import sample_names, sample_path
from cqox.datasets.sheets import FileLook, look
from cqox.datasets.structure import LOOKED_AT, Structure, may_be_units, rows_to_look_at, structure_of, units_of
from cqox.datasets.table import Column, Description, Kind, Table, preview
from cqox.datasets.typed_columns import OpenTable, TypedColumns, comparable_rows
from cqox.datasets.vocabulary import names_codes, said_after_treatment

__all__ = [
    "LOOKED_AT",
    "ROW_GROUP",
    "Column",
    "ColumnsOnDisk",
    "Description",
    "FileLook",
    "Inference",
    "Kind",
    "Limits",
    "OpenTable",
    "ReadOptions",
    "RoleCandidate",
    "Structure",
    "Table",
    "TypedColumns",
    "as_periods",
    "capping",
    "comparable_rows",
    "dataset_id",
    "describe",
    "detect_rows",
    "fits",
    "infer_roles",
    "join_files",
    "kept_rows",
    "load_columns",
    "look",
    "may_be_units",
    "name_columns",
    "names_an_id",
    "names_codes",
    "of_roles",
    "open_columns",
    "open_table",
    "partition_column",
    "period_of_role",
    "preview",
    "read_table",
    "redescribed",
    "rows_to_look_at",
    "said_after_treatment",
    "sample_names",
    "sample_path",
    "structure_of",
    "units_of",
    "with_accepted",
    "write_parquet",
]
