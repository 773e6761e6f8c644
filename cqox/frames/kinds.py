"""The library that a frame belongs to, found without importing that library."""

import sys
from collections.abc import Mapping
from typing import Literal

__all__ = ["FrameKind", "is_frame", "kind_of"]

type FrameKind = Literal["pandas", "polars", "lazy", "pyarrow", "duckdb", "arrow", "mapping"]
"""`lazy` is a polars LazyFrame, `arrow` any other object with an Arrow stream."""

_CLASSES: tuple[tuple[str, str, FrameKind], ...] = (
    ("pandas", "DataFrame", "pandas"),
    ("polars", "DataFrame", "polars"),
    ("polars", "LazyFrame", "lazy"),
    ("pyarrow", "Table", "pyarrow"),
    ("pyarrow", "RecordBatch", "pyarrow"),
    ("duckdb", "DuckDBPyRelation", "duckdb"),
)


def kind_of(data: object) -> FrameKind | None:
    """Return the kind of a frame; None where it is none that can be read."""
    for module, name, kind in _CLASSES:
        # A library that is not loaded has no instances.
        form = getattr(sys.modules.get(module), name, None)
        if isinstance(form, type) and isinstance(data, form):
            return kind
    # A single column has a stream as well.
    if hasattr(data, "__arrow_c_stream__") and not hasattr(data, "to_frame"):
        return "arrow"
    return "mapping" if isinstance(data, Mapping) else None


def is_frame(data: object) -> bool:
    """Return whether `take` reads this object."""
    return kind_of(data) is not None
