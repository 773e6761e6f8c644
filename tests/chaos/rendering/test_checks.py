import json

import pytest

from cqox.chaos.experiments import Probe
from cqox.chaos.rendering.checks import Check, SteadyStateMissing, during_check, steady_checks
from cqox.chaos.rendering.cluster import Cluster
from tests.chaos.rendering.examples import GOODPUT, READY, STATUSES, experiment, fault

CLUSTER = Cluster()
ANALYSIS = Check(name="analysis", component="gateway", statuses="200")


def test_a_steady_state_is_readiness_and_an_analysis() -> None:
    found = steady_checks(experiment())
    assert [(each.name, each.component, each.statuses) for each in found] == [
        ("gateway-ready", "gateway", "200"),
        ("analysis", "gateway", "200"),
    ]
    engines = Probe(kind="ready", parameters={"component": "engine"})
    assert [each.name for each in steady_checks(experiment(steady=(engines,)))] == ["engine-ready"]


@pytest.mark.parametrize("probes", [(), (Probe(kind="log", parameters={"component": "engine", "lacks": "x"}),)])
def test_what_no_status_decides_is_no_steady_state(probes: tuple[Probe, ...]) -> None:
    with pytest.raises(SteadyStateMissing) as refused:
        steady_checks(experiment(steady=probes))
    assert refused.value.name == "engine-killed"


def test_during_faults_analyses_are_answered_where_that_is_promised() -> None:
    assert during_check(experiment(during=(STATUSES, GOODPUT))) == ANALYSIS
    of_stored = Probe(kind="goodput", parameters={"at_least": 0.9, "of": "stored"})
    little = Probe(kind="goodput", parameters={"at_least": 0.1})
    assert during_check(experiment(during=(of_stored, little))).statuses == "200-599"


def test_during_faults_of_the_gateway_the_engines_stay_ready() -> None:
    found = during_check(experiment(fault("process-kill", "gateway")))
    assert (found.component, found.statuses) == ("engine", "200")


def test_before_faults_it_passes_only_after_as_many_seconds_as_the_steady_state_has() -> None:
    made = ANALYSIS.before(CLUSTER, 4.0)
    assert made["statusCheck"]["mode"] == "Synchronous"
    assert made["statusCheck"]["successThreshold"] == 4


def test_after_faults_the_deadline_fails_it_and_no_number_of_failures() -> None:
    made = ANALYSIS.after(CLUSTER, 20.0)
    assert made["deadline"] == "23s"
    assert made["statusCheck"]["failureThreshold"] > 23
    assert made["statusCheck"]["successThreshold"] == 3
    assert made["abortWithStatusCheck"] is True


def test_during_faults_three_failures_in_a_row_end_it() -> None:
    made = ANALYSIS.during(CLUSTER, 6.0)
    assert (made["statusCheck"]["mode"], made["statusCheck"]["failureThreshold"], made["deadline"]) == (
        "Continuous",
        3,
        "6s",
    )


def test_an_analysis_is_one_of_the_built_in_sample_within_a_deadline() -> None:
    request = ANALYSIS.during(CLUSTER, 6.0)["statusCheck"]["http"]
    assert (request["method"], json.loads(request["body"])["dataset_id"]) == ("POST", "test")
    assert request["headers"]["X-Request-Timeout-Ms"] == ["8000"]
    assert READY.parameters["component"] in request["url"]
