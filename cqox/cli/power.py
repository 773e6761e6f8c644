"""`cqox power`: sample size, smallest detectable effect or power of a study that is planned."""

import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.text import Text

from cqox.cli.arguments import read_options_of, source_of
from cqox.cli.environment import bounds_of
from cqox.cli.output import INTERRUPTED, print_error, print_json, result_console
from cqox.contract import file_digest
from cqox.contract.messages import Language, Message
from cqox.errors import CqoxError, InvalidRequest
from cqox.sources import Source, fetch, parts_of

__all__ = ["plan"]


def plan(
    data: str | None,
    given: Mapping[str, Any],
    *,
    query: str | None = None,
    read_options: Sequence[str] = (),
    as_json: bool,
    language: Language,
) -> int:
    """Print the answer.

    Args:
        data: a file, a folder or an address; None for numbers alone.
        given: arguments of `cqox.power` by name, absent ones left out; `sd` and `covariates` as text.
        query: a query on the database at that address.
        read_options: options of reading the data as `name=value` strings.
        as_json: print the numbers as JSON instead of sentences.
        language: language of the sentences.

    Returns:
        The exit status: 0 for an answer, 1 where the data cannot be used or no size has the power, 2 for an invalid
        command line, 130 after Ctrl-C.
    """
    from cqox.planning import PowerReport, power

    report: PowerReport | None = None
    try:
        with suppress(KeyboardInterrupt):
            frame = None if data is None else _frame(source_of(data, query), read_options)
            report = power(frame, **_arguments(given))
    except (CqoxError, OSError) as error:
        return print_error(error, language)
    if report is None:
        return INTERRUPTED
    if as_json:
        print_json(_spoken(report.to_dict(), language))
    else:
        result_console().print(Text(report.text(language)), soft_wrap=True)
    return 0


def _arguments(given: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(given)
    if "sd" in found:
        found["sd"] = _deviations(str(found["sd"]))
    if "covariates" in found:
        found["covariates"] = [word.strip() for each in found["covariates"] for word in each.split(",")]
    return found


def _deviations(text: str) -> float | tuple[float, ...]:
    try:
        numbers = tuple(float(word) for word in text.split(","))
    except ValueError:
        raise InvalidRequest(Message("terminal.no-deviations", given=text), field="sd") from None
    return numbers[0] if len(numbers) == 1 else numbers


def _frame(source: Source, read_options: Sequence[str]) -> object:
    """Read the data into a polars frame, in this process, which has loaded numerics already."""
    from cqox.analysis.work import parse_options
    from cqox.datasets import Limits, join_files, read_table

    limits = Limits(**bounds_of(os.environ).file_limits)
    options = parse_options(read_options_of(read_options))
    with tempfile.TemporaryDirectory(prefix="cqox-") as name:
        fetched = fetch(source, Path(name) / "data", max_bytes=limits.max_bytes)
        path = fetched.path
        parts = parts_of(path)
        if parts is not None:
            parts.check_joinable()
            path = Path(name) / "joined"
            join_files(parts.files, path, is_text=parts.format == "text", partitions=parts.partitions)
        file_digest(path)  # refuses what is no regular file, or cannot be read
        return read_table(path, name=fetched.name, limits=limits, options=options).frame


def _spoken(document: dict[str, object], language: Language) -> dict[str, object]:
    def spoken(value: object) -> object:
        if isinstance(value, Message):
            return value.in_language(language)
        return [spoken(each) for each in value] if isinstance(value, list) else value

    return {name: spoken(value) for name, value in document.items()}
