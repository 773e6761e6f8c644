"""Reasons to refuse a frame of another library: the first column that fails on its own, with the cast that helps."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import polars as pl

from cqox.contract.bounds import shortened
from cqox.contract.messages import Message
from cqox.errors import InvalidRequest
from cqox.frames.kinds import FrameKind

__all__ = ["check_types", "refused"]

_MOST_CHARACTERS = 300


@contextmanager
def refused(data: object, kind: FrameKind) -> Iterator[None]:
    """Turn whatever a library raises inside into a refusal; polars panics on some types of columns.

    Args:
        data: the frame that is read.
        kind: what `kind_of` found.

    Raises:
        InvalidRequest: inside, or in place of any other error but a missing package and a lack of memory.
    """
    try:
        yield
    except (InvalidRequest, ImportError, MemoryError):
        raise
    except (Exception, pl.exceptions.PanicException) as error:
        column = None
        # A relation may be closed, or not be read twice.
        with suppress(Exception, pl.exceptions.PanicException):
            column = _first_failing(data, kind)
        if column is not None:
            raise column from error
        lines = str(error).strip().splitlines() or [type(error).__name__]
        reason = lines[0][:_MOST_CHARACTERS]
        raise InvalidRequest(
            Message("frames.not-read", type=type(data).__name__, reason=reason), field="data"
        ) from error


def check_types(frame: pl.DataFrame) -> None:
    """Check that a column of every type can be written.

    Raises:
        InvalidRequest: a column holds Python objects.
    """
    for name, form in frame.schema.items():
        if any(part == pl.Object for part in _parts(form)):
            cast = f"pl.col({shortened(name)!r}).map_elements(str, return_dtype=pl.String)"
            raise _of_column(name, str(form), cast)


def _parts(form: pl.DataType) -> Iterator[pl.DataType | type[pl.DataType]]:
    yield form
    if isinstance(form, pl.List | pl.Array):
        yield from _parts(form.inner)  # type: ignore[arg-type]
    elif isinstance(form, pl.Struct):
        for field in form.fields:
            yield from _parts(field.dtype)  # type: ignore[arg-type]


def _first_failing(data: Any, kind: FrameKind) -> InvalidRequest | None:  # noqa: ANN401 - of three libraries
    if kind == "duckdb":
        for name, form in zip(data.columns, data.dtypes, strict=True):
            quoted = '"' + name.replace('"', '""') + '"'
            if _fails(lambda quoted=quoted: data.project(quoted).limit(0)):  # type: ignore[misc]
                return _of_column(name, str(form), f"CAST({shortened(quoted)} AS VARCHAR)")
    if kind == "pyarrow":
        for name, form in zip(data.schema.names, data.schema.types, strict=True):
            if _fails(lambda name=name: data.select([name]).slice(0, 1)):  # type: ignore[misc]
                return _of_column(name, str(form), f"table[{shortened(name)!r}].cast('float64')")
    return None


def _fails(part: Callable[[], object]) -> bool:
    try:
        pl.DataFrame(part())  # type: ignore[arg-type]
    except (Exception, pl.exceptions.PanicException):  # noqa: BLE001 - the libraries have no error in common
        return True
    return False


def _of_column(name: str, form: str, cast: str) -> InvalidRequest:
    message = Message("frames.column-not-read", column=shortened(name), type=shortened(form), cast=cast)
    return InvalidRequest(message, field="data")
