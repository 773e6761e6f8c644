"""Previews of tables in place, against those of the same rows as an upload."""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import psycopg
import pytest

from cqox.analysis import engine_sample, place_sample
from cqox.analysis.preview import preview, preview_in_place
from cqox.analysis.workers.asking import asking
from cqox.contract import AnalyzeRequest, Preview, parse_model
from cqox.datasets import Limits, ReadOptions, read_table, write_parquet
from cqox.errors import InvalidRequest
from cqox.sources import Place, PostgresSession
from tests.servers import Postgres, running

pytestmark = pytest.mark.xdist_group("in place")
ROWS = 6_000
MAPPING: dict[str, object] = {"y": "y", "treatment": "t", "covariates": ["x", "region"]}
UNITS = {**MAPPING, "unit_id": "unit"}
OF_DATA = ("contrasts", "main", "findings", "mapping")


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    rng = np.random.default_rng(3)
    x = rng.normal(size=ROWS)
    region = np.array(["north", "南", "it's"])[rng.integers(0, 3, ROWS)]
    treated = rng.random(ROWS // 2).repeat(2) < 0.4
    y = treated + x + 0.4 * (region == "南") + rng.normal(size=ROWS)
    x[::97] = np.nan
    columns = {"y": y, "t": treated.astype(int), "x": pl.Series(x).fill_nan(None), "region": region}
    return pl.DataFrame({**columns, "unit": np.arange(ROWS) // 2})


@pytest.fixture(scope="module")
def folder(frame: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    for number, start in enumerate(range(0, ROWS, 2_500)):
        frame.slice(start, 2_500).write_parquet(folder / f"{number}.parquet")
        frame.slice(start, 2_500).write_csv(folder / f"{number}.csv")
    return folder


@pytest.fixture(scope="module")
def stored(frame: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("uploaded")
    frame.write_parquet(folder / "t.parquet")
    path = folder / "stored.parquet"
    write_parquet(read_table(folder / "t.parquet", name="t", limits=Limits(), options=ReadOptions()), path)
    return path


@pytest.fixture(scope="module")
def server(frame: pl.DataFrame) -> Iterator[Postgres]:
    with running(Postgres()) as started, psycopg.connect(started.url) as connection:
        connection.execute(b"create table sales (y float8, t int, x float8, region text, unit int)")
        with connection.cursor() as cursor, cursor.copy(b"copy sales from stdin csv") as to:
            to.write(frame.write_csv(include_header=False).encode())
        connection.commit()
        yield started


def request(mapping: Mapping[str, object], **options: object) -> AnalyzeRequest:
    return parse_model(AnalyzeRequest, {"dataset_id": "d", "mapping": mapping, "options": options})


def in_files(folder: Path, asked: AnalyzeRequest, suffix: str = ".parquet") -> Preview:
    files = sorted(str(path) for path in folder.glob(f"*{suffix}"))
    place: dict[str, object] = {"source": "lake", "table": "t", "files": files, "key": None, "snapshot": "s"}
    return parsed(preview_in_place({**place, "format": suffix.removeprefix(".")}, asked, folder, threads=2))


def in_postgres(server: Postgres, folder: Path, asked: AnalyzeRequest) -> Preview:
    place: dict[str, object] = {"source": "shop", "table": "public.sales", "key": None, "snapshot": None}
    session = PostgresSession.opened(Place(name="shop", kind="postgres", address=server.url, tables=()))
    try:
        with asking(partial(session.answer, seconds=60.0)):
            return parsed(preview_in_place(place, asked, folder, threads=2))
    finally:
        session.close()


def parsed(found: Mapping[str, object]) -> Preview:
    return parse_model(Preview, {"dataset_id": "d", **found})  # type: ignore[arg-type]


def test_a_table_that_is_read_whole_has_the_preview_of_an_upload(folder: Path, stored: Path, server: Postgres) -> None:
    asked = request(UNITS)
    wanted = parsed(preview(stored, asked, threads=2)).model_dump(mode="json")
    files = [in_files(folder, asked), in_files(folder, asked, ".csv")]
    for found in (*files, in_postgres(server, folder, asked)):
        document = found.model_dump(mode="json")
        assert {name: document[name] for name in OF_DATA} == {name: wanted[name] for name in OF_DATA}
        assert found.sample is None
        assert "read where they are" in found.notes[0]


@pytest.mark.parametrize("mapping", [MAPPING, UNITS])
def test_the_preview_of_a_larger_table_is_of_a_sample_and_says_so(
    folder: Path, stored: Path, server: Postgres, mapping: Mapping[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_sample, "SAMPLE_ROWS", 3_000)
    asked = request(mapping, assignment="unconfounded")
    wanted = parsed(preview(stored, asked, threads=2))
    (all_rows,) = wanted.contrasts
    for found in (in_files(folder, asked), in_files(folder, asked, ".csv"), in_postgres(server, folder, asked)):
        assert found.sample is not None
        assert found.sample.of == ROWS
        assert 2_500 < found.sample.rows < 3_500
        (of_sample,) = found.contrasts
        rows = of_sample.rows
        assert (rows.read, rows.kept + rows.dropped) == (found.sample.rows, found.sample.rows)
        assert sum(arm.rows for arm in of_sample.arms) == rows.kept
        assert f"of a sample of {found.sample.rows:,} of them" in " ".join(found.notes)
        assert (of_sample.design, of_sample.primary) == (all_rows.design, all_rows.primary)
        # Detected with all rows: a sample of the half would need an effect that is larger by its root.
        assert of_sample.power.effect == pytest.approx(all_rows.power.effect, rel=0.05)


def test_what_an_analysis_in_place_refuses_its_preview_refuses(folder: Path) -> None:
    with pytest.raises(InvalidRequest) as caught:
        in_files(folder, request(UNITS, yes_no=["region"]))
    assert caught.value.field == "options.yes_no"
    with pytest.raises(InvalidRequest) as caught:
        in_files(folder, request({**UNITS, "y": "sale"}))
    assert caught.value.field == "mapping.y"


def test_covariates_that_copy_the_outcome_are_not_taken(
    frame: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = frame.with_columns((pl.col("y") * 100).alias("cents"), pl.lit(1).alias("flat"))
    wide.write_parquet(tmp_path / "t.parquet")
    asked = request({"y": "y", "treatment": "t"}, covariates="auto")
    whole = in_files(tmp_path, asked)
    monkeypatch.setattr(engine_sample, "SAMPLE_ROWS", 3_000)
    monkeypatch.setattr(place_sample, "LOOKED_AT", 1_200)
    sampled = in_files(tmp_path, asked)
    assert whole.mapping["covariates"] == sampled.mapping["covariates"] == ["x", "region"]
    for found in (whole, sampled):
        notes = " ".join(found.notes)
        assert "redundant with the outcome 'y', possibly in other units: cents" in notes
        assert "constant: flat" in notes
    assert "chosen by a hash of unit" in " ".join(sampled.notes)
