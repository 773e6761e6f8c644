import csv
from io import BytesIO, StringIO

import polars as pl
import pytest

from cqox.exports import export
from cqox.exports.tidy import COLUMNS, tidy_csv
from tests.exports.reports import ENGLISH, JAPANESE, STUDIES_OF, decision, estimate, evil, exported, made, of_study


@pytest.fixture(autouse=True)
def long_cells():
    """The limit of cells is the process's, and readers of data sets lower it."""
    before = csv.field_size_limit(1 << 20)
    yield
    csv.field_size_limit(before)


def rows(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(content.decode("utf-8-sig"), newline="")))


@pytest.mark.parametrize("kind", STUDIES_OF)
def test_there_is_a_row_for_every_estimator_with_its_numbers_exact(kind):
    report, _ = of_study(kind)
    content = exported(kind, "csv")
    found = rows(content)
    assert tuple(found[0]) == COLUMNS
    assert [row["estimator"] for row in found] == [each.name for each in report.estimates]
    for row, each in zip(found, report.estimates, strict=True):
        names = {
            "estimate": each.estimate, "std_error": each.standard_error, "conf_low": each.ci_lower,
            "conf_high": each.ci_upper, "p_value": each.p_value, "n": each.n,
        }  # fmt: skip
        assert {name: None if row[name] == "" else float(row[name]) for name in names} == names
    assert [row["estimator"] for row in found if row["primary"] == "true"] == [report.decision.primary]
    frame = pl.read_csv(BytesIO(content), infer_schema_length=None)
    assert frame.schema["estimate"] == pl.Float64
    assert content.endswith(b"\r\n")


def test_units_are_those_of_the_outcome_or_none():
    found = [
        estimate("aipw"),
        estimate("rd_density_test", estimand="density jump"),
        estimate("dose_average_derivative", estimand="average derivative"),
    ]
    assert [row["units"] for row in rows(tidy_csv(made(estimates=found), ENGLISH))] == [
        "units of sales", "", "units of sales per unit of campaign",
    ]  # fmt: skip
    japanese = rows(tidy_csv(made(estimates=found), JAPANESE))
    assert japanese[0]["units"] == "salesの単位"
    assert (japanese[0]["outcome"], japanese[0]["term"], japanese[0]["conf_level"]) == ("sales", "campaign", "0.95")


def test_a_byte_order_mark_is_there_only_where_excel_needs_it():
    assert exported("trial", "csv").isascii()
    japanese = exported("trial", "csv", "ja")
    assert japanese.startswith(b"\xef\xbb\xbf")
    assert pl.read_csv(BytesIO(japanese), infer_schema_length=None).columns[0] == "estimator"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", " =1", "\u3000=1", "＝1", "－1", "\r=1"])
def test_a_text_that_a_spreadsheet_would_compute_begins_with_an_apostrophe(text):
    mapping = {"y": text, "treatment": "w"}
    (row,) = rows(tidy_csv(made(mapping=mapping, estimates=[estimate("aipw", -2.0, contrast=text)]), ENGLISH))
    assert row["outcome"].startswith("'")
    assert row["contrast"].startswith("'")
    assert row["estimate"] == "-2.0"


def test_no_cell_of_a_study_with_formulas_as_names_begins_with_one():
    report, _ = evil()
    for row in rows(export(report, "csv")):
        for name, cell in row.items():
            if name not in ("estimate", "conf_low", "conf_high"):
                assert not cell.startswith(("=", "+", "-", "@"))
    assert rows(export(report, "csv"))[0]["contrast"] == "<b>A</b> vs control"


def test_failures_are_rows_with_their_reason():
    found = [estimate("psm_ate", None, status="failed", reason="It broke,\nbadly.")]
    (row,) = rows(tidy_csv(made(estimates=found, decision=decision(primary=None)), ENGLISH))
    assert (row["status"], row["reason"], row["estimate"], row["primary"]) == (
        "failed", "It broke, badly.", "", "false",
    )  # fmt: skip
