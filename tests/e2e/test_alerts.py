"""Alerts of real services with real causes: Prometheus, Alertmanager and a receiver, at a twentieth of their times.

`make staging` stages all of them, in real time.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.alerts.scenes import SCENES, Scene
from tests.alerts.staging import named
from tests.alerts.system import System, system

_FACTOR = 20.0
_CAUSES = ("vanished", "locked", "jammed")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with system(tmp_path_factory.mktemp("system"), factor=_FACTOR) as made:
        yield made


def test_a_client_alone_pages_nobody(place: System) -> None:
    began = time.monotonic()
    with ExitStack() as stack:
        for cause in (place.impatient_client, place.hasty_client, place.wrong_requests):
            stack.enter_context(cause())
        time.sleep(1.2 * named("CqoxErrorBudgetBurnsFast").within / _FACTOR)
    # They came, and so many that they would have been a page as failures of ours.
    count = 'sum(increase(http_server_request_duration_seconds_count{job="cqox-gateway",%s}[1m]))'
    for kind in ('http_response_status_code="504",error_type="ClientDeadline"', 'http_response_status_code="404"'):
        [sample] = place.watched.prometheus.query(count % kind)
        assert float(sample["value"][1]) > 10, kind  # type: ignore[index]
    assert place.watched.pages(began) == set(), place.watched.explain()


@pytest.mark.parametrize("scene", [each for each in SCENES if each.cause in _CAUSES], ids=lambda each: each.cause)
def test_an_alert_fires_in_time_names_its_runbook_and_resolves(place: System, scene: Scene) -> None:
    staged = scene.staged_in(place)
    assert [each.alert.name for each in staged] == list(scene.alerts)
    assert all(each.is_in_time for each in staged), staged
