"""Frames as files that an engine reads."""

from pathlib import Path

import polars as pl

from cqox.engines import DuckDBEngine, SourceColumn, SqlMoments
from tests.engines.contract import KINDS


def stored(frame: pl.DataFrame, path: Path, engine: DuckDBEngine) -> SqlMoments:
    """A frame as a file that the engine reads."""
    frame.write_parquet(path, row_group_size=700)
    columns = {
        name: SourceColumn(name=name, kind=KINDS.get(name, "number"), floating=frame[name].dtype.is_float())
        for name in frame.columns
    }
    return SqlMoments(engine=engine, table=engine.files([path]), columns=columns)
