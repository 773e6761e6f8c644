"""Bytes to typed tables: reading what people have, keeping it, describing it, and guessing what its columns mean.

Pure: no concurrency, no clock, no hidden randomness.
"""

from cqox.datasets.identity import dataset_id
from cqox.datasets.inference import Inference, RoleCandidate, infer_roles
from cqox.datasets.limits import Limits, ReadOptions
from cqox.datasets.parquet_store import ColumnsOnDisk, describe, load_columns, open_columns, write_parquet
from cqox.datasets.reading import read_table
from cqox.datasets.samples import sample_names, sample_path
from cqox.datasets.table import Column, Description, Kind, Table, preview
from cqox.datasets.vocabulary import names_codes, said_after_treatment

__all__ = [
    "Column",
    "ColumnsOnDisk",
    "Description",
    "Inference",
    "Kind",
    "Limits",
    "ReadOptions",
    "RoleCandidate",
    "Table",
    "dataset_id",
    "describe",
    "infer_roles",
    "load_columns",
    "names_codes",
    "open_columns",
    "preview",
    "read_table",
    "said_after_treatment",
    "sample_names",
    "sample_path",
    "write_parquet",
]
