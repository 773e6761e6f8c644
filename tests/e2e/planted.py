"""Work of a client with planted words in all that it stores, and a search for them in files."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.e2e.stack import Stack
from tests.waiting import wait_until

__all__ = ["MAPPING", "PLANTED", "check_reading", "cqox_of", "found_in", "started", "timeless", "work"]

PLANTED = ("zanzibar", "quokka", "wombat", "axolotl", "numbat", "narwhal", "okapi")
"""Parts of a column name, of a level, of a title, of notes, of a file name, of another file name and of a new name."""

ROWS = "zanzibar_pay,got_quokka,age\n" + "".join(
    f"{5 + 2 * (number % 2) + number % 7 / 3:.3f},{'quokka' if number % 2 else 'none'},{20 + number % 41}\n"
    for number in range(400)
)
OF_A_PIECE = {"Content-Type": "application/offset+octet-stream"}
MAPPING = {"outcome": "zanzibar_pay", "treatment": "got_quokka", "covariates": ["age"]}


def work(client: httpx.Client) -> dict[str, object]:
    """Use whatever stores something; return the report."""
    uploaded = client.post("/api/datasets", params={"name": "numbat.csv"}, content=ROWS.encode())
    assert uploaded.status_code == 201, uploaded.text
    dataset_id = uploaded.json()["dataset_id"]
    in_pieces(client)
    asked = {"dataset_id": dataset_id, "mapping": MAPPING}
    assert client.post("/api/roles/infer", json={"dataset_id": dataset_id}).status_code == 200
    assert client.post("/api/analyze/preview", json=asked).status_code == 200
    answer = client.post("/api/analyze/comprehensive", json=asked)
    assert answer.status_code == 200, answer.text
    report: dict[str, object] = answer.json()
    figures = report["figures"]
    assert isinstance(figures, dict)
    for url in figures.values():
        assert client.get(url).status_code == 200
    notes = {"title": "The wombat question", "notes": "axolotl " * 100}
    annotation = f"/api/analyses/{report['analysis_id']}/annotation"
    assert client.patch(annotation, json=notes).status_code == 200
    assert client.patch(f"/api/datasets/{dataset_id}", json={"name": "okapi.csv"}).status_code == 200
    again = client.post(f"/api/datasets/{dataset_id}/read", json={"header_row": 2})
    assert again.status_code in (201, 400), again.text
    # A job that fails with a problem that names a column.
    wrong = asked | {"mapping": MAPPING | {"outcome": "zanzibar_gone"}}
    job = client.post("/api/analyze/comprehensive", json=wrong, headers={"Prefer": "respond-async"})
    assert job.status_code in (202, 400, 422), job.text
    if job.status_code == 202:
        wait_until(lambda: client.get(job.headers["Location"]).json()["status"] == "failed")
    return report


def in_pieces(client: httpx.Client) -> None:
    content = ROWS.replace("quokka", "QUOKKA quokka").encode()
    upload = client.post("/api/uploads", json={"name": "narwhal.csv", "size_bytes": len(content)}).json()
    path = f"/api/uploads/{upload['upload_id']}"
    for start in (0, 3000):
        piece = content[start : 3000 if start == 0 else None]
        sent = client.patch(path, content=piece, headers=OF_A_PIECE | {"Upload-Offset": str(start)})
        assert sent.status_code == 200, sent.text
    assert client.post(f"{path}/dataset", json={}).status_code == 201
    # Another one stays unfinished.
    other = client.post("/api/uploads", json={"name": "narwhal2.csv", "size_bytes": len(content)}).json()
    path = f"/api/uploads/{other['upload_id']}"
    sent = client.patch(path, content=content[:5000], headers=OF_A_PIECE | {"Upload-Offset": "0"})
    assert sent.status_code == 200


def cqox_of(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the operator with the settings of the engine."""
    environment = {**os.environ, **stack.engine.environment}
    command = [Path(sys.executable).with_name("cqox"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


@contextmanager
def started(stack: Stack) -> Iterator[None]:
    """Run both services, and end them in order."""
    stack.engine.start()
    stack.gateway.start()
    try:
        stack.engine.wait_ready()
        stack.gateway.wait_ready()
        yield
        stack.gateway.stop()
        stack.engine.stop()
    finally:
        stack.gateway.kill()
        stack.engine.kill()


def timeless(report: dict[str, object]) -> list[dict[str, object]]:
    estimates = report["estimates"]
    assert isinstance(estimates, list)
    return [{name: value for name, value in each.items() if name != "seconds"} for each in estimates]


def found_in(folder: Path) -> dict[str, list[str]]:
    """Return the planted words in the files of a folder, in any case and in two encodings."""
    found: dict[str, list[str]] = {}
    for path in folder.rglob("*"):
        try:
            content = path.read_bytes().lower() if path.is_file() else b""
        except FileNotFoundError:
            continue
        words = [word for word in PLANTED if word.encode() in content or word.encode("utf-16-le") in content]
        if words:
            found[str(path.relative_to(folder))] = words
    return found


def check_reading(client: httpx.Client, report: dict[str, object]) -> None:
    """Everything that was stored is read as it was."""
    path = f"/api/analyses/{report['analysis_id']}"
    again = client.get(path).json()
    assert again["estimates"] == report["estimates"]
    assert again["decision"] == report["decision"]
    assert client.get(f"{path}/annotation").json()["title"] == "The wombat question"
    (listed,) = client.get("/api/analyses", params={"search": "WOMBAT"}).json()["analyses"]
    assert (listed["dataset_name"], listed["outcome"]) == ("okapi.csv", "zanzibar_pay")
    assert listed["notes"].startswith("axolotl axolotl")
    assert client.get("/api/analyses", params={"search": "okapi"}).json()["analyses"]
    assert client.get("/api/analyses", params={"search": "unicorn"}).json()["analyses"] == []
    names = {each["name"] for each in client.get("/api/datasets").json()["datasets"]}
    assert {"okapi.csv", "narwhal.csv"} <= names
    dataset_id = str(report["dataset_id"])
    assert client.get(f"/api/datasets/{dataset_id}").json()["columns"][0]["name"] == "zanzibar_pay"
    assert client.get(f"/api/datasets/{dataset_id}/sheets").json()["original"] is True
    (looks,) = client.get(f"/api/datasets/{dataset_id}/looks").json()["questions"]
    assert (looks["outcome"], looks["treatment"], looks["analyses"]) == ("zanzibar_pay", "got_quokka", 1)
    assert "zanzibar_pay" in client.get(f"{path}/export.md").text
