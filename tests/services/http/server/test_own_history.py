"""A service keeps samples of its own metrics, and only those that a panel asks for."""

from collections.abc import Callable

import pytest
import trio
import trio.testing

from cqox import clock
from cqox.dashboards.history import History
from services.config.settings import Settings
from services.http.server import own_history
from services.http.server.app import App
from services.http.server.own_history import own_labels, remember_samples

LABELS = {"job": "cqox-engine", "instance": "here:1"}


@pytest.mark.trio
async def test_samples_are_added_every_few_seconds_with_the_labels_of_the_process(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    history, asked = History(), 0

    def samples() -> list[tuple[str, dict[str, str], float]]:
        nonlocal asked
        asked += 1
        return [("cqox_timeouts_total", {"policy": "a"}, float(asked)), ("python_info", {}, 1.0)]

    async def at_once(func: Callable[..., None], *args: object, limiter: object) -> None:
        func(*args)

    # The clock of the test would not wait for a thread.
    monkeypatch.setattr(own_history, "run_in_thread", at_once)
    monkeypatch.setattr(clock, "wall_time", lambda: 1000.0 + autojump_clock.current_time())
    with trio.move_on_after(35):
        await remember_samples(history, samples, LABELS)
    times, [column] = history.read("cqox_timeouts_total", 0.0, 1e9)
    assert list(column.values) == [1.0, 2.0, 3.0, 4.0]
    assert times[1] - times[0] == pytest.approx(10)
    assert column.labels == {"policy": "a", **LABELS}
    assert [each.labels for each in history.read("up", 0.0, 1e9)[1]] == [LABELS]
    assert history.read("python_info", 0.0, 1e9)[1] == []


def test_a_process_has_the_job_of_its_service_and_an_instance_by_its_port() -> None:
    app = App(__name__, title="Gateway", settings=Settings(gateway_port=8123))
    labels = own_labels(app)
    assert labels["job"] == "cqox-gateway"
    assert labels["instance"].endswith(":8123")
