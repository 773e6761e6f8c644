"""Folders of files and patterns, read whole or summed where they are."""

import gzip
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import cqox
from cqox.analysis import own_tables
from cqox.analysis.bounds import Bounds
from cqox.api.report import Report
from cqox.api.session import Session
from cqox.errors import InvalidRequest, LimitExceeded, UnreadableFile, UnusableData

ROWS = 240_000
"""More than the rows that are held in memory of a table in place."""
ROLES = {"y": "sales", "treatment": "campaign", "covariates": ["age", "region"], "unit_id": "unit"}
SUMMED = ("difference_in_means", "ols_adjustment", "lin_interacted", "ipw_ate", "aipw", "dml_plr", "dml_irm_ate")


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    rng = np.random.default_rng(11)
    age, region = rng.normal(40.0, 10.0, ROWS), rng.integers(0, 3, ROWS)
    arm = (rng.random(ROWS) < 1 / (1 + np.exp(0.05 * (age - 40)))).astype(int)
    sales = 2.0 * arm + age / 10 + region + rng.normal(size=ROWS)
    age[::101] = np.nan
    return pl.DataFrame(
        {
            "sales": sales, "campaign": arm, "age": pl.Series(age).fill_nan(None),
            "region": np.array(["north", "south", "west"])[region], "unit": np.arange(ROWS) // 2,
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(frame: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for number, start in enumerate(range(0, ROWS, 100_000)):
        frame.slice(start, 100_000).write_parquet(folder / f"part-{number}.parquet")
    (folder / "_SUCCESS").touch()
    (folder / ".part-0.parquet.crc").write_bytes(b"x")
    return folder


@pytest.fixture(scope="module")
def in_memory(frame: pl.DataFrame, session: Session) -> Report:
    return cqox.analyze(frame, **ROLES, engine="memory", estimators=list(SUMMED), session=session)


@pytest.fixture
def small() -> Iterator[Session]:
    """A session whose limit of rows the tables of this module exceed."""
    limits = {"max_rows": ROWS - 1}
    with Session(
        Bounds(analyses=1, threads=2, worker_memory_bytes=0, file_limits=limits, standby=False)
    ) as made:  # fmt: skip
        yield made


def assert_equal(found: Report, wanted: Report) -> None:
    for name in SUMMED:
        left, right = found[name], wanted[name]
        assert left.n == right.n is not None
        for field in ("estimate", "standard_error", "ci_lower", "ci_upper"):
            assert getattr(left, field) == pytest.approx(getattr(right, field), rel=1e-8, abs=0), (name, field)


@pytest.mark.parametrize("pattern", ["", "part-*.parquet"])
def test_a_folder_and_a_pattern_are_summed_where_they_are(
    folder: Path, in_memory: Report, session: Session, pattern: str
) -> None:
    data = str(folder / pattern)
    found = cqox.analyze(data, **ROLES, engine="duckdb", estimators=list(SUMMED), session=session)
    assert_equal(found, in_memory)
    assert found.provenance.engine.startswith("duckdb ")
    assert (found.provenance.source, found.provenance.table) == ("files", pattern or folder.name)
    assert any("(3 files), read where they are" in note for note in found.notes)
    assert found.provenance.rows == ROWS
    again = cqox.analyze(data, **ROLES, engine="duckdb", estimators=list(SUMMED), session=session)
    assert again.provenance.cache == "hit"


def test_what_an_upload_would_refuse_is_summed_unasked(
    folder: Path, frame: pl.DataFrame, in_memory: Report, small: Session, tmp_path: Path
) -> None:
    found = cqox.analyze(folder, **ROLES, estimators=list(SUMMED), session=small)
    assert_equal(found, in_memory)
    assert found.provenance.engine.startswith("duckdb ")
    frame.write_parquet(tmp_path / "one.parquet")
    with pytest.raises(LimitExceeded, match="CQOX_MAX_ROWS"):
        cqox.analyze(tmp_path / "one.parquet", **ROLES, session=small)
    found = cqox.analyze(
        tmp_path / "one.parquet", **ROLES, engine="duckdb", estimators=["ols_adjustment"], session=small
    )  # fmt: skip
    assert found.provenance.engine.startswith("duckdb ")
    assert found["ols_adjustment"].estimate == pytest.approx(in_memory["ols_adjustment"].estimate, rel=1e-8)


def test_a_folder_that_fits_is_read_whole(folder: Path, in_memory: Report, session: Session) -> None:
    found = cqox.analyze(folder, **ROLES, estimators=list(SUMMED), session=session)
    assert_equal(found, in_memory)
    assert (found.provenance.engine, found.provenance.source) == ("memory", None)


def test_text_in_folders_with_values_is_read_where_it_is(frame: pl.DataFrame, session: Session, tmp_path: Path) -> None:
    few = frame.head(3_000).with_columns(year=pl.Series(np.arange(3_000) // 1_500 + 2024))
    for year in (2024, 2025):
        path = tmp_path / f"year={year}" / "part.csv.gz"
        path.parent.mkdir()
        path.write_bytes(gzip.compress(few.filter(pl.col("year") == year).drop("year").write_csv().encode()))
    roles = {**ROLES, "covariates": ["age", "year"]}
    wanted = cqox.analyze(few, **roles, estimators=list(SUMMED), session=session)
    found = cqox.analyze(tmp_path, **roles, estimators=list(SUMMED), session=session)
    assert_equal(found, wanted)
    assert found.provenance.source == "files"
    with pytest.raises(UnreadableFile, match="only analysed where it is"):
        cqox.analyze(tmp_path, **roles, engine="memory", session=session)


def test_partitions_of_parquet_are_columns_in_memory_and_in_place(
    frame: pl.DataFrame, session: Session, tmp_path: Path
) -> None:
    few = frame.head(3_000).with_columns(year=pl.Series(np.arange(3_000) // 1_500 + 2024))
    few.write_parquet(pl.PartitionBy(tmp_path, key="year", include_key=False))
    roles = {**ROLES, "covariates": ["age", "year"]}
    wanted = cqox.analyze(few, **roles, estimators=["ols_adjustment"], session=session)["ols_adjustment"].estimate
    for engine in ("memory", "duckdb"):
        found = cqox.analyze(tmp_path, **roles, engine=engine, estimators=["ols_adjustment"], session=session)
        assert found["ols_adjustment"].estimate == pytest.approx(wanted, rel=1e-10)
    assert any("duckdb" in note and "memory" in note for note in found.notes)


def test_what_cannot_be_summed_where_it_is_says_what_to_do(
    folder: Path, session: Session, small: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InvalidRequest, match=r"set options\.engine to memory"):
        cqox.analyze(folder, **ROLES, engine="duckdb", yes_no=["region"], session=session)
    with pytest.raises(InvalidRequest, match="'read' says how to read a file"):
        cqox.analyze(folder, **ROLES, engine="duckdb", read={"encoding": "utf-8"}, session=session)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UnreadableFile, match="no file that ends in"):
        cqox.analyze(tmp_path / "empty", **ROLES, session=session)
    with pytest.raises(UnreadableFile, match="No file matches"):
        cqox.analyze(tmp_path / "none-*.parquet", **ROLES, session=session)
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    for number, column in enumerate(("age", "years")):
        pl.DataFrame({"sales": [1.0], "campaign": [1], column: [3]}).write_parquet(mixed / f"{number}.parquet")
    with pytest.raises(UnusableData, match=r"'1\.parquet' has no column 'age'"):
        cqox.analyze(mixed, y="sales", treatment="campaign", engine="duckdb", session=session)
    (mixed / "1.parquet").write_bytes(b"no parquet")
    with pytest.raises(UnreadableFile, match=r"'mixed' cannot be read: 1\.parquet: "):
        cqox.analyze(mixed, y="sales", treatment="campaign", engine="duckdb", session=session)
    monkeypatch.setattr(own_tables, "find_spec", lambda name: None)
    with pytest.raises(InvalidRequest, match=r"pip install 'cqox\[scale\]'"):
        cqox.analyze(folder, **ROLES, session=small)


def test_roles_and_a_preview_of_files_that_are_summed_are_of_a_sample(
    folder: Path, frame: pl.DataFrame, session: Session, small: Session
) -> None:
    whole = cqox.roles(frame, session=session)
    roles = {role: column for role, column in ROLES.items() if role != "unit_id"}
    wanted = cqox.preview(frame, **roles, assignment="randomized", session=session)
    for given, named in ((session, {"engine": "duckdb"}), (small, {})):
        found = cqox.roles(folder, **named, session=given)
        assert {role: found.mapping[role] for role in whole.mapping} == dict(whole.mapping)
        assert found.sample is not None
        assert found.sample.of == ROWS
        assert 10_000 <= found.sample.rows <= 30_000
        assert found.dataset_id.startswith("source:files:")
        seen = cqox.preview(folder, **roles, assignment="randomized", **named, session=given)
        assert seen.sample is not None
        assert (seen.sample.of, seen.contrasts[0].rows.read) == (ROWS, seen.sample.rows)
        assert seen.contrasts[0].primary == wanted.contrasts[0].primary
        assert seen.contrasts[0].power.effect == pytest.approx(wanted.contrasts[0].power.effect, rel=0.05)
    assert cqox.roles(folder, session=session).sample is None
    assert cqox.preview(folder, **ROLES, session=session).sample is None


def test_roles_of_text_that_is_only_read_where_it_is(frame: pl.DataFrame, session: Session, tmp_path: Path) -> None:
    few = frame.head(3_000)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(few.write_csv().encode()))
    found = cqox.roles(tmp_path, session=session)
    assert found.mapping == cqox.roles(few, session=session).mapping
    with pytest.raises(UnreadableFile, match="only analysed where it is"):
        cqox.roles(tmp_path, engine="memory", session=session)
    with pytest.raises(InvalidRequest) as caught:
        cqox.roles(tmp_path, engine="spark", session=session)  # type: ignore[arg-type]
    assert caught.value.field == "options.engine"


def test_failures_of_own_files_rest_nothing(folder: Path, session: Session, tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"no parquet")
    for _ in range(5):
        with pytest.raises(UnreadableFile, match="cannot be read"):
            cqox.analyze(tmp_path, **ROLES, engine="duckdb", session=session)


def test_an_interrupt_ends_the_sums_at_once(folder: Path, session: Session) -> None:
    begun = threading.Event()

    def interrupt(step: object) -> None:
        if isinstance(step, dict) and step["step"] == "sums" and not begun.is_set():
            begun.set()
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        cqox.analyze(folder, **ROLES, engine="duckdb", seed=5, progress=interrupt, session=session)
    assert begun.is_set()
    found = cqox.analyze(folder, **ROLES, engine="duckdb", estimators=["ols_adjustment"], session=session)
    assert found.status != "failed"


@pytest.mark.anyio
async def test_a_loop_can_wait_for_a_folder(folder: Path, in_memory: Report, session: Session) -> None:
    found = await cqox.analyze_async(folder, **ROLES, engine="duckdb", estimators=["aipw"], session=session)
    assert found["aipw"].estimate == pytest.approx(in_memory["aipw"].estimate, rel=1e-8)
