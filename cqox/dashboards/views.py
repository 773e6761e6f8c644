"""Views of the result store about analyses: their columns, and the questions that panels ask of them.

Every view has `tenant_id`, by which the store selects, and `created_second`, by which a question selects its span. The
columns are the same in SQLite and PostgreSQL. Names that can be encrypted (`SEALED`) are shown and never grouped by.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = ["LOOKED_UP", "SEALED", "VIEWS", "Column", "Kind", "Measure", "ViewQuery", "ViewRows"]

type Kind = Literal["text", "integer", "real"]
"""Kind of a column's values; each may be absent but where the column says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a view.

    Attributes:
        kind: of its values.
        source: the column of the table below.
        meaning: what it holds, with its unit.
    """

    kind: Kind
    source: str
    meaning: str


def _column(kind: Kind, source: str, meaning: str) -> Column:
    return Column(kind=kind, source=source, meaning=meaning)


_OF_EVERY: Mapping[str, Column] = {
    "tenant_id": _column("text", "tenant_id", "whose analysis it is"),
    "analysis_id": _column("text", "analysis_id", "id of the report"),
    "created_second": _column("integer", "created_second", "when it was computed, seconds since the epoch"),
}

SEALED: Mapping[str, tuple[str, str]] = {
    "outcome": ("report", "analysis_id"),
    "treatment": ("report", "analysis_id"),
    "dataset_name": ("dataset", "dataset_id"),
}
"""Columns that are encrypted where the installation encrypts: the record that has them, and the column of its id."""

LOOKED_UP: Mapping[str, str] = {"dataset_name": "dataset_id"}
"""Columns that questions may name and no view has, with the column by which they are looked up: the name of a data set
that is not deleted. A view of the registry would keep a dump of an earlier release from being restored over it.
"""

VIEWS: Mapping[str, Mapping[str, Column]] = {
    "dashboard_analyses": {
        **_OF_EVERY,
        "dataset_id": _column("text", "dataset_id", "the data set that was analysed"),
        "outcome": _column("text", "outcome", "column of the outcome"),
        "treatment": _column("text", "treatment", "column of the treatment; absent where the design defines it"),
        "status": _column("text", "status", "`ok`, `warning` or `failed`"),
        "verdict": _column("text", "verdict", "`GO`, `CANARY` or `HOLD`"),
        "primary_name": _column("text", "primary_name", "the estimator that the verdict rests on"),
        "family": _column("text", "family", "family of that estimator"),
        "design": _column("text", "design", "design of the ledger; absent without an effect, and in older reports"),
        "assignment": _column("text", "assignment", "`options.assignment`"),
        "dataset_rows": _column("integer", "dataset_rows", "rows of the data set"),
        "rows_used": _column("integer", "rows_used", "most rows that an estimator used"),
        "mapped_columns": _column("integer", "mapped_columns", "columns that the request maps to roles"),
        "seconds": _column("real", "seconds", "time of the computation"),
        "estimate": _column("real", "estimate", "the primary estimate, in units of the outcome"),
        "standard_error": _column("real", "standard_error", "its standard error"),
        "ci_lower": _column("real", "ci_lower", "lower end of its interval"),
        "ci_upper": _column("real", "ci_upper", "upper end of its interval"),
        "minimum_effect": _column("real", "minimum_effect", "`options.minimum_effect`, in units of the outcome"),
        "better": _column("text", "better", "`higher` or `lower`"),
        "position": _column(
            "text", "position", "the interval against the minimum effect: `beyond`, `around`, `short` or `unbounded`"
        ),
        "baseline": _column("real", "baseline", "mean outcome without treatment; absent where it cannot be said"),
        "relative": _column("real", "relative", "the estimate over the baseline"),
        "replications": _column("integer", "replications", "`options.refute`"),
        "lowest": _column("real", "lowest", "smallest estimate of the primary's estimand"),
        "highest": _column("real", "highest", "greatest estimate of the primary's estimand"),
        "annotated": _column("integer", "annotated", "1 where people have given it a title or notes, else 0"),
        "code_version": _column("text", "code_version", "the program that computed it"),
    },
    "dashboard_estimators": {
        **_OF_EVERY,
        "name": _column("text", "name", "the estimator"),
        "family": _column("text", "part", "its family"),
        "estimand": _column("text", "detail", "its estimand"),
        "status": _column("text", "status", "`ok`, `warning`, `skipped` or `failed`"),
        "reason": _column("text", "reason", "code of the message that says why there is no estimate"),
        "role": _column("text", "about", "the role that it needs and the request does not map"),
        "estimate": _column("real", "value", "its estimate, in units of the outcome"),
        "standard_error": _column("real", "standard_error", "its standard error"),
        "ci_lower": _column("real", "lower_end", "lower end of its interval"),
        "ci_upper": _column("real", "upper_end", "upper end of its interval"),
        "p_value": _column("real", "p_value", "its p-value"),
        "rows_used": _column("integer", "amount", "rows that it used"),
        "seconds": _column("real", "seconds", "time that it took"),
    },
    "dashboard_gates": {
        **_OF_EVERY,
        "name": _column("text", "name", "the gate"),
        "status": _column("text", "status", "`pass`, `warn`, `fail` or `not_applicable`"),
        "value": _column("real", "value", "what it measures"),
        "threshold": _column("real", "threshold", "its limit"),
    },
    "dashboard_assumptions": {
        **_OF_EVERY,
        "name": _column("text", "name", "the assumption of the ledger"),
        "status": _column("text", "status", "`supported`, `declared`, `untested` or `contradicted`"),
        "caps": _column("integer", "amount", "1 where it holds the verdict at CANARY while it is untested, else 0"),
    },
    "dashboard_refuters": {
        **_OF_EVERY,
        "name": _column("text", "name", "the refuter"),
        "status": _column("text", "status", "`stands`, `contradicted` or `not_run`"),
        "mean": _column("real", "value", "mean of its estimates"),
        "spread": _column("real", "standard_error", "their standard deviation"),
        "p_value": _column("real", "p_value", "its p-value"),
        "computed": _column("integer", "amount", "replications that gave an estimate"),
    },
    "dashboard_roles": {
        **_OF_EVERY,
        "name": _column("text", "name", "the role"),
        "status": _column(
            "text",
            "status",
            "the request against the suggestion: `same`, `other`, `unsuggested`, `left_out` or `unknown`",
        ),
        "mapped": _column("integer", "amount", "columns that the request maps to it"),
    },
    "dashboard_findings": {
        **_OF_EVERY,
        "name": _column("text", "name", "code of the data finding"),
        "severity": _column("text", "part", "`note` or `caps`"),
        "status": _column("text", "status", "`open` or `accepted`"),
    },
    "dashboard_reuses": {
        **_OF_EVERY,
        "cached": _column("integer", "cached", "answers from a cache or the store on this day"),
        "shared": _column("integer", "shared", "answers that shared a computation under way on this day"),
        "seconds": _column("real", "seconds", "time of one computation"),
        "seconds_saved": _column("real", "seconds_saved", "that time for each of these answers"),
    },
}
"""Columns of each view, in their order. The seconds of `dashboard_reuses` are those of the day's beginning in UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A figure of a group of rows.

    Attributes:
        name: of the figure in the answer.
        how: `count` counts rows, the others take a column.
        column: of the view.
    """

    name: str
    how: Literal["count", "sum", "mean", "lowest", "highest"]
    column: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewQuery:
    """A question to a view, about the analyses of one tenant in a span of time.

    Attributes:
        view: its name.
        columns: columns of the answer; with `measures` rows are grouped by them.
        measures: figures of each group, after the columns.
        where: columns with the values that are wanted; an empty tuple means any value but none at all.
        each_step: whether the span is divided into steps; the first column is then the beginning of the step.
        order: columns or measures to order by, with `-` for descending.
        most_rows: maximum number of rows.
        most_analyses: number of analyses, the newest of the span, that the answer is about.

    Raises:
        ValueError: the view or a column does not exist, or rows are grouped by a name that can be encrypted.
    """

    view: str
    columns: tuple[str, ...] = ()
    measures: tuple[Measure, ...] = ()
    where: tuple[tuple[str, tuple[str, ...]], ...] = ()
    each_step: bool = False
    order: tuple[str, ...] = ()
    most_rows: int = 5_000
    most_analyses: int = 2_000

    def __post_init__(self) -> None:
        """Check the names: they become part of SQL."""
        if self.view not in VIEWS:
            raise ValueError(f"there is no view {self.view}")
        known = {*VIEWS[self.view], *(name for name, of in LOOKED_UP.items() if of in VIEWS[self.view])}
        measured = [each.column for each in self.measures if each.how != "count"]
        figures = [each.name for each in self.measures]
        asked = [*self.columns, *measured, *(name for name, _ in self.where)]
        asked += [name for each in self.order if (name := each.removeprefix("-")) not in figures]
        if wrong := [name for name in asked if name not in known]:
            raise ValueError(f"the view {self.view} has no column {wrong[0]}")
        if not all(name.replace("_", "").isalpha() for name in figures):
            raise ValueError("a figure is named by letters")
        sealed = SEALED.keys() & {*self.columns, *(name for name, _ in self.where)}
        if sealed and (self.measures or any(values for name, values in self.where if name in sealed)):
            raise ValueError(f"rows cannot be grouped or selected by {min(sealed)}, which can be encrypted")
        if missing := {SEALED[name][1] for name in sealed} - set(self.columns):
            raise ValueError(f"a name is opened by its {min(missing)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewRows:
    """The answer to a `ViewQuery`.

    Attributes:
        rows: values in the order of the question: the step if asked, columns, measures.
        since: the second from which on analyses are counted, where more lie in the span than the question is about.
        is_cut: whether there are more rows.
    """

    rows: Sequence[tuple[str | float | None, ...]]
    since: int | None = None
    is_cut: bool = False
