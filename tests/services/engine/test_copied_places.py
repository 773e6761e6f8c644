"""Tables in place of a running gateway and engine whose files are in a real object store and on a real HTTP server."""

import signal
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import obstore
import polars as pl
import pytest
from obstore.store import S3Store

from tests.servers import running
from tests.servers.http_files import HttpFiles, http_files
from tests.servers.object_store import KEYS, ObjectStore
from tests.waiting import wait_until

pytestmark = pytest.mark.xdist_group("places")
ROWS = 210_000
"""More than the rows that are held in memory of a table in place."""
MAPPING = {"y": "y", "treatment": "t", "covariates": ["x", "year"], "unit_id": "id"}
OPTIONS = {"estimators": ["ols_adjustment", "dml_plr"]}
SECRET = "xyzzy"


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    rng = np.random.default_rng(3)
    arm, x = rng.integers(0, 2, ROWS), rng.normal(size=ROWS)
    return pl.DataFrame(
        {"id": np.arange(ROWS), "y": arm + x + rng.normal(size=ROWS), "t": arm, "x": x, "year": np.arange(ROWS) % 2}
    )


@pytest.fixture(scope="module")
def store(frame: pl.DataFrame) -> Iterator[tuple[ObjectStore, S3Store]]:
    with running(ObjectStore()) as server:
        bucket = S3Store(
            server.bucket(),
            endpoint=server.endpoint,
            access_key_id=KEYS.access_key,
            secret_access_key=KEYS.secret_key,
            region="us-east-1",
            client_options={"allow_http": True},
        )
        for year in (0, 1):
            part = frame.filter(pl.col("year") == year).drop("year")
            obstore.put(bucket, f"lake/visits/year={year}/part.parquet", parquet(part))
        obstore.put(bucket, "lake/visits/_SUCCESS", b"")
        yield server, bucket


def parquet(frame: pl.DataFrame) -> bytes:
    path = Path("/dev/shm") / f"cqox-{time.monotonic_ns()}.parquet"
    try:
        frame.write_parquet(path)
        return path.read_bytes()
    finally:
        path.unlink()


@dataclass
class Services:
    """A gateway and an engine, and where the tables are."""

    client: httpx.Client
    site: HttpFiles
    mirror: Path
    lines: Callable[[], list[str]]
    engine: Callable[[], object]

    def copies(self) -> list[str]:
        return sorted(path.name for path in self.mirror.iterdir()) if self.mirror.is_dir() else []

    def analyzed(self, source: str, table: str, options: Mapping[str, object] = OPTIONS, **more: str) -> httpx.Response:
        body = {"source": source, "table": table, "mapping": MAPPING, "options": options}
        return self.client.post("/api/analyze/comprehensive", json=body, headers=more, timeout=120)


@pytest.fixture
def site(frame: pl.DataFrame) -> Iterator[HttpFiles]:
    with http_files() as served:
        served.files = {"/one.parquet": parquet(frame), "/other.parquet": parquet(frame.head(5000))}
        served.e_tags = {"/one.parquet": '"1"', "/other.parquet": '"1"'}
        yield served


@pytest.fixture
def variables(store: tuple[ObjectStore, S3Store], site: HttpFiles, tmp_path: Path) -> dict[str, str]:
    bucket = store[1].config["bucket"]
    (tmp_path / "sources.toml").write_text(
        f'[lake]\nkind = "parquet"\nurl = "s3://{bucket}/lake"\ntables = ["visits"]\nmeaning = "All visits"\n'
        f'[one]\nkind = "parquet"\nurl = "{site.address}/one.parquet?sig=${{SECRET}}"\nmost_concurrent = 3\n'
        f'[other]\nkind = "parquet"\nurl = "{site.address}/"\ntables = ["other.parquet"]\n'
        f'[theirs]\nkind = "parquet"\nurl = "{site.address}/one.parquet"\ntenants = ["acme"]\n'
        '[away]\nkind = "parquet"\nurl = "http://127.0.0.1:1/t.parquet?sig=${SECRET}"\n'
    )
    return {
        "CQOX_SOURCES": str(tmp_path / "sources.toml"), "SECRET": SECRET, "AWS_ENDPOINT_URL": store[0].endpoint,
        "AWS_ACCESS_KEY_ID": KEYS.access_key, "AWS_SECRET_ACCESS_KEY": KEYS.secret_key, "AWS_REGION": "us-east-1",
    }  # fmt: skip


