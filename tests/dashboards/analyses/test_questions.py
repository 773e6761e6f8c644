"""Tables of questions: grouped by data set, outcome and treatment after their names were opened."""

from collections.abc import Sequence

from cqox.dashboards import PanelAnswer, Span
from cqox.dashboards.analyses.questions import (
    QUESTIONS,
    drift_lines,
    drift_table,
    effects,
    looks,
    waiting,
    waiting_count,
)
from cqox.dashboards.analyses.shapes import Shape
from cqox.dashboards.views import ViewRows

DAY = 86_400
SPAN = Span(start=0, end=10 * DAY, step=DAY)


def study(key: str, day: int, **values: str | float | None) -> dict[str, str | float | None]:
    known: dict[str, str | float | None] = dict.fromkeys(QUESTIONS.columns)
    return {
        **known,
        "created_second": day * DAY,
        "analysis_id": key,
        "dataset_id": "d",
        "outcome": "y",
        "treatment": "w",
        "verdict": "GO",
        "primary_name": "aipw",
        "estimate": 1.0,
        "annotated": 0,
        **values,
    }


def asked(shape: Shape, *studies: dict[str, str | float | None]) -> PanelAnswer | None:
    newest_first = sorted(studies, key=lambda each: -float(each["created_second"] or 0))
    rows = [tuple(each[name] for name in QUESTIONS.columns) for each in newest_first]
    return shape([ViewRows(rows=rows)], SPAN)


def cells(answer: PanelAnswer | None) -> Sequence[Sequence[object]]:
    assert answer is not None
    assert answer.rows is not None
    assert all(len(row) == len(answer.columns or ()) for row in answer.rows)
    return answer.rows


def test_a_question_that_was_asked_twice_is_a_look_and_others_are_none() -> None:
    studies = (
        study("a", 1),
        study("b", 2, verdict="HOLD"),
        study("c", 3, outcome="z"),
        study("d", 4, dataset_id="e", dataset_name="e.csv"),
    )
    assert cells(asked(looks, *studies)) == [["d", "y", "w", 2.0, "GO 1, HOLD 1", "/a/b"]]
    assert asked(looks, studies[0], *studies[2:]) is None


def test_the_newest_answer_of_a_question_waits_until_somebody_writes_about_it() -> None:
    studies = (
        study("a", 1, verdict="HOLD"),
        study("b", 2, verdict="CANARY", dataset_name="d.csv"),
        study("c", 1, outcome="z", verdict="HOLD"),
        study("e", 3, outcome="x", verdict="HOLD", annotated=1),
        study("f", 3, outcome="v", verdict="HOLD"),
        study("g", 4, outcome="v", verdict="GO"),
    )
    assert cells(asked(waiting, *studies)) == [
        ["1970-01-02T00:00:00Z", 9.0, "HOLD", "d", "z", "w", "aipw", "/a/c"],
        ["1970-01-03T00:00:00Z", 8.0, "CANARY", "d.csv", "y", "w", "aipw", "/a/b"],
    ]
    counted = asked(waiting_count, *studies)
    assert counted is not None
    assert counted.lines[0].points == [(10 * DAY, 2.0)]
    assert asked(waiting, studies[-1]) is None
    none_waits = asked(waiting_count, studies[-1])
    assert none_waits is not None
    assert none_waits.lines[0].points == [(10 * DAY, 0.0)]
    assert asked(waiting_count) is None


def test_the_newest_effect_of_each_question_is_shown() -> None:
    studies = (study("a", 1), study("b", 2, ci_lower=0.5, ci_upper=1.5, minimum_effect=0.2), study("c", 3, outcome="z"))
    assert [row[3:] for row in cells(asked(effects, *studies))] == [
        [1.0, None, None, None, "GO", "/a/c"],
        [1.0, 0.5, 1.5, 0.2, "GO", "/a/b"],
    ]
    assert asked(effects, study("a", 1, estimate=None)) is None


def test_the_drift_of_a_baseline_is_from_one_data_set_to_the_next() -> None:
    studies = (
        study("a", 1, dataset_id="one", baseline=8.0),
        study("b", 2, dataset_id="one", baseline=10.0),
        study("c", 3, dataset_id="two", baseline=15.0),
        study("d", 4, dataset_id="three", baseline=None),
        study("e", 5, dataset_id="four", baseline=12.0),
        study("f", 5, dataset_id="four", outcome="z", baseline=0.0),
        study("g", 6, dataset_id="five", outcome="z", baseline=1.0),
    )
    assert cells(asked(drift_table, *studies)) == [
        ["y", "one", "two", 10.0, 15.0, 0.5, "/a/c"],
        ["y", "two", "four", 15.0, 12.0, -0.2, "/a/e"],
        ["z", "four", "five", 0.0, 1.0, None, "/a/g"],
    ]
    drawn = asked(drift_lines, *studies)
    assert drawn is not None
    assert {line.name: list(line.points) for line in drawn.lines} == {
        "y": [(2 * DAY, 10.0), (3 * DAY, 15.0), (5 * DAY, 12.0)],
        "z": [(5 * DAY, 0.0), (6 * DAY, 1.0)],
    }
    assert asked(drift_table, studies[0]) is None
    assert asked(drift_lines, study("a", 1)) is None
