"""Cells of a table in memory, and on disk until they are wanted."""

from pathlib import Path

import polars as pl

from cqox.contract.messages import Message
from cqox.datasets.raw import Raw
from cqox.datasets.spooled_cells import SpooledCells


def test_cells_on_disk_are_counted_and_brought_into_memory(tmp_path: Path) -> None:
    frame = pl.DataFrame({"a": ["1", "2", "3"], "b": ["x", None, "z"]})
    form = Message("datasets.delimited-text", delimiter=",")
    spooled = SpooledCells.written(frame.lazy(), str(tmp_path / "cells.arrow"))
    raw = Raw(headers=(), frame=frame.head(1), format=form, spooled=spooled)
    assert raw.height == 3
    whole = raw.in_memory()
    assert whole.frame.equals(frame)
    assert (whole.height, whole.spooled) == (3, None)
    assert whole.in_memory() is whole
