"""`cqox roles`: suggested roles of columns, with reasons and the command that uses them."""

import os
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

from pydantic import JsonValue
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cqox.api.calls import EngineChoice, roles
from cqox.api.estimates_table import show_finding
from cqox.api.flags import flag_of, flags_of_mapping, flags_of_pairs
from cqox.api.session import Session
from cqox.cli.arguments import read_options_of
from cqox.cli.data_or_table import data_or_table
from cqox.cli.environment import bounds_of
from cqox.cli.output import INTERRUPTED, print_error, print_json, result_console
from cqox.cli.servers import open_client
from cqox.contract import ROLES, Inference
from cqox.contract.messages import LANGUAGES, Language, Message, joined, translate_document
from cqox.errors import CqoxError
from cqox.sources import Source

__all__ = ["command_of", "print_roles", "remedies_of"]

_OTHERS = 3
"""Most candidates of a role that are listed after the suggested ones."""


def print_roles(
    data: str | None,
    *,
    source: str | None = None,
    table: str | None = None,
    engine: EngineChoice = "auto",
    server: str | None = None,
    query: str | None = None,
    read_options: Sequence[str],
    as_json: bool,
    language: Language,
    token_file: Path | None = None,
) -> int:
    """Print the suggestion.

    Args:
        data: a file, a folder or an address; for a server also a data set that it has. None for a table in place.
        source: source of a table in place; None for data.
        table: one of its tables.
        engine: who sums the rows of files, on this machine.
        server: address of the server that computes; None for this machine.
        query: a query on the database at that address.
        read_options: options of reading the file as `name=value` strings.
        as_json: print what the HTTP interface answers instead of tables.
        language: language of the reasons.
        token_file: file with the token for the server; None for that of the environment.

    Returns:
        The exit status: 0 for a suggestion, 1 where the file cannot be used or the server fails, 2 for an invalid
        command line, 130 after Ctrl-C.
    """
    document: dict[str, JsonValue] | None = None
    try:
        with suppress(KeyboardInterrupt):
            named = data_or_table(
                data, query=query, read_options=read_options, source=source, table=table, server=server
            )
            read = read_options_of(read_options)
            found = _suggested(named, (source, table), server, token_file, read, engine)
            document = found.model_dump(mode="json")
    except (CqoxError, OSError) as error:
        return print_error(error, language)
    if document is None:
        return INTERRUPTED
    if language != LANGUAGES[0]:
        translate_document(document, document["messages"], language)  # type: ignore[arg-type]
    if as_json:
        print_json(document)
    else:
        command = command_of(
            data, document, server=server, token_file=token_file, query=query, read_options=read_options,
            source=source, table=table,
        )  # fmt: skip
        _show(result_console(), document, command, language)
    return 0


def _suggested(
    data: Source | None,
    place: tuple[str | None, str | None],
    server: str | None,
    token_file: Path | None,
    read: Mapping[str, JsonValue],
    engine: EngineChoice,
) -> Inference:
    source, table = place
    if server is not None:
        with open_client(server, token_file) as client:
            return client.roles(data, source=source, table=table, read=read)
    with Session(bounds_of(os.environ)) as session:
        return roles(data, read=read, engine=engine, session=session)


def command_of(
    data: str | None,
    inference: Mapping[str, Any],
    *,
    source: str | None = None,
    table: str | None = None,
    server: str | None = None,
    token_file: Path | None = None,
    query: str | None = None,
    read_options: Sequence[str] = (),
) -> str:
    """Return the command line that analyses the data with the suggested roles, for a POSIX shell.

    A role that an analysis needs and no column seems to play stands there with COLUMN in its place. The remedies of the
    findings are part of it: those of reading the file alone where there are any, as the others are of the table that
    was read without them.
    """
    upload, analyze = remedies_of(inference.get("findings", ()))
    reading = [*(["--read", each] for each in read_options), *flags_of_pairs("--read", upload)]
    flags = [
        *flags_of_mapping(inference["mapping"]),
        *reading,
        *([] if upload else flags_of_pairs("--option", analyze)),
    ]
    missing = [[flag_of(role), "COLUMN"] for role in inference["missing"]]
    words = ["--source", str(source), "--table", str(table)]
    if data is not None:
        words = [data if not data.startswith("-") else f"./{data}", *([] if query is None else ["--query", query])]
    words += [] if server is None else ["--server", server]
    words += [] if token_file is None else ["--token-file", str(token_file)]
    return shlex.join(["cqox", "analyze", *words, *chain.from_iterable([*flags, *missing])])


def remedies_of(findings: Sequence[Mapping[str, Any]]) -> tuple[dict[str, JsonValue], dict[str, JsonValue]]:
    """Return the parameters of the remedies, those of an upload and those of an analysis; equal names are joined."""
    merged: dict[str, dict[str, JsonValue]] = {"upload": {}, "analyze": {}}
    for remedy in (finding["remedy"] for finding in findings if finding["remedy"]):
        found = merged[remedy["at"]]
        for name, value in remedy["parameters"].items():
            found[name] = _joined(found[name], value) if name in found else value
    return merged["upload"], merged["analyze"]


def _joined(first: JsonValue, second: JsonValue) -> JsonValue:
    """Return two values of a parameter as one; of those that cannot be joined, the first."""
    if isinstance(first, list) and isinstance(second, list):
        return [*first, *(each for each in second if each not in first)]
    if isinstance(first, dict) and isinstance(second, dict):
        return second | first
    return first


def _show(console: Console, inference: Mapping[str, Any], command: str, language: Language) -> None:
    console.print(_table(inference, language))
    missing = inference["missing"]
    if missing:
        said = Message("terminal.roles-missing", roles=missing).in_language(language)
        console.print(Text(said, style="yellow"), soft_wrap=True)
    for note in inference["notes"]:
        said = Message("terminal.note", text=note).in_language(language)
        console.print(Text(said, style="yellow"), soft_wrap=True)
    for finding in inference["findings"]:
        show_finding(console, finding, language, reading=True)
    console.print()
    console.print(Text(Message("terminal.roles-command").in_language(language), style="dim"), soft_wrap=True)
    console.print(Text(command, style="bold"), soft_wrap=True)


def _table(inference: Mapping[str, Any], language: Language) -> Table:
    """Return the columns by role, the suggested ones first; others are candidates."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in (Message("terminal.column-role"), Message("terminal.column-column")):
        table.add_column(heading.in_language(language), overflow="fold")
    table.add_column(Message("terminal.column-confidence").in_language(language), justify="right")
    table.add_column(Message("terminal.column-reasons").in_language(language), overflow="fold")
    mapping, candidates = inference["mapping"], inference["candidates"]
    for role in (name for name in ROLES if name in candidates or name in mapping):
        given = mapping.get(role, [])
        suggested = [given] if isinstance(given, str) else list(given)
        found = sorted(candidates.get(role, []), key=lambda each: each["column"] not in suggested)
        rows = found[: len(suggested) + _OTHERS]
        for place, each in enumerate(rows):
            is_suggested = each["column"] in suggested
            style = "" if is_suggested else "dim"
            name = Text(role, style=style) if place == 0 else Text("")
            column = each["column"] if is_suggested else f"({each['column']})"
            confidence = f"{each['confidence']:.2f}"
            table.add_row(
                name,
                Text(column, style=style),
                Text(confidence, style=style),
                Text(joined(each["reasons"]).in_language(language), style=style),
            )
    return table