@pytest.fixture
def services(start, variables: dict[str, str], site: HttpFiles, tmp_path: Path) -> Iterator[Services]:
    engine = start("-m", "services.engine", **variables)
    with engine.ready_client():
        gateway = start("-m", "services.gateway", ENGINE_URL=engine.url)
        with gateway.ready_client() as client:
            yield Services(
                client=client, site=site, mirror=tmp_path / "data" / "mirror",
                lines=lambda: [*engine.lines, *gateway.lines], engine=lambda: engine,
            )  # fmt: skip


def test_copied_tables_have_the_numbers_of_an_upload(services: Services, frame: pl.DataFrame) -> None:
    client = services.client
    listed = {each["name"]: each for each in client.get("/api/sources").json()["sources"]}
    assert (listed.keys(), listed["lake"]["kind"]) == ({"lake", "one", "other", "away"}, "parquet")
    dataset = client.post("/api/datasets", files={"file": ("a.csv", frame.write_csv().encode())}).json()["dataset_id"]
    body = {"dataset_id": dataset, "mapping": MAPPING, "options": OPTIONS}
    answer = client.post("/api/analyze/comprehensive", json=body, timeout=120)
    memory = {each["name"]: each for each in answer.json()["estimates"]}
    for source, table, count in (("lake", "visits", 2), ("one", "one", 1)):
        answer = services.analyzed(source, table)
        assert answer.status_code == 200, answer.text
        report = answer.json()
        origin = report["provenance"]
        assert (origin["source"], origin["table"], origin["rows"]) == (source, table, ROWS)
        assert origin["engine"].startswith("duckdb")
        assert len(origin["snapshot"]) == 32
        assert any(f"({count} file" in note and "copied to the disk of the engine" in note for note in report["notes"])
        for each in report["estimates"]:
            other = memory[each["name"]]
            assert each["n"] == other["n"] == ROWS
            assert each["estimate"] == pytest.approx(other["estimate"], rel=1e-8)
            assert each["standard_error"] == pytest.approx(other["standard_error"], rel=1e-8)
        assert services.analyzed(source, table).json()["provenance"]["cache"] == "hit"
    columns = client.get("/api/sources/lake/columns", params={"table": "visits"}).json()["columns"]
    assert {each["name"]: each["kind"] for each in columns}["year"] == "whole"
    before = services.copies()
    assert len(before) == 2
    services.site.e_tags["/one.parquet"] = '"2"'
    assert services.analyzed("one", "one").json()["provenance"]["cache"] == "miss"
    # The copy of the former snapshot is gone.
    assert (len(services.copies()), len(set(services.copies()) & set(before))) == (2, 1)
    assert not [line for line in services.lines() if SECRET in line or KEYS.secret_key in line]


def test_requests_at_once_make_one_copy(services: Services) -> None:
    services.site.gate.clear()
    with ThreadPoolExecutor(2) as threads:
        options = [{**OPTIONS, "seed": seed} for seed in (1, 2)]
        answers = [threads.submit(services.analyzed, "one", "one", each) for each in options]
        # Two listings of each, and the copy.
        wait_until(lambda: len(services.site.asked) == 5)
        services.site.gate.set()
        assert [each.result().status_code for each in answers] == [200, 200]
    assert (len(services.site.asked), len(services.copies())) == (5, 1)


