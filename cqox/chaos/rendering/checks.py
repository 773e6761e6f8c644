"""Status checks of a Chaos Mesh workflow: what a probe of an experiment is where only statuses can be compared."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from cqox.chaos.experiments.experiment import Experiment, Probe
from cqox.chaos.rendering.cluster import PODS, Cluster
from cqox.chaos.rendering.mesh_faults import seconds_text
from cqox.errors import CqoxError

__all__ = ["Check", "SteadyStateMissing", "during_check", "steady_checks"]

ANALYSIS: Mapping[str, object] = {
    "dataset_id": "test",
    "mapping": {"y": "y", "treatment": "w", "unit_id": "id", "covariates": ["x1", "x2", "x3", "x4"]},
    "options": {"seed": 1, "estimators": ["difference_in_means"]},
}
"""An analysis of the built-in sample."""

_DEADLINE_SECONDS = 8
_INTERVAL_SECONDS = 1
_CONSECUTIVE = 3
"""Failures in a row that fail a check during faults, and successes in a row that pass one after them."""

_OF_ANALYSES = ("goodput", "failures", "latency", "status-seen")
_HALF = 0.5


class SteadyStateMissing(CqoxError):
    """An experiment has no steady state that a status check can compare, so that nothing of it is rendered.

    Attributes:
        name: the experiment.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"{name}: its steady state has no probe that a status of an answer can decide")


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A request that is repeated, and the statuses that pass.

    Attributes:
        name: one word, such as `analysis`.
        component: the part whose service is asked.
        statuses: one status, or a range `200-599`.
    """

    name: str
    component: str
    statuses: str

    def before(self, cluster: Cluster, seconds: float) -> dict[str, object]:
        """Return the fields of a template that passes once the check has passed for some seconds without a break."""
        successes = max(1, math.ceil(seconds / _INTERVAL_SECONDS))
        return self._once(cluster, seconds=2 * seconds + _DEADLINE_SECONDS, successes=successes)

    def after(self, cluster: Cluster, seconds: float) -> dict[str, object]:
        """Return the fields of a template that passes if the check passes three times in a row in time."""
        return self._once(cluster, seconds=seconds + _CONSECUTIVE * _INTERVAL_SECONDS, successes=_CONSECUTIVE)

    def during(self, cluster: Cluster, seconds: float) -> dict[str, object]:
        """Return the fields of a template that fails as soon as the check has failed three times in a row."""
        return self._template(
            cluster, seconds, {"mode": "Continuous", "failureThreshold": _CONSECUTIVE, "successThreshold": 1}
        )

    def _once(self, cluster: Cluster, *, seconds: float, successes: int) -> dict[str, object]:
        # It is the deadline that fails it: one more failure than fit in.
        failures = math.ceil(seconds / _INTERVAL_SECONDS) + 1
        thresholds = {"mode": "Synchronous", "failureThreshold": failures, "successThreshold": successes}
        return self._template(cluster, seconds, thresholds)

    def _template(self, cluster: Cluster, seconds: float, thresholds: Mapping[str, object]) -> dict[str, object]:
        return {
            "templateType": "StatusCheck",
            "deadline": seconds_text(seconds),
            "abortWithStatusCheck": True,
            "statusCheck": {
                "type": "HTTP",
                **thresholds,
                "intervalSeconds": _INTERVAL_SECONDS,
                "timeoutSeconds": _DEADLINE_SECONDS + 2,
                "http": self._request(cluster),
            },
        }

    def _request(self, cluster: Cluster) -> dict[str, object]:
        criteria = {"statusCode": self.statuses}
        if self.name != "analysis":
            return {"url": cluster.url(self.component, "/health/ready"), "method": "GET", "criteria": criteria}
        return {
            "url": cluster.url(self.component, "/api/analyze/comprehensive"),
            "method": "POST",
            "headers": {
                "Content-Type": ["application/json"],
                "X-Request-Timeout-Ms": [str(_DEADLINE_SECONDS * 1000)],
            },
            "body": json.dumps(ANALYSIS, separators=(",", ":")),
            "criteria": criteria,
        }


def steady_checks(experiment: Experiment) -> tuple[Check, ...]:
    """Return the checks of a steady state, at least one.

    Raises:
        SteadyStateMissing: it has none, or none that a status can decide.
    """
    probes = experiment.steady_state.probes
    found = [
        Check(name=f"{component}-ready", component=component, statuses="200")
        for component in PODS
        if any(each.kind == "ready" and each.parameters["component"] == component for each in probes)
    ]
    if any(each.kind in _OF_ANALYSES for each in probes):
        found.append(Check(name="analysis", component="gateway", statuses="200"))
    if not found:
        raise SteadyStateMissing(experiment.name)
    return tuple(found)


def during_check(experiment: Experiment) -> Check:
    """Return what must hold while the faults last.

    Analyses are answered where the experiment promises that; else they get at least a status; and where the fault takes
    the gateway itself away, the engines stay ready.
    """
    if _promises_analyses(experiment.during):
        return Check(name="analysis", component="gateway", statuses="200")
    if any(fault.target.component == "gateway" for fault in experiment.faults):
        return Check(name="engine-ready", component="engine", statuses="200")
    return Check(name="analysis", component="gateway", statuses="200-599")


def _promises_analyses(probes: Sequence[Probe]) -> bool:
    return any(
        probe.kind == "goodput"
        and probe.parameters.get("of", "analysis") == "analysis"
        and cast(float, probe.parameters["at_least"]) >= _HALF
        for probe in probes
    )
