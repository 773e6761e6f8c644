"""Rows as lines, bars, numbers and tables."""

import pytest

from cqox.contract.messages import Message
from cqox.dashboards import MOST_LINES, MOST_ROWS, Panel, PanelAnswer, Span, View
from cqox.dashboards.analyses import shapes
from cqox.dashboards.analyses.shapes import Asked, Shape, answer_of
from cqox.dashboards.views import ViewQuery, ViewRows

SPAN = Span(start=100, end=130, step=10)
WORD, OTHER = Message("studies.word-go"), Message("studies.word-waiting")
NOTHING = Message("studies.looks-none")


def shown(shape: Shape, *rows: tuple[str | float | None, ...], since: int | None = None) -> PanelAnswer | None:
    return shape([ViewRows(rows=rows, since=since)], SPAN)


def lines(answer: PanelAnswer | None) -> dict[str, list[tuple[float, float]]]:
    assert answer is not None
    return {line.name: list(line.points) for line in answer.lines}


def test_counts_that_are_absent_are_zeros() -> None:
    counts = shapes.counts(words=("GO", "HOLD"))
    assert lines(shown(counts, (110, "GO", 2), (120, "CANARY", 1), (110, "GO", 1))) == {
        "GO": [(100, 0), (110, 3), (120, 0), (130, 0)],
        "HOLD": [(100, 0), (110, 0), (120, 0), (130, 0)],
        "CANARY": [(100, 0), (110, 0), (120, 1), (130, 0)],
    }
    assert shown(counts) is None


def test_counts_begin_where_analyses_are_counted() -> None:
    assert lines(shown(shapes.counts(), (120, "GO", 2), since=115)) == {"GO": [(110, 0), (120, 2), (130, 0)]}


def test_the_greatest_lines_are_kept() -> None:
    rows = [(100.0, f"gate {number:03d}", float(number)) for number in range(MOST_LINES + 5)]
    found = lines(shown(shapes.counts(), *rows))
    assert len(found) == MOST_LINES
    assert "gate 004" not in found


def test_figures_that_are_absent_have_no_point() -> None:
    assert lines(shown(shapes.figures(WORD, OTHER), (100, 1.5, None), (110, None, 2.0))) == {
        WORD: [(100, 1.5)],
        OTHER: [(110, 2.0)],
    }
    assert shown(shapes.figures(WORD), (100, None)) is None


def test_bars_are_sums_of_all_questions_the_greatest_first() -> None:
    found = shapes.bars(of=2)(
        [ViewRows(rows=[("a", None, 1), ("b", "x", 5)]), ViewRows(rows=[("a", None, 1), ("c", "y", None)])], SPAN
    )
    assert list(lines(found).items()) == [("b · x", [(130, 5)]), ("a", [(130, 2)])]
    assert shown(shapes.bars()) is None


def test_a_number_and_a_share_need_something_to_count() -> None:
    assert lines(shown(shapes.number(WORD), (3.5,))) == {WORD: [(130, 3.5)]}
    assert shown(shapes.number(WORD), (None,)) is None
    assert shown(shapes.number(WORD)) is None
    assert lines(shown(shapes.share(WORD, wanted="GO"), ("GO", 1), ("HOLD", 3))) == {WORD: [(130, 0.25)]}
    assert lines(shown(shapes.share(WORD, wanted="GO"), ("HOLD", 3))) == {WORD: [(130, 0)]}
    assert shown(shapes.share(WORD, wanted="GO")) is None


def test_a_pivot_has_a_column_for_each_word_and_the_worst_first() -> None:
    words = {"pass": WORD, "fail": OTHER}
    rows = (("a", "pass", 9), ("b", "fail", 1), ("a", "fail", 2), (None, "pass", 1))
    found = shown(shapes.pivot(NOTHING, words), *rows)
    assert found is not None
    assert (found.columns, found.rows) == ([NOTHING, WORD, OTHER], [["a", 9, 2], ["b", 0, 1], ["–", 1, 0]])
    assert shown(shapes.pivot(NOTHING, words)) is None


def test_a_table_shows_times_and_paths_of_reports() -> None:
    found = shown(shapes.table(WORD, OTHER, NOTHING), (0, None, "abc"))
    assert found is not None
    assert found.rows == [["1970-01-01T00:00:00Z", None, "/a/abc"]]
    plain = shown(shapes.table(WORD, OTHER, timed=False, reported=False), ("x", 2))
    assert plain is not None
    assert plain.rows == [["x", 2]]
    assert shown(shapes.table(WORD)) is None


def test_reports_are_counted_by_whether_their_refuters_could_contradict() -> None:
    found = shown(shapes.refuter_coverage, (0, 5), (38, 1), (39, 2), (100, 1))
    assert [points[0][1] for points in lines(found).values()] == [5, 1, 3]
    assert shown(shapes.refuter_coverage) is None


def test_reuses_are_two_lines() -> None:
    assert [list(points) for points in lines(shown(shapes.reuses, (100, 3, 0), (110, 1, 2))).values()] == [
        [(100, 3), (110, 1)],
        [(100, 0), (110, 2)],
    ]
    assert shown(shapes.reuses) is None


def an_asked(shape: Shape) -> Asked:
    panel = Panel(id="p", title=WORD, help=WORD, queries=(View(name="dashboard_gates"),))
    return Asked(
        panel=panel, queries=(ViewQuery(view="dashboard_gates", most_analyses=7),), shape=shape, nothing=NOTHING
    )


def test_an_answer_says_why_it_is_empty_and_what_it_leaves_out() -> None:
    table = an_asked(shapes.table(WORD, timed=False, reported=False))
    assert answer_of(table, [ViewRows(rows=[])], SPAN) == PanelAnswer(reason=NOTHING)
    whole = answer_of(table, [ViewRows(rows=[("x",)])], SPAN)
    assert (whole.reason, list(whole.notes)) == (None, [])
    part = answer_of(table, [ViewRows(rows=[("x",)] * (MOST_ROWS + 1), since=3_600)], SPAN)
    assert len(part.rows or ()) == MOST_ROWS
    assert [note.code for note in part.notes] == ["studies.newest-only", "studies.rows-cut"]
    assert part.notes[0].params == {"count": 7, "since": "1970-01-01T01:00:00Z"}
    assert answer_of(table, [ViewRows(rows=[("x",)], is_cut=True)], SPAN).notes


@pytest.mark.parametrize(("value", "number"), [(None, 0.0), (3, 3.0), ("2", 2.0)])
def test_an_absent_value_counts_as_zero(value: str | float | None, number: float) -> None:
    assert shapes.value_of(value) == number
    assert shapes.time_of(None) is None
    assert shapes.report_path("x") == "/a/x"
