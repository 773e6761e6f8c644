"""Experiments of Chaos Toolkit that call the parts of our own runner on a system that they start themselves."""

from collections.abc import Mapping

from cqox.chaos.experiments.experiment import Experiment
from cqox.chaos.rendering.checks import SteadyStateMissing

__all__ = ["toolkit_experiment"]

_STATE = "${state}"
_START_OR_END_SECONDS = 60.0
_ACKNOWLEDGED_SECONDS = 180.0
_VERSION = "1.0.0"


def toolkit_experiment(experiment: Experiment, mark: str) -> dict[str, object]:
    """Return an experiment of Chaos Toolkit.

    Its hypothesis is checked before and after: the steady state, and that every promise was kept so far, among them
    those of the time of the faults, which Chaos Toolkit itself compares with nothing.

    Args:
        experiment: the experiment.
        mark: a sentence that says how the file was made.

    Raises:
        SteadyStateMissing: it has no steady state.
    """
    steady = experiment.steady_state
    if not steady.probes:
        raise SteadyStateMissing(experiment.name)
    return {
        "version": _VERSION,
        "title": experiment.title.en,
        "description": f"{experiment.hypothesis.en} {mark}",
        "tags": ["cqox", *dict.fromkeys(fault.kind for fault in experiment.faults)],
        "configuration": {
            "state": {
                "type": "env",
                "key": "CHAOS_STATE",
                "default": f"build/chaos/toolkit/{experiment.name}.state.json",
            }
        },
        "controls": [
            {
                "name": "system",
                "provider": {
                    "type": "python",
                    "module": "cqox.chaos.toolkit.control",
                    "arguments": {"name": experiment.name},
                },
            }
        ],
        "steady-state-hypothesis": {
            "title": experiment.hypothesis.en,
            "probes": [
                _probe(experiment, "steady", steady.seconds + _START_OR_END_SECONDS, tolerance=0),
                _probe(experiment, "promises", _START_OR_END_SECONDS, tolerance=0),
            ],
        },
        "method": [
            *_faults(experiment),
            _probe(experiment, "healed", experiment.after.healed_within + _START_OR_END_SECONDS),
            _probe(experiment, "acknowledged", _ACKNOWLEDGED_SECONDS),
        ],
        "rollbacks": [_activity(experiment, "action", "mend", _START_OR_END_SECONDS, name="mend all")],
    }


def _faults(experiment: Experiment) -> list[dict[str, object]]:
    """The begin and the end of each fault in the order of time, with pauses between them."""
    events = []
    for number, fault in enumerate(experiment.faults, 1):
        # At one time, faults end before others begin; one that is over at once ends after its own begin.
        events.append((fault.begin, 1, number, "break"))
        events.append((fault.begin + fault.seconds, 0 if fault.seconds else 1, number, "mend"))
    # Of one number, `break` comes before `mend` also by the alphabet.
    events.sort()
    activities = []
    for place, (when, _, number, word) in enumerate(events):
        activity = _activity(experiment, "action", word, _START_OR_END_SECONDS, fault=number)
        if place + 1 < len(events) and (pause := round(events[place + 1][0] - when, 3)) > 0:
            activity["pauses"] = {"after": pause}
        activities.append(activity)
    return activities


def _probe(experiment: Experiment, request: str, seconds: float, *, tolerance: int | None = None) -> dict[str, object]:
    return {
        **_activity(experiment, "probe", request, seconds),
        **({} if tolerance is None else {"tolerance": tolerance}),
    }


def _activity(
    experiment: Experiment, kind: str, request: str, seconds: float, *, fault: int | None = None, name: str = ""
) -> dict[str, object]:
    numbers = [] if fault is None else [str(fault)]
    arguments = ["-m", "cqox.chaos", "toolkit", "ask", experiment.name, request, *numbers, "--state", _STATE]
    provider: Mapping[str, object] = {
        "type": "process",
        # The first of the path is the one with CQOx.
        "path": "python",
        "arguments": arguments,
        "timeout": seconds,
    }
    return {"type": kind, "name": name or " ".join([request, *numbers]), "provider": provider}
