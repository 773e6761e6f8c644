"""A data directory as real processes leave it under the usual umask: closed to other users, and so after a restore."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.stack import Stack
from tests.waiting import wait_until

ANALYSIS = {"mapping": {"y": "y", "treatment": "w"}}
ROWS = "y,w\n" + "\n".join(f"{number % 7 + number % 2}.5,{number % 2}" for number in range(200)) + "\n"


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def open_to_others(root: Path) -> dict[str, str]:
    found = {}
    for path in [root, *root.rglob("*")]:
        try:
            mode = path.lstat().st_mode & 0o7777
        except FileNotFoundError:
            continue
        if mode & 0o077:
            found[str(path.relative_to(root))] = oct(mode)
    return found


def work(stack: Stack) -> None:
    """Upload, analyse, draw, and run a job."""
    with stack.client() as client:
        uploaded = client.post("/api/datasets", params={"name": "mine.csv"}, content=ROWS.encode())
        assert uploaded.status_code == 201, uploaded.text
        request = {"dataset_id": uploaded.json()["dataset_id"], **ANALYSIS}
        report = client.post("/api/analyze/comprehensive", json=request)
        assert report.status_code == 200, report.text
        for url in report.json()["figures"].values():
            assert client.get(url).status_code == 200
        later = request | {"options": {"seed": 7}}
        job = client.post("/api/analyze/comprehensive", json=later, headers={"Prefer": "respond-async"})
        assert job.status_code == 202, job.text
        address = job.headers["Location"]
        wait_until(lambda: client.get(address).json()["status"] != "running")


def test_data_are_private_as_they_are_made_and_after_they_were_restored(own_stack: Stack, tmp_path: Path) -> None:
    data = tmp_path / "data"
    for service in (own_stack.engine, own_stack.gateway):
        service.start()
    for service in (own_stack.engine, own_stack.gateway):
        service.wait_ready()
    work(own_stack)
    assert {path.name.partition("-")[0] for path in data.iterdir()} >= {"datasets", "figures", "results.sqlite"}
    assert open_to_others(data) == {}
    assert own_stack.engine.stop() == 0

    # As an older version made it, or `cp` and `tar` put it back.
    for path in [data, *data.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    own_stack.engine.start()
    own_stack.engine.wait_ready()
    assert data.stat().st_mode & 0o7777 == 0o700
    wait_until(lambda: not open_to_others(data), failure=lambda: open_to_others(data))
    assert own_stack.engine.stop() == 0
    assert open_to_others(data) == {}
    assert "other users" not in own_stack.engine.log
