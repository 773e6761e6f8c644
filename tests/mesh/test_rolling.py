"""Every engine and every gateway is replaced while requests come in, and none fails."""

import itertools
import time

import httpx
import pytest

from tests.deploy.chart.rendering import environment, pods
from tests.mesh.load import under_load
from tests.mesh.system import Mesh, Workload, open_mesh

_REQUESTS, _AFTERWARDS, _MOST = 10_000, 500, 100_000
_ROWS = b"id,w,y\n" + b"".join(b"%d,%d,%d\n" % (row, row % 2, row % 7 + 2 * (row % 2)) for row in range(200))
_MAPPING = {"y": "y", "treatment": "w", "unit_id": "id"}


@pytest.mark.timeout(600)
def test_engines_and_gateways_are_replaced_under_load_without_a_failed_request(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with open_mesh(tmp_path_factory.mktemp("mesh")) as mesh:
        release = mesh.release()
        engines = [mesh.start(release, "engine") for _ in range(2)]
        gateways = [mesh.start(release, "gateway") for _ in range(2)]
        client = mesh.client()
        mesh.ready(*engines, *gateways)
        http = mesh.http(client)
        with client.pod.inside():
            stored = http.post("/api/datasets?name=rows", content=_ROWS, headers={"Content-Type": "text/csv"})
        assert stored.status_code == 201, stored.text
        body = {"dataset_id": stored.json()["dataset_id"], "mapping": _MAPPING, "options": {}}

        def request(one: httpx.Client, number: int) -> httpx.Response:
            # Of a hundred requests one is a new analysis, eight are analyses that are stored, and one is an upload.
            if number % 100 == 50:
                content = _ROWS + b"%d,0,1\n" % (1000 + number)
                headers = {"Content-Type": "text/csv"}
                return one.post(f"/api/datasets?name=rows-{number}", content=content, headers=headers)
            if number % 10 == 0:
                asked = {**body, "options": {"seed": number if number % 100 == 0 else 0}}
                return one.post("/api/analyze/comprehensive", json=asked)
            return one.get("/api/datasets" if number % 2 else "/api/estimators")

        begun = time.monotonic()
        with under_load(mesh, client, request, most=_MOST) as load:
            replaced = _replace(mesh, engines, gateways)
            during = load.answered
            # However fast the machine is, the load outlasts the replacement.
            load.stop_after(max(_REQUESTS, during + _AFTERWARDS))
        seconds = time.monotonic() - begun
        print(
            f"{replaced} pods replaced during {during} of {load.answered} requests in {seconds:.0f} s; "
            f"slowest {load.slowest:.1f} s"
        )
        assert _REQUESTS <= load.answered < _MOST
        assert load.answered >= during + _AFTERWARDS
        assert {status: count for status, count in load.statuses.items() if status not in (200, 201)} == {}, (
            load.failures
        )


def _replace(mesh: Mesh, engines: list[Workload], gateways: list[Workload]) -> int:
    """Replace each pod as the Deployment does: one more before one fewer."""
    release = engines[0].release
    [pause] = {
        pods(release.documents)[part]["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
        for part in ("engine", "gateway")
    }
    assert environment(pods(release.documents)["engine"])["CQOX_DRAIN_DELAY"] == "0"
    replaced = 0
    for before in itertools.chain(*zip(engines, gateways, strict=True)):
        after = mesh.start(release, before.component)
        mesh.ready(after)
        assert mesh.end(before, pre_stop=pause) == 0
        replaced += 1
    return replaced
