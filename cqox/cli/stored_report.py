"""`cqox report`: reports that are stored, of a server or of a data directory."""

import json
import os
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

import trio
from pydantic import JsonValue
from rich.table import Table
from rich.text import Text

from cqox.analysis.answer import Answer
from cqox.analysis.keyrings import ring_of_directory
from cqox.analysis.stores import RESULTS_FILE, StoreAddresses, open_store, store_of
from cqox.api.estimates_table import show_report
from cqox.api.report import Report
from cqox.api.session import Session
from cqox.api.source import LocalSource
from cqox.cli.environment import bounds_of
from cqox.cli.exports import check_targets, format_of, write_output, write_report
from cqox.cli.installation import Installation, StorePlace
from cqox.cli.output import INTERRUPTED, USAGE, listing_console, print_error, result_console, suppress_log_lines
from cqox.cli.servers import open_client
from cqox.contract import AnalysisSummary
from cqox.contract.messages import Language, Message
from cqox.errors import CqoxError, InvalidRequest, NotFound
from cqox.storage import DEFAULT_TENANT, ResultStore, Sealing, StoredReport, is_tenant_id

__all__ = ["Shown", "TextOrFile", "show_stored"]

type TextOrFile = Literal["text", "json", "html", "pdf", "pptx", "docx", "md", "csv"]

_LATEST = 20
_TO_SECONDS = len("2026-01-01T00:00:00")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """The arguments of the command line.

    Attributes:
        analysis_id: the report; None lists the latest.
        server: URL of the server; None for a data directory.
        token_file: file with the token for it; None for that of the environment.
        data_dir: the data directory; that of the settings if None.
        tenant: the tenant in a data directory; `default` if None.
        form: how it is shown; by the suffix of `output` if None, else as text.
        output: file to write; standard output if None.
        language: language of the sentences.
    """

    analysis_id: str | None
    server: str | None
    data_dir: Path | None
    form: TextOrFile | None
    output: Path | None
    language: Language
    token_file: Path | None = None
    tenant: str | None = None


def show_stored(shown: Shown, installation: Installation) -> int:
    """Show, list or export stored reports.

    Returns:
        The exit status: 0 for success, 1 where there is no such report or a file cannot be read or written, 2 for an
        invalid command line or setting, 130 after Ctrl-C.
    """
    suppress_log_lines()
    try:
        if shown.server is not None and shown.data_dir is not None:
            raise InvalidRequest(Message("terminal.server-or-directory"))
        if shown.server is not None and shown.tenant is not None:
            raise InvalidRequest(Message("terminal.tenant-of-server"))
        if not is_tenant_id(shown.tenant or DEFAULT_TENANT):
            raise InvalidRequest(Message("security.no-tenant-id"), field="--tenant")
        if shown.analysis_id is None and (shown.output is not None or shown.form is not None):
            flag = "--format" if shown.output is None else "--output"
            raise InvalidRequest(Message("terminal.needs-id", flag=flag))
        with nullcontext() if shown.server is not None else _place(shown, installation) as place:
            if shown.analysis_id is None:
                _list(shown, place)
            else:
                _show(shown, shown.analysis_id, place)
    except KeyboardInterrupt:
        return INTERRUPTED
    except ValueError as error:
        print_error(error, shown.language)
        return USAGE
    except (CqoxError, OSError) as error:
        return print_error(error, shown.language)
    return 0


@contextmanager
def _place(shown: Shown, installation: Installation) -> Iterator[StorePlace]:
    """Open the way to the store.

    Raises:
        NotFound: a data directory has none.
    """
    if shown.data_dir is None:
        opened = installation.store(os.environ)
    else:
        opened = nullcontext(StorePlace(data_dir=shown.data_dir, ring=ring_of_directory(shown.data_dir)))
    with opened as place:
        if not place.postgres_url and not (place.data_dir / RESULTS_FILE).is_file():
            raise NotFound(Message("terminal.no-store", folder=str(place.data_dir)))
        yield place


def _show(shown: Shown, analysis_id: str, place: StorePlace | None) -> None:
    form = shown.form
    if shown.output is not None:
        check_targets([shown.output] if form is None else [])
        form = form or format_of(shown.output)
    form = form or "text"
    if place is None:
        with open_client(str(shown.server), shown.token_file) as client:
            _show_as(shown, client.report(analysis_id, language=shown.language), form)
        return
    body, specs = _from_store(shown, place, lambda store: _load(store, analysis_id))
    with Session(bounds_of(os.environ)) as session:
        source = LocalSource(session, document=body, specs=specs)
        _show_as(shown, Report(json.loads(body), source, language=shown.language), form)


def _show_as(shown: Shown, report: Report, form: TextOrFile) -> None:
    if form == "text":
        _show_text(shown, report)
    elif shown.output is None:
        write_output(report, form)
    else:
        write_report(report, shown.output, form)


def _show_text(shown: Shown, report: Report) -> None:
    if shown.output is None:
        show_report(result_console(), report.to_dict(), language=shown.language)
    else:
        shown.output.write_text(f"{report}\n", encoding="utf-8")


def _list(shown: Shown, place: StorePlace | None) -> None:
    if place is None:
        with open_client(str(shown.server), shown.token_file) as client:
            found = [_summary(each) for each in islice(client.reports(), _LATEST)]
    else:
        found = [_summary(each) for each in _from_store(shown, place, _latest)]
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in _HEADINGS:
        table.add_column(heading.in_language(shown.language), no_wrap=heading is _HEADINGS[0], overflow="fold")
    for each in found:
        table.add_row(*(Text(_cell(each.get(name))) for name in _FIELDS))
    console = listing_console()
    if found:
        console.print(table)
    else:
        console.print(Text(Message("terminal.no-reports").in_language(shown.language)), soft_wrap=True)


def _from_store[T](shown: Shown, place: StorePlace, work: Callable[[ResultStore], Awaitable[T]]) -> T:
    async def run() -> T:
        addresses = StoreAddresses(postgres_url=place.postgres_url, credentials=place.credentials)
        async with open_store(place.data_dir, addresses) as store:
            return await work(store_of(store, shown.tenant or DEFAULT_TENANT, Sealing(place.ring)))

    return trio.run(run)


async def _load(store: ResultStore, analysis_id: str) -> tuple[bytes, bytes]:
    found = await store.load(analysis_id)
    if found is None:
        latest = [each.analysis_id for each in await _latest(store)]
        raise NotFound(Message("terminal.no-such-report", analysis_id=analysis_id[:100]), choices=latest)
    return Answer.of(found, hit=True, stored=True, trace_id=None).body, found.figures


async def _latest(store: ResultStore) -> Sequence[StoredReport]:
    return (await store.reports(limit=_LATEST)).items


def _summary(report: StoredReport | AnalysisSummary) -> dict[str, JsonValue]:
    found = {name: getattr(report, name) for name in _FIELDS}
    return {**found, "created_at": found["created_at"][:_TO_SECONDS]}


def _cell(value: JsonValue) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value if value is not None else "–")


_FIELDS = ("analysis_id", "created_at", "dataset_id", "verdict", "primary", "estimate")
_HEADINGS = (
    Message("terminal.column-analysis"),
    Message("terminal.column-computed"),
    Message("terminal.column-dataset"),
    Message("terminal.column-verdict"),
    Message("terminal.column-estimator"),
    Message("terminal.column-estimate"),
)
