"""The crawler as a process, with hosts on loopback that are down, hang, are busy or answer."""

import json
from pathlib import Path

from tests.examples.processes import running
from tests.resilience.adapters.scripted_server import DROP, HANG, Answer, refusing, serving
from tests.waiting import wait_until


def pages(url: str, count: int) -> list[str]:
    return [f"{url}/{number}" for number in range(count)]


def test_a_host_that_hangs_does_not_hold_up_the_pages_of_the_others(tmp_path: Path) -> None:
    with (
        serving(HANG, HANG) as stuck,
        serving() as well,
        running(
            tmp_path, "crawler.py", *pages(stuck.url, 3), *pages(well.url, 5), "--attempt-seconds", "60"
        ) as crawler,
    ):
        wait_until(lambda: len(well.requests) == 5 and stuck.requests, failure=crawler.log)
        assert len(stuck.requests) == 1
        stuck.ended.set()  # it closes its connections
        assert crawler.ended() == 0, crawler.log()
        report = json.loads(crawler.printed())
    assert report == {"got": dict.fromkeys([*pages(stuck.url, 3), *pages(well.url, 5)], 4), "left_out": {}}


def test_circuits_are_of_one_host_and_a_busy_host_is_asked_again_when_it_said(tmp_path: Path) -> None:
    busy_answer = Answer(503, headers={"Retry-After": "1"})
    with serving(busy_answer) as busy, serving(*[DROP] * 100) as down, refusing() as away:
        urls = [*pages(down.url, 10), *pages(away, 10), *pages(busy.url, 3), "http://"]
        with running(tmp_path, "crawler.py", *urls) as crawler:
            assert crawler.ended() == 1, crawler.log()
            report = json.loads(crawler.printed())
    assert report["got"] == dict.fromkeys(pages(busy.url, 3), 4)
    assert busy.requests[1].at - busy.requests[0].at >= 1.0
    assert len(down.requests) == 6  # two pages of three attempts opened its circuit
    left_out = report["left_out"]
    assert not left_out.keys() & report["got"].keys()
    for url, error in ((down.url, "RemoteProtocolError"), (away, "ConnectError")):
        reasons = [left_out[page].partition(":")[0] for page in pages(url, 10)]
        assert reasons == [error] * 2 + ["CircuitOpen"] * 8
    assert left_out["http://"].startswith("UnsupportedProtocol")


def test_a_page_that_is_not_there_is_left_out_and_opens_no_circuit(tmp_path: Path) -> None:
    with serving(*[Answer(404)] * 5) as server, running(tmp_path, "crawler.py", *pages(server.url, 6)) as crawler:
        assert crawler.ended() == 1, crawler.log()
        report = json.loads(crawler.printed())
    assert report["left_out"] == dict.fromkeys(pages(server.url, 5), "status 404")
    assert list(report["got"]) == [f"{server.url}/5"]
