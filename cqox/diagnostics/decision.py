"""Decision rule: GO, CANARY or HOLD, the weakest of the evidence, the gates, the ledger and the findings.

The gain is the primary estimate in the direction that is better. GO: the whole interval of the gain lies above the
minimum effect, no gate warns, every assumption that caps is supported or declared, and no finding that changes the
answer is left. CANARY: the same with a warning, an untested assumption or such a finding, or a gain at least one
standard error above the minimum whose interval does not clear it. HOLD: anything else, and always where a gate fails, a
test contradicts an assumption, or there is no number.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from cqox.contract import Decision, Gate, Identification
from cqox.contract.messages import Message
from cqox.diagnostics.primary import Primary
from cqox.diagnostics.tables import number_in
from cqox.estimators import Estimate
from cqox.estimators.numerics.quantiles import critical_value

__all__ = ["decide"]

type Verdict = Literal["GO", "CANARY", "HOLD"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Gain:
    """The primary estimate signed so that positive is better; an infinite end of the interval is None."""

    estimate: float
    standard_error: float | None
    lower: float | None
    upper: float | None
    interval: Message


@dataclass(frozen=True, slots=True, kw_only=True)
class _Doubts:
    """Reasons against acting: those that stop, and those that a limited trial can live with."""

    stopping: tuple[Message, ...]
    limiting: tuple[Message, ...]


def decide(
    primary: Primary,
    estimates: Sequence[Estimate],
    gates: Mapping[str, Gate],
    *,
    better: Literal["higher", "lower"],
    minimum_effect: float,
    alpha: float,
    identification: Identification | None = None,
    findings: Sequence[Message] = (),
    headline: Message | None = None,
) -> Decision:
    """Decide on the primary estimate, its gates, its assumptions and the findings on the data.

    Args:
        primary: the pre-specified estimate.
        estimates: all estimates of the request.
        gates: checks on the primary estimate.
        better: beneficial direction of the effect.
        minimum_effect: smallest relevant effect in that direction, in units of y.
        alpha: one minus the confidence level.
        identification: the ledger of the primary.
        findings: a sentence for each finding that changes the answer and is neither remedied nor accepted.
        headline: the answer in one sentence.
    """
    chosen = next((estimate for estimate in estimates if estimate.name == primary.name), None)
    computed = sum(estimate.estimate is not None for estimate in estimates)
    doubts = _doubts(gates, identification, findings)
    verdict, reasons = _verdict(primary, chosen, gates, doubts, better, minimum_effect, alpha)
    return Decision(
        verdict=verdict, headline=headline, primary=primary.name, primary_rule=primary.rule, better=better,
        minimum_effect=minimum_effect, reasons=tuple(reasons), estimates_computed=computed, note=_note(computed),
    )  # fmt: skip


def _note(computed: int) -> Message:
    if computed == 0:
        return Message("verdict.no-estimate-computed")
    if computed == 1:
        return Message("verdict.one-estimate-computed")
    return Message("verdict.estimates-computed", number=computed)


def _verdict(
    primary: Primary,
    chosen: Estimate | None,
    gates: Mapping[str, Gate],
    doubts: _Doubts,
    better: str,
    minimum: float,
    alpha: float,
) -> tuple[Verdict, list[Message]]:
    if chosen is None or chosen.estimate is None:
        if chosen is None:
            design = {name: gate for name, gate in gates.items() if name != "computation"}
            none = Message("verdict.nothing-to-decide-on", rule=primary.rule)
            return "HOLD", [none, *_named(design, "fail"), *_named(design, "warn")]
        return "HOLD", [_without_number(chosen)]
    gain = _gain(chosen, chosen.estimate, better, alpha)
    evidence, said = _evidence(gain, minimum, alpha)
    reasons = [said, *doubts.stopping, *doubts.limiting]
    if doubts.stopping:
        return "HOLD", reasons
    if evidence == "GO" and doubts.limiting:
        return "CANARY", reasons
    if evidence == "GO":
        reasons.append(Message("verdict.all-gates-pass"))
    return evidence, reasons


def _doubts(gates: Mapping[str, Gate], identification: Identification | None, findings: Sequence[Message]) -> _Doubts:
    entries = identification.assumptions if identification is not None else ()
    contradicted = [
        Message("verdict.contradicted", assumption=entry.name, evidence=list(entry.evidence))
        for entry in entries
        if entry.status == "contradicted"
    ]
    untested = [
        Message("verdict.untested", assumption=entry.name, statement=entry.statement)
        for entry in entries
        if entry.status == "untested" and entry.caps
    ]
    return _Doubts(
        stopping=(*_named(gates, "fail"), *contradicted), limiting=(*_named(gates, "warn"), *untested, *findings)
    )


def _without_number(chosen: Estimate) -> Message:
    name, reason = chosen.name, chosen.reason
    if chosen.status == "failed":
        if reason is None:
            return Message("verdict.primary-failed", primary=name)
        return Message("verdict.primary-failed-reason", primary=name, reason=reason)
    if reason is None:
        return Message("verdict.primary-skipped", primary=name)
    return Message("verdict.primary-skipped-reason", primary=name, reason=reason)


def _named(gates: Mapping[str, Gate], status: Literal["warn", "fail"]) -> list[Message]:
    found = [(name, gate.reason or gate.rule) for name, gate in gates.items() if gate.status == status]
    if status == "fail":
        return [Message("verdict.gate-fails", gate=name, reason=reason) for name, reason in found]
    return [Message("verdict.gate-warns", gate=name, reason=reason) for name, reason in found]


def _gain(chosen: Estimate, value: float, better: str, alpha: float) -> _Gain:
    lower, upper, error = chosen.ci_lower, chosen.ci_upper, chosen.standard_error
    interval = Message("verdict.interval")
    if chosen.family == "off_policy":
        # The gain of a policy is its value minus the value of the logged policy.
        lift, error = number_in(chosen.diagnostics["lift"]), number_in(chosen.diagnostics["lift_standard_error"])
        value, half = lift or 0.0, None if error is None else critical_value(alpha, None) * error
        lower, upper = (None, None) if half is None else (value - half, value + half)
        interval = Message("verdict.interval-over-logged-policy")
    if "anderson_rubin_robust" in chosen.diagnostics:
        found = _anderson_rubin(chosen)
        if found is not None:
            (lower, upper), interval = found, Message("verdict.anderson-rubin-set")
    if better == "lower":
        value, lower, upper = -value, None if upper is None else -upper, None if lower is None else -lower
    return _Gain(estimate=value, standard_error=error, lower=lower, upper=upper, interval=interval)


def _anderson_rubin(chosen: Estimate) -> tuple[float | None, float | None] | None:
    """Return the convex hull of the Anderson-Rubin set; None if it is missing or empty."""
    found = chosen.diagnostics.get("anderson_rubin_robust")
    pieces = found.get("intervals") if isinstance(found, dict) else None
    ends = [piece for piece in pieces if isinstance(piece, list)] if isinstance(pieces, list) else []
    if not ends:
        return None
    lows, highs = [number_in(end[0]) for end in ends], [number_in(end[1]) for end in ends]
    low = None if None in lows else min(value for value in lows if value is not None)
    high = None if None in highs else max(value for value in highs if value is not None)
    return low, high


def _evidence(gain: _Gain, minimum: float, alpha: float) -> tuple[Verdict, Message]:
    seen = Message(
        "verdict.gain",
        gain=gain.estimate,
        level=100 * (1 - alpha),
        interval=gain.interval,
        lower=_bound(gain.lower),
        upper=_bound(gain.upper),
    )
    if gain.lower is None and gain.upper is None:
        return "HOLD", Message("verdict.no-effect-ruled-out", gain=seen)
    if gain.lower is not None and gain.lower > minimum:
        return "GO", Message("verdict.all-above-minimum", gain=seen, minimum=minimum)
    if gain.upper is not None and gain.upper <= minimum:
        return "HOLD", Message("verdict.none-above-minimum", gain=seen, minimum=minimum)
    if gain.standard_error is not None and gain.estimate - minimum >= gain.standard_error:
        return "CANARY", Message("verdict.estimate-above-minimum", gain=seen, minimum=minimum, interval=gain.interval)
    return "HOLD", Message("verdict.contains-minimum", gain=seen, minimum=minimum)


def _bound(end: float | None) -> Message:
    return Message("verdict.unbounded") if end is None else Message("verdict.bound", value=end)
