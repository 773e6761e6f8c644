"""The history of measured ratios and the page that is made from it."""

import re
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from benchmarks import _history, _history_page
from benchmarks._history import Line, Ratio, appended, by_release, lines, record

ROOT = Path(__file__).parents[2]
RATIO = Ratio(
    case="OLS, 10 rows", ratio=4.0, better="higher", unit="ms", ours=1.0, theirs=4.00004, peer="statsmodels",
    peer_version="1.0", threads=2, peer_threads=1,
)  # fmt: skip
LINE = Line(
    **asdict(RATIO), date="2026-01-01", version="0.9.0", commit="abc", source="measured", cpus=2, benchmark="estimators"
)


def test_the_page_is_made_from_the_history() -> None:
    written = (ROOT / "docs" / "speed-history.md").read_text(encoding="utf-8")
    assert _history_page.page(lines()) == written, "run: python -m benchmarks --history"


def test_the_page_of_speed_shows_the_last_ratio_of_each_estimator() -> None:
    page = (ROOT / "docs" / "speed.md").read_text(encoding="utf-8")
    printed = re.findall(r"^.{16,22} +([\d,]+) +\d+ +[\d.]+ +[\d.]+ +([\d.]+)x  >=", page, re.MULTILINE)
    last = [line for line in lines() if line.benchmark == "estimators"][-len(printed) :]
    for (rows, ratio), line in zip(printed, last, strict=True):
        assert f", {rows} rows" in line.case
        assert line.ratio == pytest.approx(float(ratio), abs=0.06), line.case


def test_a_line_says_where_its_figure_is_from() -> None:
    for line in lines():
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", line.date)
        assert line.source == "measured" or (ROOT / line.source).is_relative_to(ROOT / "docs")
        assert (ROOT / "benchmarks" / f"{line.benchmark}.py").exists()
        assert line.ratio > 0


def test_the_lines_of_the_first_release_are_read_from_its_pages() -> None:
    first = [line for line in lines() if line.version == "0.1.0"]
    assert {line.source for line in first} == {"docs/speed.md", "docs/resilience/README.md"}
    assert {line.commit for line in first} == {None}


def test_a_run_appends_a_line_for_each_ratio(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    file.write_text(_history.text_of(LINE))
    with appended("estimators", file):
        record(RATIO)
        record(replace(RATIO, case="OLS, 20 rows"))
    before, *added = lines(file)
    assert before == replace(LINE, theirs=4.0)
    assert [line.case for line in added] == ["OLS, 10 rows", "OLS, 20 rows"]
    assert {(line.source, line.version, line.cpus) for line in added} == {
        ("measured", _history.version(), _history.cpus())
    }


def test_a_run_that_fails_appends_nothing(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    file.touch()

    def fail() -> None:
        with appended("estimators", file):
            record(RATIO)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    record(RATIO)
    assert lines(file) == []


def test_changed_code_has_no_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"status": "", "rev-parse": "0123456789ab"}
    monkeypatch.setattr(_history, "_git", lambda command, *_: answers[command])
    assert _history._commit() == "0123456789ab"
    answers["status"] = " M cqox/errors.py"
    assert _history._commit() is None


def test_a_release_has_the_last_run_of_each_case_and_releases_are_in_the_order_of_their_numbers() -> None:
    history = [replace(LINE, version="0.10.0"), LINE, replace(LINE, ratio=5.0)]
    found = by_release(history)
    assert list(found) == ["0.9.0", "0.10.0"]
    assert found["0.9.0"]["estimators", "OLS, 10 rows"].ratio == 5.0


def test_the_page_shows_each_release_and_the_change_between_the_last_two() -> None:
    history = [
        replace(LINE, version="0.1.0", peer_version=None, ratio=4.0),
        LINE,
        replace(LINE, version="0.10.0", ratio=3.0, peer_version="1.1"),
        replace(LINE, version="0.10.0", case="OLS, 20 rows", ratio=0.94),
    ]
    page = _history_page.page(history)
    assert "| case | compared with | 0.1.0 | 0.9.0 | 0.10.0 | change |\n" in page
    assert "| OLS, 10 rows | statsmodels 1.0, 1.1 | 4.0x | 4.0x | 3.0x | -25% |\n" in page
    assert "| OLS, 20 rows | statsmodels 1.0 |  |  | 0.94x |  |\n" in page
