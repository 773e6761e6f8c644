"""Seasons of an interrupted series, all the way from a table of months to a report."""

import json
from pathlib import Path

import numpy as np
import pytest

from cqox.analysis.run import Finished, analyze
from cqox.contract import AnalyzeRequest, parse_model
from cqox.datasets import Limits, ReadOptions, read_table, write_parquet
from cqox.errors import InvalidRequest


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng, month = np.random.default_rng(1), np.arange(84)
    sales = 50 + 0.1 * month + 4 * (month >= 52) + 6 * np.sin(2 * np.pi * month / 12) + rng.standard_normal(84)
    days = (np.datetime64("2015-01") + month).astype("datetime64[D]")
    folder = tmp_path_factory.mktemp("series")
    lines = ["month,number,sales", *(f"{d},{m + 1},{y:.4f}" for d, m, y in zip(days, month, sales, strict=True))]
    (folder / "t.csv").write_text("\n".join(lines), encoding="utf-8")
    read = read_table(folder / "t.csv", name="t", limits=Limits(), options=ReadOptions())
    write_parquet(read, folder / "t.parquet")
    return folder / "t.parquet"


def run(table: Path, mapping: dict[str, object], **options: object) -> Finished:
    body = {"dataset_id": "t", "mapping": {"y": "sales", **mapping}, "options": options}
    finished = analyze(table, parse_model(AnalyzeRequest, body), threads=1, on_step=lambda _: None)
    json.dumps([finished.report, finished.specs], allow_nan=False)
    return finished


def found(finished: Finished) -> dict[str, object]:
    return next(each for each in finished.report["estimates"] if each["name"] == "interrupted_series")


DATED = {"time": "month", "intervention_time": "2019-05-01"}
NUMBERED = {"time": "number", "intervention_time": 53}


def test_the_seasons_of_months_do_not_stand_in_the_way_of_a_decision(table: Path) -> None:
    finished = run(table, DATED, season_pairs=2, assumes=["no_concurrent_event", "stable_trend"])
    estimate = found(finished)
    assert estimate["ci_lower"] < 4 < estimate["ci_upper"]
    assert estimate["diagnostics"]["seasons"]["adjusted"] is True
    assert estimate["warnings"] == []
    assert finished.report["decision"]["verdict"] == "GO", finished.report["decision"]["reasons"]
    assert "interrupted_series" in finished.specs


def test_seasons_that_are_left_in_the_series_are_passed_to_the_decision(table: Path) -> None:
    for mapping, options in ((NUMBERED, {}), (DATED, {}), (DATED, {"season_pairs": 0})):
        report = run(table, mapping, **options).report
        assert report["gates"]["primary_warnings"]["status"] == "warn"
        assert "a cycle of 12" in report["gates"]["primary_warnings"]["reason"]


def test_a_season_can_be_asked_for(table: Path) -> None:
    dated, named = found(run(table, DATED, season_pairs=2)), found(run(table, NUMBERED, season_length=12))
    assert named["estimate"] == pytest.approx(dated["estimate"], rel=1e-9)
    single = found(run(table, NUMBERED, season_length=12, season_pairs=1))
    assert single["diagnostics"]["seasons"]["terms"] == 2


@pytest.mark.parametrize("options", [{"season_length": 0}, {"season_pairs": -1}, {"season_pairs": 13}])
def test_seasons_that_there_cannot_be_are_refused(table: Path, options: dict[str, float]) -> None:
    with pytest.raises(InvalidRequest, match=next(iter(options))):
        run(table, NUMBERED, **options)
