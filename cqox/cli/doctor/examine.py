"""Running all checks, and their output."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence

from pydantic import JsonValue
from rich.console import Console
from rich.text import Text

from cqox.cli.doctor.check import Check, Found, Status
from cqox.cli.output import INTERRUPTED, print_json, result_console
from cqox.contract.messages import Language, Message, of

__all__ = ["examine", "library_checks", "results"]

_STYLES: Mapping[Status, str] = {"ok": "green", "warn": "yellow", "fail": "bold red"}
_WORDS: Mapping[Status, Message] = {
    "ok": Message("doctor.ok"),
    "warn": Message("doctor.warn"),
    "fail": Message("doctor.fail"),
}
_ORDER: tuple[Status, ...] = ("ok", "warn", "fail")


def examine(further: Callable[[Mapping[str, str]], Sequence[Check]], *, as_json: bool, language: Language) -> int:
    """Run the checks of the library and further ones; print each finding when it is made.

    Returns:
        The exit status: 1 where a check fails, 130 after Ctrl-C.
    """
    found = list[tuple[Check, Found]]()
    console = result_console()
    try:
        for check, each in results([*library_checks(os.environ), *further(os.environ)]):
            found.append((check, each))
            if not as_json:
                _show(console, check, each, language)
    except KeyboardInterrupt:
        return INTERRUPTED
    worst: Status = max((each.status for _, each in found), key=_ORDER.index, default="ok")
    if as_json:
        document = {"status": worst, "checks": [_as_json(check, each, language) for check, each in found]}
        print_json(document)
    else:
        counts = {status: sum(each.status == status for _, each in found) for status in _ORDER}
        said = Message("doctor.summary", ok=counts["ok"], warnings=counts["warn"], failures=counts["fail"])
        console.print(Text(said.in_language(language), style=_STYLES[worst]), soft_wrap=True)
    return 1 if worst == "fail" else 0


def library_checks(environ: Mapping[str, str]) -> list[Check]:
    """Return the checks that need no services."""
    from cqox.cli.doctor import machine, trial, versions

    return [
        Check(name="python", run=versions.check_python),
        Check(name="packages", run=versions.check_packages),
        Check(name="processors", run=machine.check_processors),
        Check(name="memory", run=lambda: machine.check_memory(environ)),
        Check(name="disk", run=lambda: machine.check_disk(environ)),
        Check(name="clock", run=lambda: machine.check_clock(environ)),
        Check(name="analysis", run=lambda: trial.check_analysis(environ)),
    ]


def results(checks: Sequence[Check]) -> Iterator[tuple[Check, Found]]:
    """Run checks one after the other and yield their findings; an error of a check is a failure of it."""
    for check in checks:
        try:
            for found in check.run():
                yield check, found
        except Exception as error:  # noqa: BLE001 - a check that breaks is what the command is for
            text = Message("doctor.check-broke", error=type(error).__name__, reason=str(error))
            yield check, Found(status="fail", text=text, data={"error": type(error).__name__})


def _show(console: Console, check: Check, found: Found, language: Language) -> None:
    word = f"{_WORDS[found.status].in_language(language):<5}"
    line = Text(word, style=_STYLES[found.status]) + Text(f"{check.name:<11}", style="bold")
    console.print(line + Text(found.text.in_language(language)), soft_wrap=True)
    if found.remedy is not None:
        console.print(Text(f"     → {found.remedy.in_language(language)}"), soft_wrap=True)


def _as_json(check: Check, found: Found, language: Language) -> dict[str, JsonValue]:
    remedy = None if found.remedy is None else of(found.remedy).in_language(language)
    return {
        "check": check.name,
        "status": found.status,
        "text": found.text.in_language(language),
        "remedy": remedy,
        "data": dict(found.data),
    }
