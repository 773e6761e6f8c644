"""Evaluation of the probes of a phase from the records of the load and what the system says of itself."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import httpx

from cqox.chaos.experiments.experiment import Experiment, Probe
from cqox.chaos.experiments.records import Sent, quantile
from cqox.chaos.experiments.system import Health

__all__ = ["Observed", "Result", "evaluate", "may_cut"]

_CUTS = frozenset({"gateway", "client->gateway"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One probe and what was found.

    Attributes:
        phase: `steady`, `during` or `after`.
        probe: the probe in words.
        holds: whether it held.
        found: what was found.
    """

    phase: str
    probe: str
    holds: bool
    found: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """Observations in a phase.

    Attributes:
        sent: the requests that began in it.
        health: every answer to `/health/ready` in it, by component and in order.
        log: what each service has logged in it.
        started: the processes of each component at its begin.
        running: the processes of each component at its end.
        may_cut: whether the faults may cut connections of clients.
    """

    sent: Sequence[Sent]
    health: Mapping[str, Sequence[Health]]
    log: Mapping[str, str]
    started: Mapping[str, Mapping[str, str]]
    running: Mapping[str, Mapping[str, str]]
    may_cut: bool


def may_cut(experiment: Experiment) -> bool:
    """Return whether the faults may leave requests of clients without an answer."""
    return any(
        fault.target.name in _CUTS or fault.kind in ("certificate-expire", "clock-offset")
        for fault in experiment.faults
    )


def evaluate(phase: str, probes: Sequence[Probe], observed: Observed) -> list[Result]:
    """Return the result of each probe."""
    results = []
    for probe in probes:
        holds, found = _EVALUATIONS[probe.kind](probe.parameters, observed)
        results.append(Result(phase=phase, probe=_words(probe), holds=holds, found=found))
    return results


def _words(probe: Probe) -> str:
    given = ", ".join(f"{name} {value}" for name, value in probe.parameters.items())
    return f"{probe.kind}: {given}" if given else probe.kind


def _of(parameters: Mapping[str, object], observed: Observed) -> list[Sent]:
    kind = parameters.get("of")
    return [each for each in observed.sent if kind in (None, each.kind)]


def _counted(sent: Sequence[Sent]) -> str:
    """The failures by status and problem."""
    failed = Counter(f"{each.status} {each.problem}".strip() for each in sent if not each.is_good)
    return ", ".join(f"{number} × {said}" for said, number in failed.most_common(6)) or "no failure"


def _goodput(parameters: Mapping[str, object], observed: Observed) -> tuple[bool, str]:
    sent = _of(parameters, observed)
    if not sent:
        return False, "no request was sent"
    share = sum(each.is_good for each in sent) / len(sent)
    return share >= cast(float, parameters["at_least"]), f"{share:.3f} of {len(sent)}; {_counted(sent)}"


def _failures(parameters: Mapping[str, object], observed: Observed) -> tuple[bool, str]:
    sent = _of(parameters, observed)
    failed = sum(not each.is_good for each in sent)
    return bool(sent) and failed <= cast(int, parameters["at_most"]), f"{failed} of {len(sent)}; {_counted(sent)}"


def _statuses(parameters: Mapping[str, object], observed: Observed) -> tuple[bool, str]:
    found = Counter(each.status for each in observed.sent)
    if "only" in parameters:
        allowed = {int(status) for status in str(parameters["only"]).split()}
        wrong = [each for each in observed.sent if each.status not in allowed]
    else:
        wrong = [each for each in observed.sent if not each.in_contract or (each.status == 0 and not observed.may_cut)]
    said = ", ".join(f"{number} × {status}" for status, number in sorted(found.items()))
    return not wrong, said + (f"; unexpected: {_counted(wrong)}" if wrong else "")


def _problems(parameters: Mapping[str, object], observed: Observed) -> tuple[bool, str]:
    named = Counter(each.problem for each in observed.sent if each.status >= httpx.codes.BAD_REQUEST)
    wrong = set(named) - set(str(parameters["only"]).split())
    said = ", ".join(f"{number} × {problem}" for problem, number in sorted(named.items())) or "none"
    return not wrong, said + (f"; unexpected: {', '.join(sorted(wrong))}" if wrong else "")


def _deadlines(parameters: Mapping[str, object], observed: Observed) -> tuple[bool, str]:
    slack = cast(float, parameters["slack"])
    # A request whose connection the fault holds gets no answer, whatever its deadline.
    answered = [each for each in observed.sent if each.status or not observed.may_cut]
    late = [each for each in answered if each.seconds > each.deadline + slack]
    worst = max((each.seconds - each.deadline for each in answered), default=0.0)
    return not late, f"{len(late)} late of {len(answered)}; the latest {worst:+.2f} s from its deadline"


def _latency(parameters: Mapping[str, object], observed: Observed) -> tuple[bool, str]:
    found = quantile(
        (each.seconds for each in _of(parameters, observed) if each.is_good), cast(float, parameters["quantile"])
    )
    if found is None:
        return False, "no good answer"
    return found <= cast(float, parameters["at_most"]), f"{found:.3f} s"


def _ready(parameters: Mapping[str, object], observed: Observed) -> tuple[bool, str]:
    seen = observed.health.get(str(parameters["component"]), ())
    latest = {each.name: each for each in seen}
    unready = sorted(each.name for each in latest.values() if each.status != 200)
    return bool(latest) and not unready, f"not ready: {', '.join(unready)}" if unready else f"{len(latest)} ready"


def _degraded(parameters: Mapping[str, object], observed: Observed) -> tuple[bool, str]:
    seen = observed.health.get(str(parameters["component"]), ())
    reasons = {name: reason for each in seen for name, reason in each.degraded.items()}
    name = str(parameters["name"])
    return name in reasons, f"{name}: {reasons[name]}" if name in reasons else f"named were {sorted(reasons) or 'none'}"


def _status_seen(parameters: Mapping[str, object], observed: Observed) -> tuple[bool, str]:
    number = sum(each.status == parameters["status"] for each in _of(parameters, observed))
    return number > 0, f"{number} answers"


def _same_process(parameters: Mapping[str, object], observed: Observed) -> tuple[bool, str]:
    component = str(parameters["component"])
    before, after = observed.started.get(component, {}), observed.running.get(component, {})
    gone = sorted(name for name, identity in before.items() if after.get(name) != identity)
    return not gone, f"ended: {', '.join(gone)}" if gone else f"{len(before)} the same"


def _log(parameters: Mapping[str, object], observed: Observed) -> tuple[bool, str]:
    text = observed.log.get(str(parameters["component"]), "")
    if "has" in parameters and str(parameters["has"]) not in text:
        return False, f"{str(parameters['has'])!r} is not in the log"
    if "lacks" in parameters and str(parameters["lacks"]) in text:
        line = next(line for line in text.splitlines() if str(parameters["lacks"]) in line)
        return False, line[:200]
    return True, "as expected"


_EVALUATIONS: Mapping[str, Callable[[Mapping[str, object], Observed], tuple[bool, str]]] = {
    "goodput": _goodput,
    "failures": _failures,
    "statuses": _statuses,
    "problems": _problems,
    "deadlines": _deadlines,
    "latency": _latency,
    "ready": _ready,
    "degraded": _degraded,
    "status-seen": _status_seen,
    "same-process": _same_process,
    "log": _log,
}
