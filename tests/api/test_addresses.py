"""Tables at addresses of a real object store and of a real HTTP server, copied and summed on this machine."""

import os
import signal
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import obstore
import polars as pl
import pytest
from obstore.store import S3Store

import cqox
from cqox.analysis import local
from cqox.analysis.bounds import Bounds
from cqox.api.report import Report
from cqox.api.session import Session
from cqox.errors import InvalidRequest, LimitExceeded, SourceUnavailable, UnreadableFile
from tests.servers import running
from tests.servers.http_files import HttpFiles, http_files
from tests.servers.object_store import KEYS, ObjectStore
from tests.waiting import wait_until

ROWS = 220_000
"""More than the rows that are held in memory of a table in place."""
ROLES = {"y": "sales", "treatment": "campaign", "covariates": ["age", "year"], "unit_id": "unit"}
SUMMED = ("difference_in_means", "ols_adjustment", "lin_interacted", "dml_plr")


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    rng = np.random.default_rng(12)
    age = rng.normal(40.0, 10.0, ROWS)
    arm = (rng.random(ROWS) < 0.4).astype(int)
    return pl.DataFrame(
        {
            "sales": 2.0 * arm + age / 10 + rng.normal(size=ROWS), "campaign": arm, "age": age,
            "unit": np.arange(ROWS) // 2, "year": np.arange(ROWS) * 2 // ROWS + 2024,
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(frame: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    frame.write_parquet(pl.PartitionBy(folder / "visits", key="year", include_key=False))
    (folder / "visits" / "_SUCCESS").touch()
    frame.write_parquet(folder / "one.parquet")
    return folder


@pytest.fixture(scope="module")
def store(folder: Path) -> Iterator[tuple[ObjectStore, str]]:
    with running(ObjectStore()) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", server.endpoint)
        patch.setenv("AWS_ACCESS_KEY_ID", KEYS.access_key)
        patch.setenv("AWS_SECRET_ACCESS_KEY", KEYS.secret_key)
        patch.setenv("AWS_REGION", "us-east-1")
        name = server.bucket()
        bucket = S3Store(name, client_options={"allow_http": True})
        for path in folder.rglob("*"):
            if path.is_file():
                obstore.put(bucket, str(path.relative_to(folder)), path.read_bytes())
        yield server, f"s3://{name}"


@pytest.fixture
def site(folder: Path) -> Iterator[HttpFiles]:
    with http_files() as served:
        served.files = {"/one.parquet": (folder / "one.parquet").read_bytes()}
        served.e_tags = {"/one.parquet": '"1"'}
        yield served


@pytest.fixture(scope="module")
def in_memory(frame: pl.DataFrame, session: Session) -> Report:
    return cqox.analyze(frame, **ROLES, engine="memory", estimators=list(SUMMED), session=session)


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    yield
    wait_until(lambda: not copies())


def copies() -> list[Path]:
    """Return the copies in the temporary folders of all sessions that use the folder of this process."""
    return [path for each in Path(tempfile.gettempdir()).glob("cqox-*/copies") for path in each.iterdir()]


def assert_equal(found: Report, wanted: Report) -> None:
    for name in SUMMED:
        left, right = found[name], wanted[name]
        assert left.n == right.n is not None
        for field in ("estimate", "standard_error", "ci_lower", "ci_upper"):
            assert getattr(left, field) == pytest.approx(getattr(right, field), rel=1e-8, abs=0), (name, field)


def summed(address: str, session: Session, **more: object) -> Report:
    options = {"engine": "duckdb", "estimators": list(SUMMED), **more}
    return cqox.analyze(address, **ROLES, **options, session=session)


def test_a_prefix_of_an_object_store_is_summed(
    store: tuple[ObjectStore, str], in_memory: Report, session: Session
) -> None:
    steps: list[Mapping[str, object]] = []
    found = summed(f"{store[1]}/visits/", session, progress=steps.append)
    assert_equal(found, in_memory)
    assert found.provenance.engine.startswith("duckdb ")
    assert (found.provenance.source, found.provenance.table) == ("files", f"{store[1]}/visits/")
    assert found.provenance.snapshot
    assert any("(2 files), copied to this machine" in note for note in found.notes)
    shares = [step for step in steps if step["step"] == "copy"]
    assert shares[-1]["copied_bytes"] == shares[-1]["size_bytes"]
    assert summed(f"{store[1]}/visits/", session).provenance.cache == "hit"


def test_roles_and_a_preview_of_a_prefix_are_of_its_copy(store: tuple[ObjectStore, str], session: Session) -> None:
    address = f"{store[1]}/visits/"
    found = cqox.roles(address, engine="duckdb", session=session)
    assert found.sample is not None
    assert found.sample.of == ROWS
    assert found.mapping["y"] == "sales"
    assert "year" in str(found.candidates), "a column of the keys alone"
    seen = cqox.preview(address, **ROLES, engine="duckdb", session=session)
    assert seen.sample is not None
    assert seen.sample.of == ROWS


def test_a_file_at_a_url_is_summed_and_its_query_is_nowhere(
    site: HttpFiles, in_memory: Report, session: Session
) -> None:
    address = f"{site.address}/one.parquet"
    found = summed(f"{address}?sig=xyzzy#xyzzy", session)
    assert_equal(found, in_memory)
    assert found.provenance.table == address
    assert "xyzzy" not in found.to_json()


def test_what_an_upload_would_refuse_is_summed_unasked_and_the_rest_is_read(
    store: tuple[ObjectStore, str], in_memory: Report, session: Session
) -> None:
    bounds = Bounds(analyses=1, threads=2, worker_memory_bytes=0, file_limits={"max_rows": ROWS - 1}, standby=False)
    with Session(bounds) as small:
        for key in ("visits", "one.parquet"):
            found = cqox.analyze(f"{store[1]}/{key}", **ROLES, estimators=list(SUMMED), session=small)
            assert_equal(found, in_memory)
            assert found.provenance.engine.startswith("duckdb ")
        with pytest.raises(LimitExceeded, match="CQOX_MAX_ROWS"):
            cqox.analyze(f"{store[1]}/one.parquet", **ROLES, engine="memory", session=small)
    found = cqox.analyze(f"{store[1]}/visits", **ROLES, estimators=list(SUMMED), session=session)
    assert_equal(found, in_memory)
    assert (found.provenance.engine, found.provenance.source) == ("memory", None)


def test_rows_that_nothing_identifies_are_read_each_time(
    site: HttpFiles, frame: pl.DataFrame, session: Session
) -> None:
    few = frame.head(3000)
    site.files = {"/few.csv": few.write_csv().encode()}
    for _ in range(2):
        found = summed(f"{site.address}/few.csv", session, estimators=["ols_adjustment"])
        assert (found.provenance.cache, found.provenance.snapshot) == ("miss", None)
    assert any("Nothing identifies them later" in note for note in found.notes)
    assert found["ols_adjustment"].n == 3000


def test_what_cannot_be_copied_says_why(
    store: tuple[ObjectStore, str], site: HttpFiles, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SourceUnavailable, match="nothing at"):
        summed(f"{store[1]}/none/", session)
    with pytest.raises(SourceUnavailable, match="404"):
        summed(f"{site.address}/none.parquet", session)
    with pytest.raises(InvalidRequest, match="'read' says how"):
        summed(f"{store[1]}/visits/", session, read={"encoding": "utf-8"})
    site.files["/bad.parquet"] = b"no parquet"
    with pytest.raises(UnreadableFile, match=r"bad\.parquet"):
        summed(f"{site.address}/bad.parquet", session)
    monkeypatch.setattr(local, "MOST_COPIED_BYTES", 1000)
    with Session() as small, pytest.raises(LimitExceeded, match=r"has [\d,]+ bytes.*at most 1,000 bytes"):
        summed(f"{store[1]}/visits/", small)


def test_a_change_and_a_loss_during_the_copy_are_errors(site: HttpFiles, session: Session) -> None:
    site.most_bytes = 1000
    with pytest.raises(SourceUnavailable, match=r"ended early|IncompleteRead"):
        summed(f"{site.address}/one.parquet", session, seed=2)
    site.most_bytes = None

    class Changing(dict[str, str]):
        def __getitem__(self, path: str) -> str:
            return f'"{len(site.asked)}"'

    site.e_tags = Changing(site.e_tags)
    with pytest.raises(SourceUnavailable, match="changed"):
        summed(f"{site.address}/one.parquet", session, seed=2)


def test_an_interrupt_ends_the_copy_at_once_and_leaves_nothing(site: HttpFiles, session: Session) -> None:
    site.gate.clear()
    asked = len(site.asked)

    def interrupt() -> None:
        wait_until(lambda: len(site.asked) >= asked + 3 and bool(copies()))
        os.kill(os.getpid(), signal.SIGINT)

    # One answer is left after its headers, twice; the third is copied.
    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        summed(f"{site.address}/one.parquet", session, seed=3)
    site.gate.set()
