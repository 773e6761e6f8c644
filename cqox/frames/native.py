"""A table in the frame library that the data came in."""

from collections.abc import Mapping, Sequence
from typing import Literal

from cqox.frames.kinds import FrameKind

__all__ = ["Form", "to_native"]

type Form = Literal["text", "number", "whole"]
"""Kind of a column: texts, numbers, or whole numbers."""

_BACKENDS: Mapping[FrameKind, Literal["pandas", "pyarrow"]] = {"pandas": "pandas", "pyarrow": "pyarrow"}


def to_native(columns: Mapping[str, Sequence[object]], kind: FrameKind, *, forms: Mapping[str, Form]) -> object:
    """Return columns as a frame of the library of `kind`; polars for those without frames of their own.

    Args:
        columns: name to cells, all of one length; None is missing.
        kind: what `take` found.
        forms: kind of each column; in pandas whole numbers are `Int64`, and missing numbers are NaN.
    """
    import narwhals as nw

    types = {"text": nw.String(), "number": nw.Float64(), "whole": nw.Int64()}
    schema = nw.Schema({name: types[forms[name]] for name in columns})
    if kind != "pandas":
        return nw.from_dict(dict(columns), schema, backend=_BACKENDS.get(kind, "polars")).to_native()
    import pandas as pd

    names = {"text": "str", "number": "float64", "whole": "Int64"}
    return pd.DataFrame({name: pd.Series(cells, dtype=names[forms[name]]) for name, cells in columns.items()})
