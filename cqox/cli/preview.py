"""`cqox preview`: what an analysis would use and could find, before it estimates anything."""

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from pydantic import JsonValue
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cqox.api.estimates_table import show_finding
from cqox.api.previews import preview
from cqox.api.session import Session
from cqox.cli.arguments import mapping_of, options_of, read_options_of
from cqox.cli.asked import Asked
from cqox.cli.environment import bounds_of
from cqox.cli.output import INTERRUPTED, print_error, print_json, result_console
from cqox.cli.servers import open_client
from cqox.contract import Preview, PreviewedContrast
from cqox.contract.messages import Language, Message
from cqox.errors import CqoxError

__all__ = ["print_preview"]

_HEADINGS = (
    Message("terminal.column-arm"), Message("terminal.column-rows"), Message("terminal.column-share"),
    Message("terminal.column-units"),
)  # fmt: skip


def print_preview(asked: Asked) -> int:
    """Print the preview.

    Returns:
        The exit status: 0 for a preview, 1 where the data cannot be used or the server fails, 2 for an invalid command
        line, 130 after Ctrl-C.
    """
    found: Preview | None = None
    try:
        with suppress(KeyboardInterrupt):
            found = _previewed(asked)
    except (CqoxError, OSError) as error:
        return print_error(error, asked.language)
    if found is None:
        return INTERRUPTED
    if asked.as_json:
        print_json(found.model_dump(mode="json"))
    else:
        _show(result_console(), found, asked.language)
    return 0


def _previewed(asked: Asked) -> Preview:
    mapping, options, read = mapping_of(asked.roles), options_of(asked.options), read_options_of(asked.read_options)
    data = asked.data_or_table()
    keywords: Any = {**options, **mapping}
    if asked.server is not None:
        with open_client(asked.server, asked.token_file) as client:
            return client.preview(
                data, source=asked.source, table=asked.table, read=read, language=asked.language, **keywords
            )
    with Session(bounds_of(os.environ)) as session:
        return preview(data, read=read, language=asked.language, session=session, **keywords)


def _show(console: Console, found: Preview, language: Language) -> None:
    main = found.contrasts[found.main]
    console.print(Text(str(main.statement), style="bold"), soft_wrap=True)
    for line in _facts(found, main):
        console.print(Text(line.in_language(language)), soft_wrap=True)
    if main.arms:
        console.print()
        console.print(_arms(main, language))
    for reason in main.rows.reasons:
        console.print(Text(str(reason.message)), soft_wrap=True)
    for finding in found.findings:
        show_finding(console, finding.model_dump(mode="json"), language)
    for note in found.notes:
        said = Message("terminal.note", text=str(note)).in_language(language)
        console.print(Text(said, style="yellow"), soft_wrap=True)


def _facts(found: Preview, main: PreviewedContrast) -> Iterator[Message]:
    running = [each.name for each in main.estimators if each.runs]
    if found.sample is not None:
        yield Message("terminal.preview-sample", rows=found.sample.rows, of=found.sample.of)
    yield Message("terminal.preview-rows", kept=main.rows.kept, read=main.rows.read)
    yield Message("terminal.preview-estimators", names=running, skipped=len(main.estimators) - len(running))
    power: list[JsonValue] = [main.power.headline or main.power.reason, main.power.minimum_message]
    for sentence in power:
        if sentence:
            yield Message("terminal.preview-power", text=str(sentence))


def _arms(main: PreviewedContrast, language: Language) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for number, heading in enumerate(_HEADINGS):
        table.add_column(heading.in_language(language), overflow="fold", justify="right" if number else "left")
    for arm in main.arms:
        units = "–" if arm.units is None else str(arm.units)
        table.add_row(Text(str(arm.level)), str(arm.rows), f"{100 * arm.share:.1f}%", units)
    return table
