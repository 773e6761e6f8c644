"""Findings that the user accepts, and those that keep the verdict at CANARY."""

from collections.abc import Collection, Sequence

from cqox.contract import DataFinding
from cqox.contract.messages import Message

__all__ = ["capping", "with_accepted"]


def with_accepted(findings: Sequence[DataFinding], accept: Collection[str]) -> tuple[list[DataFinding], list[Message]]:
    """Return the findings with those marked that are accepted, and a note on each accepted code that is absent."""
    marked = [
        finding.model_copy(update={"accepted": True}) if finding.code in accept else finding for finding in findings
    ]
    absent = [code for code in accept if code not in {finding.code for finding in findings}]
    return marked, [Message("findings.accepted-is-absent", code=code) for code in dict.fromkeys(absent)]


def capping(findings: Sequence[DataFinding]) -> list[DataFinding]:
    """Return the findings that keep the verdict at CANARY: capping ones that are not accepted."""
    return [finding for finding in findings if finding.severity == "caps" and not finding.accepted]
