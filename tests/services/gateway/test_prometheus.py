"""The client of Prometheus: values by labels and times, and every way in which it can be away."""

import math

import httpx
import pytest
import trio
import trio.testing

from cqox.dashboards import Gauge, Match
from cqox.telemetry.metric_definitions import Series
from services.gateway.prometheus import Prometheus, PrometheusAway

LEVEL = Gauge(series=Series(name="level", kind="gauge", unit="1", meaning=""), by=("job",))
TIMES = [1000.0, 1010.0, 1020.0]
FOUND = {"metric": {"job": "cqox-gateway"}, "values": [[1000, "1.5"], [1020, "NaN"]]}


def answering(answer: httpx.Response, asked: list[httpx.Request] | None = None) -> Prometheus:
    def handle(request: httpx.Request) -> httpx.Response:
        if asked is not None:
            asked.append(request)
        return answer

    return Prometheus("http://prometheus:9090/", transport=httpx.MockTransport(handle))


def good(*result: object) -> httpx.Response:
    return httpx.Response(200, json={"status": "success", "data": {"resultType": "matrix", "result": list(result)}})


@pytest.mark.trio
async def test_values_are_at_their_times_and_what_is_absent_is_nan() -> None:
    asked: list[httpx.Request] = []
    where = (Match(label="instance", how="=", value="a:1"),)
    found = await answering(good(FOUND), asked).values(LEVEL, TIMES, window=60.0, where=where)
    assert found[("cqox-gateway",)] == pytest.approx([1.5, math.nan, math.nan], nan_ok=True)
    [request] = asked
    assert str(request.url) == "http://prometheus:9090/api/v1/query_range"
    body = httpx.QueryParams(request.content.decode())
    assert body["query"] == 'sum by (job) (level{job=~"cqox-.*", instance="a:1"})'
    assert (body["start"], body["end"], body["step"]) == ("1000.000", "1020.000", "10.000")


@pytest.mark.trio
@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(503, text="starting"),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json=[]),
        httpx.Response(422, json={"status": "error", "error": "bad query"}),
        httpx.Response(200, json={"status": "success", "data": {"result": "none"}}),
        httpx.Response(200, content=b" " * (9 * 2**20)),
    ],
    ids=["503", "page", "list", "error", "text", "large"],
)
async def test_an_answer_that_cannot_be_used_is_an_absence(answer: httpx.Response) -> None:
    with pytest.raises(PrometheusAway):
        await answering(answer).values(LEVEL, TIMES, window=60.0)


@pytest.mark.trio
async def test_one_that_never_answers_is_given_up_and_then_left_alone(autojump_clock: trio.testing.MockClock) -> None:
    asked = 0

    class Silent(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            nonlocal asked
            asked += 1
            await trio.sleep_forever()
            raise AssertionError

    prometheus = Prometheus("http://prometheus:9090", transport=Silent())
    began = trio.current_time()
    for _ in range(5):
        with pytest.raises(PrometheusAway):
            await prometheus.values(LEVEL, TIMES, window=60.0)
    assert asked == 3
    assert trio.current_time() - began == pytest.approx(9.0, abs=0.5)
