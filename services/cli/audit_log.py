"""Check, export and head of the audit log in the result store, or in an exported file."""

import secrets
import sys
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from cqox.security import (
    AuditEntry,
    AuditEvent,
    ChainBroken,
    ChainCheck,
    Head,
    InvalidEntry,
    head_of,
    line_of,
    parse_head,
    parse_line,
)
from cqox.storage import ResultDatabase, check_tenant_id
from cqox.storage.file_operations import put_in_place
from services.cli.db_session import run
from services.config.settings import Settings

__all__ = ["export", "head", "record", "verify"]

_PAGE = 1000


def verify(*, tenant: str | None, file: Path | None, heads: Iterable[str]) -> int:
    """Check the logs in the store or in a file; print a line for each, and return 1 where a chain is broken."""
    try:
        noted = [parse_head(each) for each in heads]
    except InvalidEntry as error:
        sys.stderr.write(f"--head: {error}.\n")
        return 2
    if file is not None:
        return _verify_file(file, tenant, noted)

    async def command(store: ResultDatabase, settings: Settings) -> int:
        logs = {name: _Log(name, noted) for name in await _tenants(store, tenant)}
        for name, log in logs.items():
            async for entry in _entries(store, name):
                log.take(entry)
        return _reported(logs, noted, tenant)

    return run(command)


def export(file: Path, *, tenant: str | None) -> int:
    """Write the logs as JSON lines, oldest first, and print the number of entries."""

    async def command(store: ResultDatabase, settings: Settings) -> int:
        with _written(file) as lines:
            count = 0
            for name in await _tenants(store, tenant):
                async for entry in _entries(store, name):
                    lines.write(line_of(entry) + "\n")
                    count += 1
        sys.stderr.write(f"{count} entries written.\n")
        return 0

    return run(command)


def head(*, tenant: str | None) -> int:
    """Print the head of each log."""

    async def command(store: ResultDatabase, settings: Settings) -> int:
        for name in await _tenants(store, tenant):
            print(head_of(name, await store.within(name).audit_head()))
        return 0

    return run(command)


def _verify_file(file: Path, tenant: str | None, noted: Sequence[Head]) -> int:
    logs: dict[str, _Log] = {}
    try:
        with sys.stdin if str(file) == "-" else file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                try:
                    entry = parse_line(line)
                except InvalidEntry as error:
                    sys.stderr.write(f"Line {number} is no entry of an audit log: {error}.\n")
                    return 1
                if tenant in (None, entry.tenant):
                    logs.setdefault(entry.tenant, _Log(entry.tenant, noted)).take(entry)
    except (OSError, UnicodeDecodeError) as error:
        sys.stderr.write(f"The file {file} cannot be read: {error}.\n")
        return 1
    return _reported(logs, noted, tenant)


class _Log:
    """The log of one tenant, up to its first finding."""

    def __init__(self, tenant: str, noted: Sequence[Head]) -> None:
        self._check = ChainCheck(tenant, noted)
        self._broken: ChainBroken | None = None

    def take(self, entry: AuditEntry) -> None:
        if self._broken is None:
            try:
                self._check.take(entry)
            except ChainBroken as broken:
                self._broken = broken

    def end(self) -> Head:
        if self._broken is not None:
            raise self._broken
        return self._check.end()


_FINDINGS = {
    "altered": "altered, or does not follow the one before it",
    "removed": "missing",
    "reordered": "out of order, or there twice",
    "cut off": "missing, with every one after it",
}


def _reported(logs: Mapping[str, _Log], noted: Sequence[Head], tenant: str | None) -> int:
    """Print a line for each log, and for each noted head without one; return 1 where one is broken."""
    missing = {head.tenant: _Log(head.tenant, noted) for head in noted if tenant in (None, head.tenant)}
    status = 0
    for name, log in (missing | {**logs}).items():
        try:
            head = log.end()
            print(f"{name}: {'1 entry' if head.seq == 1 else f'{head.seq} entries'}, unbroken; head {head}")
        except ChainBroken as broken:
            print(f"{name}: entry {broken.seq} is {_FINDINGS[broken.how]}.")
            status = 1
    return status


async def record(store: ResultDatabase, settings: Settings, tenant: str, action: str, thing: str) -> None:
    """Append what a command does to the log of a tenant, where the settings have one."""
    if settings.audits:
        event = AuditEvent(
            event_id=secrets.token_hex(16),
            at=datetime.now(UTC).isoformat(timespec="microseconds"),
            tenant=tenant,
            subject="command-line",
            kind="local",
            action=action,
            object=thing,
            outcome="done",
            request_id="",
        )
        await store.within(tenant).append_audit([event])


async def _tenants(store: ResultDatabase, tenant: str | None) -> Sequence[str]:
    """Return the tenants whose logs are wanted, erased ones included."""
    known = [each.tenant_id for each in await store.tenants()]
    if tenant is None:
        return known
    if check_tenant_id(tenant) not in known:
        # To bind the store to an unknown tenant would register it.
        raise ValueError(f"There is no tenant {tenant}.")
    return [tenant]


async def _entries(store: ResultDatabase, tenant: str) -> AsyncIterator[AuditEntry]:
    mine, seq = store.within(tenant), 0
    while True:
        page = await mine.audit_after(seq, limit=_PAGE)
        for entry in page:
            yield entry
        if len(page) < _PAGE:
            return
        seq = page[-1].seq


@contextmanager
def _written(file: Path) -> Iterator[IO[str]]:
    """Yield a file that appears under its name once it is complete, or standard output."""
    if str(file) == "-":
        yield sys.stdout
        return
    scratch = file.with_name(f".{file.name}.part")
    try:
        with scratch.open("w", encoding="utf-8") as lines:
            yield lines
        put_in_place(scratch, file)
    except OSError as error:
        raise OSError(f"The file {file} cannot be written: {error.strerror or error}.") from error
    finally:
        with suppress(OSError):
            scratch.unlink(missing_ok=True)
