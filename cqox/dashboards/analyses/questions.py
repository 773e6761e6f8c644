"""Tables of questions: data set, outcome and treatment. The store may hold their names encrypted, and cannot group."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

from cqox.contract.messages import Message
from cqox.dashboards.analyses.shapes import Shown, report_path, time_of, value_of
from cqox.dashboards.answers import Cell, Line, PanelAnswer, Span
from cqox.dashboards.views import ViewQuery, ViewRows

__all__ = ["QUESTIONS", "drift_lines", "drift_table", "effects", "looks", "waiting", "waiting_count"]

_MOST = 2_000
_DAY_SECONDS = 86_400.0

type _Study = Mapping[str, str | float | None]

QUESTIONS = ViewQuery(
    view="dashboard_analyses",
    columns=(
        "created_second", "analysis_id", "dataset_id", "dataset_name", "outcome", "treatment", "verdict",
        "primary_name", "estimate", "ci_lower", "ci_upper", "minimum_effect", "baseline", "annotated",
    ),
    order=("-created_second", "analysis_id"),
    most_rows=_MOST,
    most_analyses=_MOST,
)  # fmt: skip
"""The newest analyses with their names."""


def looks(found: Sequence[ViewRows], span: Span) -> Shown | None:
    """Return the questions that were asked more than once, most often first, with their verdicts."""
    rows: list[list[Cell]] = []
    for studies in _by_question(found[0]):
        if len(studies) > 1:
            verdicts = Counter(str(study["verdict"]) for study in studies)
            said = ", ".join(f"{verdict} {count}" for verdict, count in sorted(verdicts.items()))
            rows.append([*_names(studies[0]), float(len(studies)), said, report_path(studies[0]["analysis_id"])])
    rows.sort(key=lambda row: -value_of(row[3]))
    return _table(rows, "data-set", "outcome", "treatment", "analyses", "verdicts", "report")


def waiting(found: Sequence[ViewRows], span: Span) -> Shown | None:
    """Return the questions whose newest analysis is no GO and that nobody has written about, the oldest first."""
    rows: list[list[Cell]] = [
        [
            time_of(study["created_second"]),
            round(max(0.0, span.end - value_of(study["created_second"])) / _DAY_SECONDS, 1),
            study["verdict"],
            *_names(study),
            study["primary_name"],
            report_path(study["analysis_id"]),
        ]
        for study in _waiting(found[0])
    ]
    return _table(rows, "since", "days", "verdict", "data-set", "outcome", "treatment", "primary", "report")


def waiting_count(found: Sequence[ViewRows], span: Span) -> Shown | None:
    """Return the number of questions that wait."""
    if not found[0].rows:
        return None
    value = float(len(_waiting(found[0])))
    return PanelAnswer(lines=[Line(name=Message("studies.word-waiting"), points=[(span.end, value)])])


def effects(found: Sequence[ViewRows], span: Span) -> Shown | None:
    """Return the newest estimate of each question with its interval and the minimum effect."""
    figures = ("estimate", "ci_lower", "ci_upper", "minimum_effect", "verdict")
    newest = [studies[0] for studies in _by_question(found[0])]
    rows: list[list[Cell]] = [
        [*_names(study), *(study[name] for name in figures), report_path(study["analysis_id"])]
        for study in newest
        if study["estimate"] is not None
    ]
    return _table(
        rows, "data-set", "outcome", "treatment", "estimate", "lower", "upper", "minimum", "verdict", "report"
    )


def drift_lines(found: Sequence[ViewRows], span: Span) -> Shown | None:
    """Return a line for each outcome: its baseline in one data set after the other."""
    lines = [
        Line(
            name=outcome, points=[(value_of(study["created_second"]), value_of(study["baseline"])) for study in studies]
        )
        for outcome, studies in _baselines(found[0]).items()
    ]
    return PanelAnswer(lines=lines) if lines else None


def drift_table(found: Sequence[ViewRows], span: Span) -> Shown | None:
    """Return the change of each outcome's baseline from one data set to the next, the greatest first."""
    rows: list[list[Cell]] = []
    for outcome, studies in _baselines(found[0]).items():
        for before, after in pairwise(studies):
            old, new = value_of(before["baseline"]), value_of(after["baseline"])
            change = (new - old) / abs(old) if old else None
            rows.append(
                [outcome, _data_set(before), _data_set(after), old, new, change, report_path(after["analysis_id"])]
            )
    rows.sort(key=lambda row: -abs(value_of(row[5])))
    return _table(rows, "outcome", "data-set-before", "data-set", "baseline-before", "baseline", "change", "report")


def _baselines(rows: ViewRows) -> dict[str, list[_Study]]:
    """Return the newest analysis of each outcome and data set that has a baseline, by outcome, the oldest first."""
    newest: dict[tuple[str, str], _Study] = {}
    for study in _studies(rows):
        if study["outcome"] is not None and study["baseline"] is not None:
            newest.setdefault((str(study["outcome"]), str(study["dataset_id"])), study)
    found: dict[str, list[_Study]] = {}
    for (outcome, _), study in sorted(newest.items(), key=lambda pair: value_of(pair[1]["created_second"])):
        found.setdefault(outcome, []).append(study)
    return dict(sorted(found.items()))


def _waiting(rows: ViewRows) -> Sequence[_Study]:
    newest = [studies[0] for studies in _by_question(rows)]
    found = [study for study in newest if study["verdict"] in ("CANARY", "HOLD") and not study["annotated"]]
    return sorted(found, key=lambda study: value_of(study["created_second"]))


def _by_question(rows: ViewRows) -> Sequence[Sequence[_Study]]:
    """Return the analyses of each question, the newest first."""
    found: dict[tuple[object, ...], list[_Study]] = {}
    for study in _studies(rows):
        found.setdefault((study["dataset_id"], study["outcome"], study["treatment"]), []).append(study)
    return list(found.values())


def _studies(rows: ViewRows) -> Sequence[_Study]:
    return [dict(zip(QUESTIONS.columns, row, strict=True)) for row in rows.rows]


def _names(study: _Study) -> list[Cell]:
    return [_data_set(study), study["outcome"], study["treatment"]]


def _data_set(study: _Study) -> str:
    return str(study["dataset_name"] or study["dataset_id"])


_HEADINGS: Mapping[str, Message] = {
    "analyses": Message("studies.column-analyses"),
    "baseline": Message("studies.column-baseline"),
    "baseline-before": Message("studies.column-baseline-before"),
    "change": Message("studies.column-change"),
    "data-set": Message("studies.column-data-set"),
    "data-set-before": Message("studies.column-data-set-before"),
    "days": Message("studies.column-days"),
    "estimate": Message("studies.column-estimate"),
    "lower": Message("studies.column-lower"),
    "minimum": Message("studies.column-minimum"),
    "outcome": Message("studies.column-outcome"),
    "primary": Message("studies.column-primary"),
    "report": Message("studies.column-report"),
    "since": Message("studies.column-since"),
    "treatment": Message("studies.column-treatment"),
    "upper": Message("studies.column-upper"),
    "verdict": Message("studies.column-verdict"),
    "verdicts": Message("studies.column-verdicts"),
}


def _table(rows: Sequence[Sequence[Cell]], *names: str) -> Shown | None:
    return PanelAnswer(columns=[_HEADINGS[name] for name in names], rows=rows) if rows else None
