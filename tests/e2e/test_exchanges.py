"""Each client is given the answer to its own request, or none, whatever lies between gateway and engine."""

import gzip
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from services.http.request.digests import content_digest
from tests.e2e.stack import Service
from tests.servers.liar import FAULTS, Liar
from tests.servers.ports import free_port

ANALYZE = "/api/analyze/comprehensive"
ASKED = 336


def asking(seed: int) -> dict[str, object]:
    return {
        "dataset_id": "test",
        "mapping": {"y": "y", "treatment": "w", "unit_id": "id"},
        "options": {"seed": seed, "estimators": ["difference_in_means"]},
    }


def service(name: str, folder: Path, **more: str) -> Service:
    port = free_port()
    variables = {"CQOX_DATA_DIR": str(folder / "data"), f"CQOX_{name.upper()}_PORT": str(port), **more}
    made = Service(name, port, variables, folder / f"{name}.log")
    made.start()
    return made


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Service]:
    made = service("engine", tmp_path)
    try:
        made.wait_ready()
        yield made
    finally:
        made.kill()


type Check = Callable[[httpx.Response], bool]
"""Returns whether a response that is no 5xx is the right answer."""


def is_right(check: Check, got: httpx.Response) -> bool:
    try:
        return check(got)
    except (KeyError, ValueError):
        return False


def analysis(seed: int) -> tuple[httpx.Request, Check]:
    request = httpx.Request("POST", ANALYZE, json=asking(seed))
    return request, lambda got: got.status_code == 200 and got.json()["provenance"]["seed"] == seed


def streamed(seed: int) -> tuple[httpx.Request, Check]:
    request = httpx.Request("POST", ANALYZE, json=asking(seed), headers={"Accept": "text/event-stream"})

    def check(got: httpx.Response) -> bool:
        last = got.text.rstrip().split("\n\n")[-1]
        if "event: failed" in last:
            return got.status_code == 200
        report = json.loads(last.partition("data: ")[2])
        return got.status_code == 200 and report["provenance"]["seed"] == seed

    return request, check


def nothing(number: int) -> tuple[httpx.Request, Check]:
    path = f"/api/analyses/{number:032x}"
    return httpx.Request("GET", path), lambda got: got.status_code == 404 and got.json()["instance"] == path


def upload(number: int, *, form: bool) -> tuple[httpx.Request, Check]:
    content = f"id,y{number}\n".encode() + b"".join(b"%d,%d\n" % (row, row * number) for row in range(200))
    if form:
        request = httpx.Request("POST", "/api/datasets", files={"file": (f"{number}.csv", content)})
    else:
        request = httpx.Request("POST", f"/api/datasets?name={number}.csv", content=content)

    def check(got: httpx.Response) -> bool:
        reported = got.json()
        names = [column["name"] for column in reported["columns"]]
        return (got.status_code, reported["rows"], names) == (201, 200, ["id", f"y{number}"])

    return request, check


def stored(engine: Service) -> list[tuple[httpx.Request, Check]]:
    """Reads of what is there, each with what the engine says without anybody between."""
    with httpx.Client(base_url=engine.url, timeout=60, trust_env=False) as client:
        reports = [client.post(ANALYZE, json=asking(seed)).json() for seed in range(3)]
        figures = [(url, client.get(url).content) for report in reports for url in list(report["figures"].values())[:1]]

    def report_like(reported: dict) -> Check:
        return lambda got: got.status_code == 200 and got.json()["analysis_id"] == reported["analysis_id"]

    def equal(content: bytes) -> Check:
        return lambda got: got.status_code == 200 and got.content == content

    reads = [(httpx.Request("GET", f"/api/analyses/{one['analysis_id']}"), report_like(one)) for one in reports]
    return reads + [(httpx.Request("GET", url), equal(content)) for url, content in figures]


