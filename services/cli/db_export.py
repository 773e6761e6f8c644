"""`cqox db export`: export of stored analyses as JSON lines or Parquet."""

import json
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from cqox.analysis.stores import store_of
from cqox.storage import Annotation, ResultDatabase, ResultStore, Sealing, StoredReport
from cqox.storage.file_operations import put_in_place
from services.cli.db_session import run
from services.config.settings import Settings
from services.engine.keyring import open_sealing

__all__ = ["Form", "export"]

type Form = Literal["auto", "jsonl", "parquet"]

_JSON = ("report", "provenance")


@dataclass(frozen=True, slots=True)
class _Stored:
    """A report of a tenant, and what people have written about it."""

    tenant_id: str
    report: StoredReport
    annotation: Annotation | None


def export(file: Path, *, form: Form, dataset_id: str | None) -> int:
    """Write the file atomically and print the number of analyses."""

    async def command(store: ResultDatabase, settings: Settings) -> int:
        stored = _all(store, open_sealing(settings), dataset_id)
        if str(file) == "-":
            await _write_lines(stored, sys.stdout)
            return 0
        scratch = file.with_name(f".{file.name}.part")
        try:
            count = await (_parquet if _is_parquet(file, form) else _lines)(stored, scratch)
            put_in_place(scratch, file)
        except OSError as error:
            raise OSError(f"The file {file} cannot be written: {error.strerror or error}.") from error
        finally:
            with suppress(OSError):
                scratch.unlink(missing_ok=True)
        print(f"{count} analyses written to {file}.")
        return 0

    return run(command)


def _is_parquet(file: Path, form: Form) -> bool:
    return form == "parquet" or (form == "auto" and file.suffix == ".parquet")


async def _all(store: ResultDatabase, sealing: Sealing, dataset_id: str | None) -> AsyncIterator[_Stored]:
    for tenant in await store.tenants():
        async for stored in _all_of(tenant.tenant_id, store_of(store, tenant.tenant_id, sealing), dataset_id):
            yield stored


async def _all_of(tenant_id: str, store: ResultStore, dataset_id: str | None) -> AsyncIterator[_Stored]:
    before = None
    while True:
        page = await store.reports(dataset_id=dataset_id, limit=100, before=before)
        for head in page.items:
            report = await store.load(head.analysis_id)
            if report is not None:
                yield _Stored(tenant_id, report, await store.annotation(head.analysis_id))
        before = page.next
        if before is None:
            return


async def _lines(stored: AsyncIterator[_Stored], path: Path) -> int:
    with path.open("w", encoding="utf-8") as file:
        return await _write_lines(stored, file)


async def _write_lines(stored: AsyncIterator[_Stored], file: IO[str]) -> int:
    count = 0
    async for each in stored:
        row = _row(each) | {name: json.loads(getattr(each.report, name)) for name in _JSON}
        file.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")
        count += 1
    return count


async def _parquet(stored: AsyncIterator[_Stored], path: Path) -> int:
    import polars as pl

    rows = [_row(each) | {name: getattr(each.report, name).decode() for name in _JSON} async for each in stored]
    schema = {
        name: pl.Float64 if name == "estimate" else pl.String for name in [*_HEAD, *_WRITTEN, "tenant_id", *_JSON]
    }
    pl.DataFrame(rows, schema=schema, orient="row").write_parquet(path)
    return len(rows)


_HEAD = (
    *("analysis_id", "dataset_id", "created_at", "status", "verdict", "primary", "estimate", "digest"),
    *("outcome", "treatment"),
)
_WRITTEN = ("title", "notes")
"""Columns of the annotation, which is no part of a report."""

_COLUMNS = (*_HEAD, *_WRITTEN, "tenant_id", *_JSON)


def _row(stored: _Stored) -> dict[str, object]:
    about = {name: getattr(stored.report, name) for name in _HEAD}
    written = {name: getattr(stored.annotation, name, None) for name in _WRITTEN}
    return about | written | {"tenant_id": stored.tenant_id}
