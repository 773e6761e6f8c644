"""Named data sources of a running engine: read by name, and by nothing else."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest


@pytest.fixture
def client(start, tmp_path: Path) -> Iterator[httpx.Client]:
    (tmp_path / "parts").mkdir()
    for number in range(2):
        rows = "".join(f"{n % 5}.5,{n % 2}\n" for n in range(number, 40))
        (tmp_path / "parts" / f"{number}.csv").write_text(f"y,w\n{rows}")
    with closing(sqlite3.connect(tmp_path / "shop.db")) as database, database:
        database.execute("CREATE TABLE shop (y REAL, w INTEGER)")
        database.executemany("INSERT INTO shop VALUES (?, ?)", [(n % 5, n % 2) for n in range(60)])
    (tmp_path / "sources.toml").write_text(
        f'[parts]\naddress = "{tmp_path}/parts"\nmeaning = "All parts"\n'
        f'[shop]\naddress = "sqlite://{tmp_path}/shop.db"\nquery = "SELECT * FROM shop"\n'
        '[away]\naddress = "postgresql://me:secret@127.0.0.1:1/shop"\nquery = "SELECT 1 AS a"\n'
    )
    with start("-m", "services.engine", CQOX_SOURCES=str(tmp_path / "sources.toml")).ready_client() as client:
        yield client


def test_a_source_becomes_a_data_set_by_its_name(client: httpx.Client, tmp_path: Path) -> None:
    listing = client.get("/api/sources").json()
    assert [(each["name"], each["kind"]) for each in listing["sources"]] == [
        ("parts", "file"), ("shop", "sqlite"), ("away", "postgresql"),
    ]  # fmt: skip
    assert "secret" not in str(listing)
    assert str(tmp_path) not in str(listing)
    for name, rows in (("parts", 79), ("shop", 60)):
        answer = client.post(f"/api/sources/{name}/datasets")
        assert (answer.status_code, answer.json()["rows"], answer.json()["name"]) == (201, rows, name)
        assert answer.headers["location"] == f"/api/datasets/{answer.json()['dataset_id']}"
    body = {"dataset_id": answer.json()["dataset_id"], "mapping": {"y": "y", "treatment": "w"}}
    assert client.post("/api/analyze/comprehensive", json=body).status_code == 200
    assert sorted(path.name for path in (tmp_path / "parts").iterdir()) == ["0.csv", "1.csv"]

    answer = client.post("/api/sources/away/datasets")
    assert (answer.status_code, answer.json()["type"]) == (424, "source-unavailable")
    assert "secret" not in answer.text
    # A client's own address is no name.
    for name in ("shp", "file:%2F%2F%2Fetc%2Fpasswd", "http:%2F%2F127.0.0.1:1%2Fa.csv", "sqlite:%2F%2F%2Fshop.db"):
        answer = client.post(f"/api/sources/{name}/datasets")
        assert answer.status_code == 404, name
    assert client.post("/api/sources/shp/datasets").json()["choices"][0] == "shop"
