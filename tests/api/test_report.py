"""A report as Python values."""

import json
import sys
from pathlib import Path

import altair as alt
import pandas as pd
import polars as pl
import pytest

from cqox.api.calls import analyze
from cqox.api.report import Report
from cqox.api.session import Session
from cqox.errors import InvalidRequest, NotFound
from tests.api.conftest import trial


def test_its_parts_are_typed(report: Report) -> None:
    assert report.verdict == report.decision.verdict == "GO"
    assert report.primary is not None
    assert report.primary.name == report.decision.primary
    assert report.effect is not None
    assert report.effect.estimate == report.primary.estimate
    assert report.identification is not None
    assert next(entry.status for entry in report.identification.assumptions) == "declared"
    assert report.gates["overlap"].status in ("pass", "warn", "not_applicable")
    assert report.options["assignment"] == "randomized"
    assert report.mapping["y"] == "sales"
    assert report.headline


def test_an_estimate_is_found_by_name_and_several_are_named(report: Report, session: Session) -> None:
    assert report["aipw"].estimate == pytest.approx(2.0, abs=0.4)
    with pytest.raises(KeyError, match=r"there are .*aipw"):
        _ = report["apiw"]
    three = trial().assign(campaign=lambda data: data["age"].rank().astype(int) % 3)
    several = analyze(three, y="sales", treatment="campaign", session=session)
    with pytest.raises(KeyError, match=r"an estimate for each contrast: .*'1 vs 0'") as caught:
        _ = several["ols_adjustment"]
    assert "ols_adjustment" in str(caught.value)
    assert several["ols_adjustment", "1 vs 0"].contrast == "1 vs 0"


def test_the_tidy_frame_is_of_the_library_that_came_in(report: Report, session: Session) -> None:
    frame = report.to_frame()
    assert isinstance(frame, pd.DataFrame)
    assert len(frame) == len(report.estimates)
    row = frame.set_index("estimator").loc["aipw"]
    assert row["estimate"] == report["aipw"].estimate
    assert row["conf_low"] < row["estimate"] < row["conf_high"]
    other = analyze(pl.DataFrame(trial().to_dict("list")), y="sales", treatment="campaign", session=session)
    assert isinstance(other.to_frame(), pl.DataFrame)
    assert other.to_frame()["n"].dtype == pl.Int64


def test_figures_are_charts_and_files(report: Report, tmp_path: Path) -> None:
    assert "forest" in report.figures
    chart = report.figure("forest")
    assert isinstance(chart, alt.LayerChart | alt.Chart | alt.HConcatChart | alt.VConcatChart)
    assert json.loads(report.draw("forest", "json"))["$schema"] == chart.to_dict()["$schema"]
    assert report.draw("forest").startswith(b"<svg")
    assert report.draw("forest", "png").startswith(b"\x89PNG")
    with pytest.raises(NotFound) as caught:
        report.figure("forrest")
    assert (caught.value.choices or ())[0] == "forest"
    assert "Did you mean forest?" in str(caught.value)
    assert f"The figures are {', '.join(report.figures)}." in str(caught.value)
    written = report.save_figures(tmp_path / "new" / "figures", formats=("svg", "json"))
    assert written["forest"] == [tmp_path / "new" / "figures" / f"forest.{suffix}" for suffix in ("svg", "json")]
    assert (tmp_path / "new" / "figures" / "forest.svg").read_bytes().startswith(b"<svg")


def test_a_figure_is_written_in_formats_that_there_are(report: Report, tmp_path: Path) -> None:
    for write in (
        lambda: report.save_figures(tmp_path / "new", formats=["svg", "jpg"]),  # type: ignore[list-item]
        lambda: report.draw("forest", "jpg"),  # type: ignore[arg-type]
    ):
        with pytest.raises(InvalidRequest, match="'jpg'") as caught:
            write()
        assert list(caught.value.choices or ()) == ["svg", "png", "json"]
    assert not (tmp_path / "new").exists()


def test_another_language_changes_sentences_and_figures_alone(report: Report) -> None:
    japanese = report.in_language("ja")
    assert japanese.language == "ja"
    assert japanese.headline != report.headline
    assert japanese["aipw"].estimate == report["aipw"].estimate
    assert japanese.draw("forest", "json") != report.draw("forest", "json")
    assert japanese.in_language("en").to_dict() == report.to_dict()


def test_what_is_changed_in_a_copy_stays_there(report: Report) -> None:
    document = report.to_dict()
    document["decision"] = {}
    assert report.to_dict()["decision"] != {}


def test_a_terminal_shows_the_answer(report: Report) -> None:
    text = repr(report)
    assert report.headline in text
    assert f"Verdict: GO on {report.decision.primary}" in text
    assert "aipw" in text
    assert "\x1b[" not in text
    assert "処置" in repr(report.in_language("ja"))


def test_json_is_written_and_returned(report: Report, tmp_path: Path) -> None:
    text = report.to_json(tmp_path / "report.json")
    assert json.loads((tmp_path / "report.json").read_text()) == json.loads(text) == report.to_dict()


def test_it_is_written_in_every_format(report: Report, tmp_path: Path) -> None:
    page = report.to_html()
    assert isinstance(page, str)
    assert report.headline in page
    assert page.count("<svg") == len(report.figures)
    assert report.to_pdf(tmp_path / "r.pdf").read_bytes().startswith(b"%PDF-")
    for path in (report.to_pptx(tmp_path / "r.pptx"), report.to_docx(tmp_path / "r.docx")):
        assert path.read_bytes().startswith(b"PK")
    markdown, table = report.to_markdown(), report.to_csv()
    assert isinstance(markdown, str)
    assert markdown.startswith("# Effect of ")
    assert isinstance(table, str)
    assert len(table.splitlines()) == len(report.estimates) + 1
    assert "判定" in str(report.in_language("ja").to_markdown())


def test_members_of_a_later_version_are_kept_and_not_needed(report: Report) -> None:
    document = report.to_dict()
    document |= {"later": 1, "decision": {**document["decision"], "later": 2}}  # type: ignore[dict-item]
    later = Report(document, report._source)
    assert later.headline == report.headline
    assert later.to_dict() == document


def test_without_altair_a_figure_names_what_to_install(report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "altair", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install altair.*Report\.draw"):
        report.figure("forest")
    assert report.draw("forest", "json").startswith(b"{")
