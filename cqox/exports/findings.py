"""Traps found in the data with their remedies, and the notes and warnings of the computation."""

import json
import re
from collections.abc import Sequence

from cqox.contract import DataFinding, Report
from cqox.contract.messages import Message, of
from cqox.exports.document import Entries, Entry, Folded, Section, Tone
from cqox.exports.wording import Wording

__all__ = ["findings", "notes"]

_OF_ESTIMATOR = re.compile(r"([a-z0-9_]+)(?:: |：)(.*)", re.DOTALL)
"""A warning of an estimator, in each language."""


def findings(report: Report, wording: Wording) -> Section:
    """Return the section of the data findings; without a block where there are none."""
    entries = tuple(_entry(finding, wording) for finding in report.findings)
    blocks = (Entries(heading="", entries=entries),) if entries else ()
    return Section(name="findings", heading=wording(Message("exports.findings")), blocks=blocks)


def notes(report: Report, wording: Wording) -> Section:
    """Return the section of notes, warnings and errors; without a block where there are none."""
    groups: tuple[tuple[Message, Sequence[str]], ...] = (
        (Message("exports.errors", number=len(report.errors)), report.errors),
        (Message("exports.warnings", number=len(report.warnings)), _grouped(report, wording)),
        (Message("exports.notes-on-data", number=len(report.notes)), report.notes),
    )
    blocks = tuple(
        Folded(summary=wording(summary), lines=tuple(wording(line) for line in lines))
        for summary, lines in groups
        if lines
    )
    return Section(name="notes", heading=wording(Message("exports.notes")), blocks=blocks)


def _grouped(report: Report, wording: Wording) -> list[str]:
    """Return the warnings, those that several estimators share once with their names."""
    known = {each.name for each in report.estimates}
    names: dict[str, dict[str, None]] = {}
    for warning in report.warnings:
        found = _OF_ESTIMATOR.match(warning)
        name, said = (found[1], found[2]) if found and found[1] in known else ("", warning)
        names.setdefault(said, {})[name] = None
    lines = []
    for said, of_it in names.items():
        text = of(said)
        if "" not in of_it:
            text = Message("exports.line", name=Message("exports.names", names=list(of_it)), text=text)
        lines.append(wording(text))
    return lines


def _entry(finding: DataFinding, wording: Wording) -> Entry:
    badge, tone = _status(finding)
    action = None
    if finding.remedy is not None:
        parameters = json.dumps(finding.remedy.parameters, ensure_ascii=False)
        said = Message("exports.remedy-at-analysis", parameters=parameters)
        if finding.remedy.at == "upload":
            said = Message("exports.remedy-at-upload", parameters=parameters)
        action = wording(said)
    return Entry(
        name=wording(finding.code), text=wording(finding.message), badge=wording(badge), tone=tone, action=action
    )


def _status(finding: DataFinding) -> tuple[Message, Tone]:
    if finding.accepted:
        return Message("exports.accepted"), "plain"
    if finding.severity == "caps":
        return Message("exports.caps-verdict"), "caution"
    return Message("exports.note"), "plain"
