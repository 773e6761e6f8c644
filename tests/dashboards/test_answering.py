"""Answers name their lines, are bounded, and say why there is nothing."""

import math

from cqox.contract.messages import Message
from cqox.dashboards import MOST_LINES, Gauge, Legend, Panel, Ratio, Sum, View
from cqox.dashboards.answering import answer_of, labels_of, line_name, metric_queries
from cqox.telemetry.metric_definitions import Series

TEXT = Message("text.verbatim", text="a")
LEVEL = Series(name="level", kind="gauge", unit="1", meaning="")
BY = Gauge(series=LEVEL, by=("job", "part"), legend=Legend(labels=("job", "part")))
PANEL = Panel(id="a", title=TEXT, help=TEXT, queries=(BY,))


def test_a_line_has_a_word_in_the_language_of_the_reader_and_its_labels() -> None:
    legend = Legend(word=Message("dashboards.word-waiting"), labels=("job", "part"))
    assert line_name(legend, {"job": "gateway", "part": ""}, "en") == "waiting gateway"
    assert line_name(legend, {"job": "gateway", "part": "disk"}, "ja") == "待機中 gateway disk"
    assert line_name(Legend(labels=("job", "part")), {"job": "404", "part": "404"}, "en") == "404"
    assert line_name(Legend(), {}, "en") == "–"


def test_a_time_without_a_value_has_no_point_and_a_line_without_points_is_none() -> None:
    values = {("x", "a"): [1.0, math.nan, 3.0], ("x", "b"): [math.nan] * 3, ("x", "c"): [math.inf, 1.0, 1.0]}
    found = answer_of(PANEL, [values], [10.0, 20.0, 30.0], language="en")
    assert [(line.name, list(line.points)) for line in found.lines] == [
        ("x a", [(10.0, 1.0), (30.0, 3.0)]),
        ("x c", [(20.0, 1.0), (30.0, 1.0)]),
    ]
    assert found.lines[0].labels == {"job": "x", "part": "a"}
    assert found.reason is None


def test_without_a_value_the_answer_says_so() -> None:
    found = answer_of(PANEL, [{}], [10.0], language="en")
    assert found.reason is not None
    assert "Nothing was recorded" in found.reason


def test_the_greatest_lines_are_kept_in_their_order_and_a_note_counts_the_rest() -> None:
    values = {("x", f"{number:03}"): [float(number)] for number in range(MOST_LINES + 5)}
    found = answer_of(PANEL, [values], [10.0], language="en")
    assert [line.labels["part"] for line in found.lines] == [f"{number:03}" for number in range(5, MOST_LINES + 5)]
    assert [note.code for note in found.notes] == ["dashboards.lines-cut"]


def test_labels_are_those_of_the_whole_and_of_the_first_part() -> None:
    assert labels_of(Ratio(part=BY, whole=BY)) == labels_of(Sum(parts=(BY, BY))) == labels_of(BY) == ("job", "part")


def test_views_are_no_queries_of_time_series() -> None:
    panel = Panel(id="a", title=TEXT, help=TEXT, queries=(BY, View(name="verdicts")))
    assert metric_queries(panel) == (BY,)
