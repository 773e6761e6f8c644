"""Analyses of tables whose numbers are very large or very small."""

import json
from pathlib import Path

import pytest

from cqox.analysis.run import analyze
from cqox.contract import AnalyzeRequest, parse_model
from cqox.datasets import Limits, ReadOptions, read_table, write_parquet
from cqox.errors import UnusableData


def run(table: Path, mapping: dict[str, object], **options: object):
    progress: list[dict[str, object]] = []
    request = parse_model(AnalyzeRequest, {"dataset_id": "t", "mapping": mapping, "options": options})
    return analyze(table, request, threads=1, on_step=progress.append), progress


def of_size(tmp_path: Path, y: float, x: float) -> Path:
    rows = ["id,w,y,x"]
    for number in range(120):
        rows.append(f"{number},{number * 7 % 3 % 2},{(number * 31 % 17 - 8.5) * y!r},{(number * 13 % 11 - 5.3) * x!r}")
    source = tmp_path / "s.csv"
    source.write_text("\n".join(rows))
    write_parquet(read_table(source, name="s", limits=Limits(), options=ReadOptions()), tmp_path / "s.parquet")
    return tmp_path / "s.parquet"


@pytest.mark.parametrize("size", [1e307, 1e200, 1e160, 1e-160, 1e-310])
def test_numbers_whose_powers_are_no_numbers_are_refused_by_the_name_of_their_column(
    tmp_path: Path, size: float
) -> None:
    table = of_size(tmp_path, size, 1.0)
    with pytest.raises(UnusableData, match="The largest magnitude in the column 'y' is") as caught:
        run(table, {"y": "y", "treatment": "w", "covariates": ["x"]})
    assert caught.value.field == "mapping.y"
    assert ("Divide the column by" if size > 1 else "Multiply the column by") in caught.value.detail


@pytest.mark.parametrize(("y", "x"), [(1e73, 1e73), (1e-73, 1e-73), (1e73, 1e-73), (1e-73, 1e73)])
@pytest.mark.parametrize(
    "mapping",
    [
        {"treatment": "w", "covariates": ["x"]},
        {"treatment": "w", "instrument": "x"},
        {"running": "x", "cutoff": 0.0},
        {"dose": "x"},
    ],
)
def test_numbers_of_any_other_size_give_a_report_of_finite_numbers(
    tmp_path: Path, y: float, x: float, mapping: dict[str, object]
) -> None:
    finished, progress = run(of_size(tmp_path, y, x), {"y": "y", **mapping})
    json.dumps([finished.report, finished.specs, progress], allow_nan=False)


def test_a_column_beyond_that_range_is_no_covariate_and_the_notes_say_so(tmp_path: Path) -> None:
    finished, _ = run(of_size(tmp_path, 1.0, 1e200), {"y": "y", "treatment": "w"}, covariates="auto")
    assert (
        "Not taken as covariates, outside the range of magnitudes that can be computed with: x."
        in finished.report["notes"]
    )
    assert "covariates" not in finished.report["mapping"]


def test_ids_of_any_size_are_names(tmp_path: Path) -> None:
    finished, _ = run(of_size(tmp_path, 1.0, 1e200), {"y": "y", "treatment": "w", "cluster": ["x"]})
    assert finished.report["status"] != "failed"
