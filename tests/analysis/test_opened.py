from dataclasses import replace
from pathlib import Path

import pytest

from cqox.analysis.opened import open_request, suggestions
from cqox.analysis.suggested_covariates import Candidates
from cqox.contract import AnalyzeRequest, parse_model
from cqox.contract.messages import Message
from cqox.datasets import Limits, ReadOptions, read_table, write_parquet
from cqox.errors import InvalidRequest, UnusableData


@pytest.fixture
def path(tmp_path: Path) -> Path:
    rows = ["y,w,x", *(f"{number % 7},{number % 2},{number * 13 % 40}" for number in range(60))]
    source = tmp_path / "t.csv"
    source.write_text("\n".join(rows))
    write_parquet(read_table(source, name="t", limits=Limits(), options=ReadOptions()), tmp_path / "t.parquet")
    return tmp_path / "t.parquet"


def asked(mapping: dict[str, object], **options: object) -> AnalyzeRequest:
    return parse_model(AnalyzeRequest, {"dataset_id": "t", "mapping": mapping, "options": options})


def test_a_request_is_opened_up_to_its_arrays(path: Path) -> None:
    opened = open_request(path, asked({"outcome": "y", "treatment": "w"}, drop_rows=[{"rows": [1]}]))
    assert (opened.rows, opened.read.table.height, opened.large) == (60, 59, False)
    assert opened.roles == {"y": "y", "treatment": "w"}
    assert [note.code for note in opened.notes] == ["analysis.role-alias", "findings.rows-dropped"]
    with opened.room():
        frame = opened.frame()
        findings, absent = opened.findings(frame)
        assert (findings, absent) == ([], [])
        (contrast,) = opened.prepared(frame, findings).contrasts
    assert contrast.data.n == 59
    assert opened.unmapped(findings).findings(None) == ()


@pytest.mark.parametrize(
    ("rows", "columns", "large"),
    [
        (1_000_000, 13, False),
        (1_000_000, 14, True),
        (1_000_001, 6, True),
        (2_000_000, 3, False),
        (2_000_001, 3, True),
    ],
)
def test_arrays_are_in_files_beyond_cells_that_depend_on_rows(path: Path, rows: int, columns: int, large: bool) -> None:
    opened = open_request(path, asked({"y": "y", "treatment": "w"}))
    table = replace(opened.read.table, height=rows)
    names = tuple(f"x{number}" for number in range(columns - 2))
    opened = replace(opened, read=replace(opened.read, table=table), roles={**opened.roles, "covariates": names})
    assert opened.large == large


def test_covariates_are_taken_where_the_request_asks_for_them(path: Path) -> None:
    opened = open_request(path, asked({"y": "y", "treatment": "w"}, covariates="auto"))
    assert opened.roles["covariates"] == ("x",)
    assert opened.notes[0].code == "analysis.covariates-taken"


def test_a_wrong_mapping_is_refused_before_a_value_is_read(path: Path) -> None:
    with pytest.raises(InvalidRequest):
        open_request(path, asked({"y": "yy", "treatment": "w"}))


def test_findings_say_why_data_may_not_be_usable(tmp_path: Path) -> None:
    source = tmp_path / "t.csv"
    source.write_text("y,w\n" + "1.5,1\n" * 40 + "1.5,1\n")
    path = tmp_path / "t.parquet"
    write_parquet(read_table(source, name="t", limits=Limits(), options=ReadOptions()), path)
    opened = open_request(path, asked({"y": "y", "treatment": "w"}))
    frame = opened.frame()
    findings, _ = opened.findings(frame)
    with pytest.raises(UnusableData, match=r"1\.5"):
        opened.prepared(frame, findings)


def test_columns_are_suggested_unless_no_primary_takes_covariates() -> None:
    free = Candidates(names=("x",), excluded={Message("analysis.constant"): ["flat"]})
    assert [note.code for note in suggestions(free, ["did", None])] == [
        "analysis.candidate-covariates", "analysis.not-suggested",
    ]  # fmt: skip
    assert suggestions(free, ["synthetic_control"]) == []
