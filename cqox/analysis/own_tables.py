"""A caller's own files, which are analysed where they are once they are too large to be read whole."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from pydantic import JsonValue

from cqox.analysis.workers import WorkerPool
from cqox.contract import AnalyzeRequest, shortened
from cqox.contract.messages import Message
from cqox.contract.request import MOST_OF_A_TABLE
from cqox.errors import InvalidRequest
from cqox.sources import Parts, Place, has_iceberg_metadata, parts_of
from cqox.threads import run_in_thread

__all__ = ["own_table"]

_SOURCE = "files"
_PARQUET, _TEXT = (".parquet", ".pq"), (".csv", ".csv.gz", ".tsv", ".txt")


async def own_table(
    pool: WorkerPool,
    path: Path,
    request: AnalyzeRequest,
    *,
    read_options: Mapping[str, JsonValue],
    limits: Mapping[str, int],
) -> Place | None:
    """Return the source of files that are to be summed where they are; None for data that are to be read.

    A folder, or what a pattern names, is summed where it is if `options.engine` is `duckdb`, beyond 150 million mapped
    cells, and beyond the limits of an upload; one file beyond these limits, if that engine is named. Compressed text
    and text with partitions always are, and so are Iceberg tables.

    Args:
        pool: the worker processes.
        path: a file, a folder or a pattern.
        request: the request.
        read_options: of the file reader, which reads nothing in place.
        limits: those of an upload, as settings of `cqox.datasets.Limits`.

    Raises:
        UnreadableFile: there are no files, or they are no parts of one table.
        InvalidRequest: they have to be summed where they are, and DuckDB is not installed, or `read_options` are given.
    """
    asked = request.options.engine
    if asked != "memory" and await run_in_thread(has_iceberg_metadata, path, abandon_on_cancel=True):
        table = _shown(path, None)
        _check_in_place(table, read_options)
        if find_spec("pyiceberg") is None:
            raise InvalidRequest(Message("sources.needs-iceberg", table=table), field="data")
        return Place(name=_SOURCE, kind="iceberg", folder=path, tables=(table,), own=True)
    several = await run_in_thread(parts_of, path, abandon_on_cancel=True)
    parts = several or await run_in_thread(_single, path, abandon_on_cancel=True)
    if parts is None or parts.format == "columnar" or asked == "memory" or (several is None and asked == "auto"):
        return None
    wanted = several is not None and (asked == "duckdb" or not several.is_joinable)
    if not wanted:
        arguments: dict[str, object] = {
            "files": [str(each) for each in parts.files],
            "format": parts.format,
            "request": request.model_dump(mode="json"),
            "limits": dict(limits),
            "single": several is None,
        }
        wanted = (await pool.run("fit", arguments)).body["in_memory"] is False
    if not wanted:
        return None
    table = _shown(path, several)
    _check_in_place(table, read_options)
    return Place(
        name=_SOURCE, kind="csv" if parts.format == "text" else "parquet", folder=parts.base, tables=(table,),
        files=parts.files, own=True,
    )  # fmt: skip


def _check_in_place(table: str, read_options: Mapping[str, JsonValue]) -> None:
    if find_spec("duckdb") is None:
        raise InvalidRequest(Message("sources.needs-scale", table=table), field="data")
    if read_options:
        raise InvalidRequest(Message("client.read-in-place"), field="read")


def _shown(path: Path, several: Parts | None) -> str:
    """Return the name of a table for people: of a pattern, what follows the folder in which its files are."""
    path = path.absolute()
    is_pattern = several is not None and path != several.base
    name = str(Path(*path.parts[len(several.base.parts) :])) if several is not None and is_pattern else path.name
    return shortened(name.encode(errors="replace").decode())[:MOST_OF_A_TABLE]


def _single(path: Path) -> Parts | None:
    """Return one file as the only part of its table; None for none of Parquet or text."""
    name = path.name.lower()
    try:
        is_table = name.endswith((*_PARQUET, *_TEXT)) and path.is_file()
    except (OSError, ValueError):
        return None
    if not is_table:
        return None
    return Parts(base=path.parent, files=(path,), format="parquet" if name.endswith(_PARQUET) else "text")
