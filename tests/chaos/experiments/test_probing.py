"""Each kind of probe holds and fails where it should."""

from typing import Any

import pytest

from cqox.chaos.experiments import PROBES, Fault, Probe, Target
from cqox.chaos.experiments.probing import Observed, evaluate, may_cut
from cqox.chaos.experiments.records import Sent
from cqox.chaos.experiments.system import Health
from tests.chaos.experiments.scripted import experiment


def sent(status: int = 200, seconds: float = 0.1, *, in_contract: bool = True, kind: str = "analysis") -> Sent:
    return Sent(
        kind=kind,
        begin=0.0,
        seconds=seconds,
        status=status,
        problem="" if status == 200 else "circuit-open",
        is_good=status == 200,
        deadline=4.0,
        in_contract=in_contract,
    )


def observed(*answers: Sent, **changes: Any) -> Observed:
    given: dict[str, Any] = {
        "sent": answers,
        "health": {"engine": [Health(name="engine-1", status=503, degraded={"disk": "it is full"})]},
        "log": {"engine": "one\ntwo Traceback\n"},
        "started": {"engine": {"engine-1": "7:1"}, "worker": {"worker-1": "8:1"}},
        "running": {"engine": {"engine-1": "7:1"}, "worker": {"worker-1": "9:2"}},
        "may_cut": False,
    }
    return Observed(**(given | changes))


SOME = (sent(), sent(), sent(), sent(503))


@pytest.mark.parametrize(
    ("kind", "parameters", "seen", "holds", "found"),
    [
        ("goodput", {"at_least": 0.75}, observed(*SOME), True, "0.750 of 4; 1 × 503 circuit-open"),
        ("goodput", {"at_least": 0.76}, observed(*SOME), False, "0.750"),
        ("goodput", {"at_least": 0.0}, observed(), False, "no request"),
        ("goodput", {"at_least": 1.0, "of": "job"}, observed(*SOME, sent(kind="job")), True, "1.000 of 1; no failure"),
        ("failures", {"at_most": 1}, observed(*SOME), True, "1 of 4"),
        ("failures", {"at_most": 0}, observed(*SOME), False, "1 of 4"),
        ("statuses", {}, observed(*SOME), True, "3 × 200, 1 × 503"),
        ("statuses", {}, observed(sent(418, in_contract=False)), False, "unexpected"),
        ("statuses", {}, observed(sent(0)), False, "unexpected"),
        ("statuses", {}, observed(sent(0), may_cut=True), True, "1 × 0"),
        ("statuses", {"only": "200"}, observed(*SOME), False, "503"),
        ("statuses", {"only": "200 503"}, observed(*SOME), True, "3 × 200"),
        ("problems", {"only": "circuit-open"}, observed(*SOME), True, "1 × circuit-open"),
        ("problems", {"only": "store-unavailable"}, observed(*SOME), False, "unexpected: circuit-open"),
        ("problems", {"only": "store-unavailable"}, observed(sent()), True, "none"),
        ("deadlines", {"slack": 2.0}, observed(sent(504, 5.9)), True, "+1.90 s"),
        ("deadlines", {"slack": 2.0}, observed(sent(504, 6.1)), False, "1 late of 1"),
        ("latency", {"quantile": 0.5, "at_most": 0.2}, observed(sent(), sent(seconds=3.0)), True, "0.100 s"),
        ("latency", {"quantile": 1.0, "at_most": 0.2}, observed(sent(), sent(seconds=3.0)), False, "3.000 s"),
        ("latency", {"quantile": 1.0, "at_most": 0.2}, observed(sent(503)), False, "no good answer"),
        ("ready", {"component": "engine"}, observed(), False, "engine-1"),
        ("ready", {"component": "gateway"}, observed(), False, "0 ready"),
        (
            "ready",
            {"component": "engine"},
            observed(health={"engine": [Health(name="e", status=200)]}),
            True,
            "1 ready",
        ),
        ("degraded", {"component": "engine", "name": "disk"}, observed(), True, "it is full"),
        ("degraded", {"component": "engine", "name": "cache"}, observed(), False, "disk"),
        ("status-seen", {"status": 503}, observed(*SOME), True, "1 answers"),
        ("status-seen", {"status": 507}, observed(*SOME), False, "0 answers"),
        ("same-process", {"component": "engine"}, observed(), True, "1 the same"),
        ("same-process", {"component": "worker"}, observed(), False, "worker-1"),
        ("log", {"component": "engine", "has": "two"}, observed(), True, "as expected"),
        ("log", {"component": "engine", "has": "three"}, observed(), False, "'three' is not in the log"),
        ("log", {"component": "engine", "lacks": "Traceback"}, observed(), False, "two Traceback"),
    ],
)
def test_a_probe_holds_or_fails_and_says_what_it_found(
    kind: str, parameters: dict[str, Any], seen: Observed, holds: bool, found: str
) -> None:
    (result,) = evaluate("during", [Probe(kind=kind, parameters=parameters)], seen)
    assert (result.phase, result.holds) == ("during", holds)
    assert found in result.found
    assert result.probe.startswith(kind)


def test_every_kind_of_probe_can_be_evaluated() -> None:
    parameters = {"at_least": 1.0, "at_most": 1, "slack": 1.0, "quantile": 0.5, "component": "engine", "name": "x"}
    parameters["only"] = "200"
    for kind in PROBES:
        evaluate("after", [Probe(kind=kind, parameters={**parameters, "status": 200})], observed(sent()))


def test_clients_may_be_cut_off_only_by_a_fault_between_them_and_the_gateway() -> None:
    assert not may_cut(experiment())
    target = Target(source="client", component="gateway")
    assert may_cut(experiment(faults=(Fault(kind="network-reset", target=target, seconds=1),)))
    assert may_cut(experiment(faults=(Fault(kind="process-kill", target=Target(component="gateway"), seconds=1),)))
