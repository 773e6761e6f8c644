"""Originals of uploads: shown as they are, and read again with other options."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from pydantic import JsonValue

from cqox.analysis.datasets import Datasets
from cqox.analysis.quarantine import Quarantine
from cqox.analysis.workers import WorkerPool
from cqox.contract.messages import Message, collect_messages
from cqox.errors import NotFound
from cqox.storage import DatasetRecord, Original, TenantFiles

__all__ = ["OriginalFiles"]


class OriginalFiles:
    """The kept originals of the data sets.

    Args:
        datasets: the registry.
        files: the files of the data sets.
        pool: the worker processes, which read files.
        quarantine: files rejected after repeated worker crashes.
        limits: settings of `cqox.datasets.Limits` by name.
    """

    def __init__(
        self,
        *,
        datasets: Datasets,
        files: TenantFiles,
        pool: WorkerPool,
        quarantine: Quarantine,
        limits: Mapping[str, int],
    ) -> None:
        self._datasets = datasets
        self._files = files
        self._pool = pool
        self._quarantine = quarantine
        self._limits = limits

    async def read(
        self, dataset_id: str, options: Mapping[str, JsonValue], *, owner: str | None = None
    ) -> DatasetRecord:
        """Read the original of a data set with these options; the result is that of an upload with them.

        Raises:
            NotFound: there is no such data set, or its original is not kept.
            UnreadableFile, LimitExceeded, UnusableData, InvalidRequest: the options do not fit the file.
        """
        record = await self._datasets.get(dataset_id)
        if record.sample:
            raise NotFound(Message("analysis.sample-without-sheets"), field="original")
        async with self._files.reading_original(record.dataset_id, verify=True) as (original, path):
            return await self._datasets.add(
                path,
                name=original.name,
                content_digest=original.digest,
                size_bytes=original.size_bytes,
                options=options,
                keep_original=True,
                owner=owner,
            )

    async def sheets(self, dataset_id: str, sheet: str | None) -> Mapping[str, object]:
        """Return the first rows of each sheet of an original, or of one sheet, as `cqox.contract.FileSheets`.

        Raises:
            NotFound: there is no such data set.
            InvalidRequest: there is no such sheet.
        """
        record = await self._datasets.get(dataset_id)
        about, is_kept = await self._files.original(record.dataset_id)
        answer: dict[str, object] = {"dataset_id": record.dataset_id, "read": about and dict(about.options)}
        if is_kept and about is not None:
            # It may be removed meanwhile.
            with suppress(NotFound):
                async with self._files.reading_original(record.dataset_id, verify=False) as (_, path):
                    return {**answer, "original": True, **await self._look(record, about, path, sheet)}
        note = Message("analysis.sample-without-sheets") if record.sample else Message("analysis.original-not-kept")
        found: dict[str, object] = {**answer, "original": False, "sheets": [], "note": note}
        return {**found, "messages": collect_messages(found)}

    async def _look(
        self, record: DatasetRecord, about: Original, path: Path, sheet: str | None
    ) -> Mapping[str, object]:
        file = await self._files.opening(path)
        task = {
            **file.to_arguments(),
            "sheet": sheet,
            "encoding": about.encoding,
            "options": dict(about.options),
            "limits": dict(self._limits),
        }
        reply = await self._quarantine.guard(f"sheets {record.dataset_id}", lambda: self._pool.run("sheets", task))
        return reply.body
