import json

import pytest

from cqox.chaos.rendering.checks import SteadyStateMissing
from cqox.chaos.rendering.toolkit import toolkit_experiment
from tests.chaos.rendering.examples import ALL, experiment, fault


def made(*faults, **changes) -> dict:
    return toolkit_experiment(experiment(*faults, **changes), "a mark")


def requests(activities: list[dict]) -> list[str]:
    found = []
    for each in activities:
        arguments = each["provider"]["arguments"]
        found.append(" ".join(arguments[5 : arguments.index("--state")]))
    return found


def test_the_hypothesis_is_the_steady_state_and_every_promise() -> None:
    hypothesis = made()["steady-state-hypothesis"]
    assert requests(hypothesis["probes"]) == ["steady", "promises"]
    assert [each["tolerance"] for each in hypothesis["probes"]] == [0, 0]


def test_faults_begin_and_end_in_the_order_of_time() -> None:
    first = fault("network-loss", "gateway->engine", percent=1.0, seconds=4)
    second = fault("network-duplicate", "gateway->engine", percent=1.0, seconds=4, begin=4.5)
    over = fault("process-kill", "engine", seconds=6, begin=1)
    method = made(first, second, over)["method"]
    assert requests(method) == [
        "break 1",
        "break 3",
        "mend 1",
        "break 2",
        "mend 3",
        "mend 2",
        "healed",
        "acknowledged",
    ]
    pauses = [each.get("pauses", {}).get("after", 0) for each in method]
    assert pauses == [1.0, 3.0, 0.5, 2.5, 1.5, 0, 0, 0]


def test_a_fault_that_is_over_at_once_ends_after_it_has_begun() -> None:
    assert requests(made(fault("cache-flush", "redis", seconds=0))["method"])[:2] == ["break 1", "mend 1"]


def test_every_experiment_names_its_own_system_and_takes_every_fault_away() -> None:
    for each in ALL:
        document = toolkit_experiment(each, "a mark")
        (control,) = document["controls"]
        assert control["provider"]["arguments"] == {"name": each.name}
        assert requests(document["rollbacks"]) == ["mend"]
        activities = [*document["method"], *document["rollbacks"], *document["steady-state-hypothesis"]["probes"]]
        assert {activity["provider"]["arguments"][4] for activity in activities} == {each.name}
        assert sum("break" in request for request in requests(document["method"])) == len(each.faults)
        assert json.loads(json.dumps(document)) == document


def test_without_a_steady_state_nothing_is_rendered() -> None:
    with pytest.raises(SteadyStateMissing):
        made(steady=())
