"""`cqox explain`: what the words of a report and of a request mean, with thresholds and sources."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from cqox.contract import ROLES, Definition, Options, ReshapingOptions, near_words
from cqox.contract.messages import Language, Message, joined, of
from cqox.errors import InvalidRequest

__all__ = ["print_definitions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """A word with its meaning.

    Attributes:
        kind: what it names.
        name: the word.
        lines: its meaning, then what is good to know of it.
        notes: what stands below in a weaker colour.
    """

    kind: Message
    name: str
    lines: Sequence[Message]
    notes: Sequence[Message] = ()


def print_definitions(console: Console, wanted: Sequence[str], *, language: Language) -> None:
    """Print what these names mean, or all of the words of a report where none is given.

    Args:
        console: the output.
        wanted: names of verdicts, gates, assumptions, statuses, data findings, estimators, roles or options.
        language: language of the sentences.

    Raises:
        InvalidRequest: nothing has one of the names; the others are printed before.
    """
    of_reports = list(_of_reports())
    known = [*of_reports, *_of_requests()]
    asked = {name.casefold() for name in wanted}
    for entry in known if wanted else of_reports:
        if not wanted or entry.name.casefold() in asked:
            _show(console, entry, language)
    names = list(dict.fromkeys(entry.name for entry in known))
    written = {name.casefold() for name in names}
    unknown = [name for name in dict.fromkeys(wanted) if name.casefold() not in written]
    if unknown:
        near = [word for name in unknown for word in near_words(name, names)]
        sentences = [Message("terminal.no-definition", name=name) for name in unknown]
        raise InvalidRequest(
            joined(sentences), choices=list(dict.fromkeys(near or (entry.name for entry in of_reports)))
        )


def _show(console: Console, entry: _Entry, language: Language) -> None:
    line = Text(f"{entry.name} ", style="bold") + Text(f"({entry.kind.in_language(language)})", style="dim")
    console.print(line)
    for said, style in [*((line, "") for line in entry.lines), *((note, "dim") for note in entry.notes)]:
        console.print(Text(f"  {said.in_language(language)}", style=style), soft_wrap=True)


def _of_reports() -> Iterator[_Entry]:
    """Yield verdicts, gates, assumptions, statuses and data findings."""
    from cqox.diagnostics import definitions

    for each in definitions():
        yield _defined(each)


def _defined(each: Definition) -> _Entry:
    lines = [of(each.meaning), *([of(each.rule)] if each.rule else [])]
    notes = [Message("terminal.declarable", designs=list(each.designs))] if each.designs else []
    notes += [of(each.source)] if each.source else []
    return _Entry(kind=_KINDS[each.kind], name=each.name, lines=lines, notes=notes)


def _of_requests() -> Iterator[_Entry]:
    """Yield estimators, roles and options."""
    from cqox.estimators import entries

    for each in entries():
        needs = Message("terminal.needs-roles", estimand=each.estimand, roles=list(each.requires))
        source = each.paper if each.doi is None else f"{each.paper}, doi {each.doi}"
        yield _Entry(
            kind=Message("terminal.kind-estimator"), name=each.name, lines=[of(each.summary), needs], notes=[of(source)]
        )
    for name, role in ROLES.items():
        yield _Entry(kind=Message("terminal.kind-role"), name=name, lines=[of(role.meaning)])
    for name, field in {**ReshapingOptions.model_fields, **Options.model_fields}.items():
        default = json.dumps(field.get_default(call_default_factory=True), default=str)
        yield _Entry(
            kind=Message("terminal.kind-option"), name=name, lines=[of(field.description or "")],
            notes=[Message("terminal.option-default", default=default)],
        )  # fmt: skip


_KINDS = {
    "verdict": Message("terminal.kind-verdict"),
    "gate": Message("terminal.kind-gate"),
    "assumption": Message("terminal.kind-assumption"),
    "status": Message("terminal.kind-status"),
    "finding": Message("terminal.kind-finding"),
}
