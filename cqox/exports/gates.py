"""The gates, by what to do about them; those that do not apply are folded."""

from collections.abc import Mapping

from cqox.contract import Gate
from cqox.contract.amounts import amount
from cqox.contract.messages import Message, of
from cqox.exports.document import Block, Entries, Entry, Folded, Section, Tone
from cqox.exports.wording import Wording

__all__ = ["gates"]

_GROUPS: Mapping[str, tuple[Message, Tone]] = {
    "fail": (Message("exports.gates-fail"), "bad"),
    "warn": (Message("exports.gates-look-at"), "caution"),
    "pass": (Message("exports.gates-pass"), "good"),
}


def gates(found: Mapping[str, Gate], wording: Wording) -> Section:
    """Return the section of the gates: those that fail, warn and pass, and the folded others."""
    blocks: list[Block] = []
    for status, (heading, tone) in _GROUPS.items():
        entries = tuple(_entry(name, gate, wording) for name, gate in found.items() if gate.status == status)
        if entries:
            blocks.append(Entries(heading=wording(heading), entries=entries, tone=tone))
    folded = {name: gate for name, gate in found.items() if gate.status == "not_applicable"}
    if folded:
        lines = (
            wording(Message("exports.line", name=name, text=of(gate.reason or gate.rule)))
            for name, gate in folded.items()
        )
        summary = wording(Message("exports.gates-not-applicable", gates=len(folded)))
        blocks.append(Folded(summary=summary, lines=tuple(lines)))
    return Section(name="gates", heading=wording(Message("exports.gates")), blocks=tuple(blocks))


def _entry(name: str, gate: Gate, wording: Wording) -> Entry:
    details = () if gate.reason is None else (wording(gate.rule),)
    return Entry(
        name=wording(name),
        text=wording(gate.rule if gate.reason is None else gate.reason),
        badge=wording(_measured(gate)),
        details=details,
    )


def _measured(gate: Gate) -> str:
    if gate.value is None:
        return ""
    if gate.threshold is None:
        return _number(gate.value)
    return Message("exports.value-and-limit", value=_number(gate.value), limit=_number(gate.threshold))


def _number(value: float) -> str:
    """Return counts and round limits without decimals that say nothing."""
    short = f"{value:g}"
    return f"{value:,.0f}" if value == round(value) else short if len(short) < len(amount(value)) else amount(value)