def test_a_source_that_is_away_is_rested_and_no_secret_is_shown(services: Services) -> None:
    answers = [services.analyzed("away", "away") for _ in range(4)]
    for answer in answers:
        assert (answer.status_code, answer.json()["type"]) == (503, "source-down"), answer.text
        assert int(answer.headers["retry-after"]) >= 1
    assert "has failed several times" in answers[-1].json()["detail"]
    services.site.files["/one.parquet"] = services.site.files["/one.parquet"][:-1]
    services.site.most_bytes = 1000
    lost = services.analyzed("one", "one")
    assert (lost.status_code, lost.json()["type"], services.copies()) == (503, "source-down", [])
    services.site.most_bytes = None
    assert services.analyzed("other", "other.parquet").status_code == 200
    shown = "\n".join([*services.lines(), lost.text, *(answer.text for answer in answers)])
    assert SECRET not in shown
    assert services.site.address not in shown


def test_a_change_during_the_copy_is_said(services: Services) -> None:
    class Changing(dict[str, str]):
        def __getitem__(self, path: str) -> str:
            # The copy is the third request.
            return '"1"' if len(services.site.asked) < 3 else '"2"'

    services.site.e_tags = Changing(services.site.e_tags)
    answer = services.analyzed("one", "one")
    assert (answer.status_code, answer.json()["type"]) == (503, "source-down")
    assert "were changed" in answer.json()["detail"]
    assert services.copies() == []


def test_a_deadline_and_a_cancellation_end_the_copy(services: Services) -> None:
    services.site.gate.clear()
    answer = services.analyzed("one", "one", **{"X-Request-Timeout-Ms": "3000"})
    assert answer.status_code == 504
    body = {"source": "one", "table": "one", "mapping": MAPPING, "options": OPTIONS}
    asked = len(services.site.asked)
    job = services.client.post("/api/analyze/comprehensive", json=body, headers={"Prefer": "respond-async"}).json()
    wait_until(lambda: len(services.site.asked) == asked + 3)
    # A server that stands still holds neither of them, nor another source.
    assert services.client.delete(f"/api/jobs/{job['job_id']}").status_code in (200, 202, 204)
    assert services.analyzed("lake", "visits").status_code == 200
    services.site.gate.set()
    assert services.analyzed("one", "one").status_code == 200
    wait_until(lambda: not [name for name in services.copies() if name.startswith(".")])


def test_a_table_beyond_the_limit_is_refused_with_both_sizes(start, variables: dict[str, str], site: HttpFiles) -> None:
    engine = start("-m", "services.engine", CQOX_MIRROR_BYTES="100000", **variables)
    with engine.ready_client() as client:
        body = {"source": "one", "table": "one", "mapping": MAPPING}
        answer = client.post("/api/analyze/comprehensive", json=body)
        assert (answer.status_code, answer.json()["type"]) == (413, "limit-exceeded")
        size = len(site.files["/one.parquet"])
        assert f"has {size:,} bytes" in answer.json()["detail"]
        assert "at most 100,000 bytes" in answer.json()["detail"]


def test_what_a_killed_engine_was_copying_is_removed_at_the_next_start(
    start, variables: dict[str, str], site: HttpFiles, tmp_path: Path
) -> None:
    mirror, body = tmp_path / "data" / "mirror", {"source": "one", "table": "one", "mapping": MAPPING}
    engine = start("-m", "services.engine", **variables)
    with engine.ready_client() as client, ThreadPoolExecutor(1) as threads:
        site.gate.clear()
        answer = threads.submit(client.post, "/api/analyze/comprehensive", json=body)
        wait_until(lambda: mirror.is_dir() and bool(list(mirror.glob(".*/*/one.parquet"))))
        engine.stop(signal.SIGKILL)
        assert isinstance(answer.exception(), httpx.HTTPError)
    assert [path.name[0] for path in mirror.iterdir()] == ["."]
    site.gate.set()
    with start("-m", "services.engine", **variables).ready_client() as client:
        assert list(mirror.iterdir()) == []
        assert client.post("/api/analyze/comprehensive", json=body, timeout=120).status_code == 200
        (copy,) = mirror.iterdir()
        assert copy.name.endswith(f".{len(site.files['/one.parquet'])}")


def test_an_engine_that_encrypts_does_not_start(start, variables: dict[str, str]) -> None:
    engine = start("-m", "services.engine", CQOX_KEYS="file", **variables)
    assert engine.end() != 0
    assert any("copied to the data directory as plain files" in line for line in engine.lines)
