"""Any frame as the bytes of an Arrow IPC file: what is analysed, what is uploaded, and whose digest is its id."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cqox.contract.identity import file_digest
from cqox.contract.messages import Message
from cqox.errors import InvalidRequest
from cqox.forks import has_lost_threads
from cqox.frames.kinds import FrameKind, kind_of

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Taken", "as_polars", "take"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A frame as a file.

    Attributes:
        path: of the Arrow IPC file.
        kind: library of the frame.
        digest: BLAKE2b of the file's bytes, 16 bytes as hexadecimal digits.
        size_bytes: of the file.
    """

    path: Path
    kind: FrameKind
    digest: str
    size_bytes: int


def take(data: object, path: Path) -> Taken:
    """Write a frame to an Arrow IPC file; equal frames give equal bytes.

    Args:
        data: a pandas, polars or pyarrow frame, a DuckDB relation, any object with an Arrow stream
            (`__arrow_c_stream__`), or a mapping of column names to arrays of equal length.
        path: the file to write.

    Raises:
        InvalidRequest: it is no frame, a column of it cannot be read, or this process was forked after polars had
            started its threads.
    """
    frame, kind = _read(data)
    frame.write_ipc(path, compression="uncompressed")
    digest, size_bytes = file_digest(path)
    return Taken(path=path, kind=kind, digest=digest, size_bytes=size_bytes)


def as_polars(data: object) -> "pl.DataFrame":
    """Return a frame of any library as one of polars.

    Raises:
        InvalidRequest: it is no frame, a column of it cannot be read, or this process was forked after polars had
            started its threads.
    """
    return _read(data)[0]


def _read(data: object) -> "tuple[pl.DataFrame, FrameKind]":
    kind = kind_of(data)
    if kind is None:
        raise InvalidRequest(Message("frames.no-frame", type=type(data).__name__), field="data")
    if has_lost_threads():
        raise InvalidRequest(Message("frames.forked"), field="data")
    return _polars(data, kind), kind


def _polars(data: object, kind: FrameKind) -> "pl.DataFrame":
    from cqox.frames.refusals import check_types, refused

    with refused(data, kind):
        frame = _converted(data, kind)
        check_types(frame)
    return frame


def _converted(data: object, kind: FrameKind) -> "pl.DataFrame":
    import polars as pl

    from cqox.frames.columns import check_names

    if kind == "pandas":
        from cqox.frames.pandas_frame import of_pandas

        return of_pandas(data)
    if kind == "mapping":
        return _of_mapping(data)  # type: ignore[arg-type]
    if kind == "lazy":
        return data.collect()  # type: ignore[attr-defined, no-any-return]
    if kind == "polars":
        return data  # type: ignore[return-value]
    if kind == "duckdb":
        check_names(data.columns)  # type: ignore[attr-defined]
    elif kind == "pyarrow":
        check_names(data.schema.names)  # type: ignore[attr-defined]
    return pl.DataFrame(data)  # type: ignore[arg-type]


def _of_mapping(data: Mapping[object, object]) -> "pl.DataFrame":
    import polars as pl

    from cqox.frames.columns import check_names, of_array

    check_names(data)
    columns = [of_array(str(name), values) for name, values in data.items()]
    lengths = {column.name: len(column) for column in columns}
    if len(set(lengths.values())) > 1:
        shown = [f"{name} ({length})" for name, length in list(lengths.items())[:20]]
        raise InvalidRequest(Message("frames.unequal-lengths", columns=shown), field="data")
    return pl.DataFrame(columns)