def questions(engine: Service) -> list[tuple[httpx.Request, Check]]:
    reads, made = stored(engine), []
    for number in range(ASKED):
        made.append(
            [
                lambda number: analysis(1000 + number),
                lambda number: reads[number % len(reads)],
                nothing,
                lambda number: upload(number, form=number % 2 == 0),
                lambda number: reads[number // 2 % len(reads)],
                lambda number: streamed(5000 + number),
            ][number % 6](number)
        )
    return made


def ask_all(url: str, asked: list[tuple[httpx.Request, Check]]) -> tuple[Counter[str], list[str]]:
    """Send all of them; return counts of their outcomes, and wrong answers."""
    found, wrong, lock = Counter[str](), list[str](), threading.Lock()

    def ask(number: int) -> None:
        request, check = asked[number]
        # All clients choose the same request id.
        headers = {**request.headers, "x-request-id": "mine"}
        headers.pop("host", None)
        try:
            with httpx.Client(base_url=url, timeout=120, trust_env=False) as client:
                got = client.request(request.method, str(request.url), content=request.content, headers=headers)
        except httpx.RemoteProtocolError:
            with lock:
                found["cut"] += 1
            return
        with lock:
            found["failed" if got.status_code >= 500 else "answered"] += 1
            if got.status_code < 500 and not is_right(check, got):
                wrong.append(f"{request.method} {request.url} {got.status_code} {got.content[:200]!r}")

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(ask, range(len(asked))))
    return found, wrong


@pytest.mark.timeout(600)
def test_nobody_is_given_what_was_meant_for_another(engine: Service, tmp_path: Path) -> None:
    liar = Liar(engine.port, share=0.1, seed=14)
    gateway = service("gateway", tmp_path, ENGINE_URL=f"http://127.0.0.1:{liar.port}")
    try:
        gateway.wait_ready()
        found, wrong = ask_all(gateway.url, questions(engine))
    finally:
        gateway.kill()
        liar.close()
    assert wrong == []
    assert found.total() == ASKED
    # The faults were real, and most clients were served all the same.
    assert set(liar.done) == set(FAULTS)
    assert found["answered"] > ASKED * 0.7, (found, liar.done)
    assert "the connection is closed" in gateway.log


def test_a_body_that_nobody_reads_is_no_failure_of_the_engine(api: httpx.Client) -> None:
    for _ in range(6):
        assert api.request("GET", "/api/datasets", content=b"{}").status_code == 200
        gone = api.request("DELETE", "/api/datasets/none", content=b"{}")
        assert (gone.status_code, gone.json()["type"]) == (404, "not-found")


def test_a_client_can_check_what_it_was_given_and_have_checked_what_it_sent(api: httpx.Client) -> None:
    answer = api.get("/api/datasets/test", headers={"Accept-Encoding": "identity"})
    assert answer.headers["Content-Digest"] == content_digest(answer.content)
    with api.stream("GET", "/api/datasets/test", headers={"Accept-Encoding": "gzip"}) as packed:
        content = b"".join(packed.iter_raw())
    assert packed.headers["Content-Digest"] == content_digest(content)
    assert gzip.decompress(content) == answer.content
    assert "Content-Digest" not in api.head("/api/datasets/test").headers
    assert not any(name.startswith("x-cqox") for name in answer.headers)
    wrong = api.post(ANALYZE, json=asking(1), headers={"Content-Digest": content_digest(b"another")})
    assert (wrong.status_code, wrong.json()["type"]) == (400, "content-digest-mismatch")


@pytest.mark.parametrize("coding", ["identity", "gzip", "zstd"])
def test_a_client_that_keeps_reports_and_figures_gets_none_that_it_has(api: httpx.Client, coding: str) -> None:
    report = api.post(ANALYZE, json=asking(1)).json()
    path = f"/api/analyses/{report['analysis_id']}"
    for each in (path, next(iter(report["figures"].values())), f"{path}/export.csv"):
        headers = {"Accept-Encoding": coding}
        first = api.get(each, headers=headers)
        assert first.status_code == 200
        again = api.get(each, headers={**headers, "If-None-Match": first.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
        for name in ("ETag", "Cache-Control"):
            assert again.headers[name] == first.headers[name]
        assert again.headers.get_list("Vary") == first.headers.get_list("Vary")
        assert not again.headers.keys() & {"content-length", "content-type", "content-digest", "content-encoding"}
        head = api.head(each, headers=headers)
        assert head.headers["ETag"] == first.headers["ETag"]
        # A report has the trace id of its request.
        assert head.headers["Content-Length"] == first.headers["Content-Length"] or each == path
        other = api.get(f"{each}?lang=ja", headers={**headers, "If-None-Match": first.headers["ETag"]})
        # A table of numbers is the same in every language.
        assert other.status_code == (200 if "export" not in each else other.status_code)
