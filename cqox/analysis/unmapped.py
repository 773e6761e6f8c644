"""Findings on the columns that a request does not map: those by which the arms differ, and unmapped clusters.

What a request leaves out must not make its answer look better, so the columns without a role are looked at too, in
some of the rows where there are many.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cqox.analysis.arm_differences import arms_of, smallest_p_value
from cqox.analysis.mapping import columns_of, names_in, unknown_column
from cqox.analysis.redundant_columns import redundancy, sampled
from cqox.analysis.roles import group_codes, numeric
from cqox.contract import DataFinding, Options, RoleMapping
from cqox.contract.data_findings import Remedy
from cqox.contract.messages import Message
from cqox.datasets import Column, said_after_treatment, with_accepted
from cqox.diagnostics.discontinuity import jump_p_value
from cqox.diagnostics.holm import holm
from cqox.diagnostics.shared_assignment import assigning_columns, labels_of
from cqox.estimators import Plan
from cqox.estimators.data import Codes, Vector

__all__ = ["UNMAPPED_CODES", "Unmapped"]

UNMAPPED_CODES = ("arms-differ", "jumps-at-cutoff", "unmapped-cluster")

_LEVEL = 0.01
"""Level, after Holm's correction, at which the arms differ by a column."""

_ROWS, _ROWS_OF_TESTS = 20_000, 10_000
"""Rows in which clusters are looked for, and rows of the tests: 10,000 find a standardised difference of .1 with 99%
power."""

_CELLS = 2_000_000
"""Number of cells read at once, and compared at most."""

_ASSIGNED = {"comparison": "treatment", "transport": "treatment", "mediation": "treatment", "exposure": "treatment",
             "instrument": "instrument"}  # fmt: skip
"""Designs whose arms must not differ, and the role that is assigned in them."""

_AT_CUTOFF = ("sharp_cutoff", "fuzzy_cutoff")
_AMOUNTS, _MOST_AT_CUTOFF = ("binary", "count", "real"), 10
"""Kinds of columns that may jump at a cutoff, and the number of them that is tested."""

_BY_SCORE = ("sharp_cutoff", "fuzzy_cutoff", "interrupted_series", "policy_log")
"""Designs in which treatment is assigned by a score, a date or a logged policy, never by clusters."""

_MOST_LISTED = 8
"""Columns that a sentence names."""


class Unmapped:
    """The columns of a table without a role, compared with the assigned variable of a design.

    Args:
        load: returns columns of the table by their names, all rows.
        columns: description of every column by its name.
        roles: canonical role to mapped columns or value.
        options: the request's options.
        others: the findings on the data for every design.

    Raises:
        InvalidRequest: `options.post_treatment` names a column that does not exist.
    """

    def __init__(
        self,
        load: Callable[[Sequence[str]], pl.DataFrame],
        columns: Mapping[str, Column],
        roles: RoleMapping,
        options: Options,
        *,
        others: Sequence[DataFinding] = (),
    ) -> None:
        self._others = tuple(others)
        self._load = load
        self._roles = roles
        self._accepted = [code for code in options.accept or () if code in UNMAPPED_CODES]
        self._after = _named(options.post_treatment or (), columns)
        mapped, self._names = set(columns_of(roles)), list(columns)
        self._free = [
            column
            for name, column in columns.items()
            if name not in mapped and column.distinct > 1 and not column.infinite
        ]
        self._found: dict[str, tuple[DataFinding, ...]] = {}

    def findings(self, design: str | None, plan: Plan | None = None) -> tuple[DataFinding, ...]:
        """Return the findings on the data: for every design, and for a design of the ledger by its name.

        Args:
            design: its name, None for those of every design alone.
            plan: of the contrast; at a cutoff the columns are tested on its score.
        """
        if design is None:
            return self._others
        if design not in self._found:
            clusters = self._clusters(design)
            own = [*clusters, *self._differing(design, [name for each in clusters for name in each.columns])]
            if plan is not None and design in _AT_CUTOFF:
                own += self._jumping(plan)
            self._found[design] = tuple(with_accepted(own, self._accepted)[0])
        return (*self._others, *self._found[design])

    def found(self) -> list[DataFinding]:
        """Return the findings for the designs that were asked for, each once."""
        found = list(self._others)
        for own in self._found.values():
            found += [finding for finding in own if finding not in found]
        return found

    def absent(self) -> list[Message]:
        """Return a note on each accepted finding of this module that is absent."""
        return with_accepted(self.found(), self._accepted)[1]

    def _clusters(self, design: str) -> list[DataFinding]:
        """Return the finding on clusters by which treatment was assigned."""
        role = next((role for role in ("treatment", "dose", "cohort") if role in self._roles), None)
        if design == "instrument":
            role = "instrument"
        possible = [column for column in self._free if _may_group(column)]
        if role is None or design in _BY_SCORE or not possible:
            return []
        treatment, rows = self._treatments(role)
        if any(finding.code == "duplicate-rows" for finding in self._others):
            # Copies repeat every level; what is left repeats by itself.
            whole = self._load(self._names)[rows]
            rows = rows[whole.select(pl.struct(pl.all()).is_first_distinct()).to_series().to_numpy()]
        codes = {column.name: group_codes(series) for column, series in self._read(possible, rows)}
        dates = [column.name for column in possible if column.kind == "date"]
        given = [group_codes(series) for series in self._mapped(("cluster", "unit_id"), rows)]
        found = assigning_columns(treatment[rows], codes, given, dates)
        if not found:
            return []
        name = found[-1]
        return [
            DataFinding(
                code="unmapped-cluster", severity="caps", columns=[name],
                message=Message("findings.unmapped-cluster", column=name, levels=len(np.unique(codes[name]))),
                remedy=Remedy(at="analyze", parameters={"mapping": {"cluster": [name]}}),
            )
        ]  # fmt: skip

    def _treatments(self, role: str) -> tuple[Codes, NDArray[np.intp]]:
        """Return (n,) codes of the treatments, of whole histories in a panel, and the rows to compare."""
        name = names_in(self._roles[role])[0]
        treatment = group_codes(self._load([name])[name])
        if role == "cohort":
            treatment = np.where(treatment < 0, treatment.max(initial=-1) + 1, treatment)
        if not {"unit_id", "time"} <= self._roles.keys():
            return treatment, _sample(len(treatment), _ROWS)
        unit, time = (group_codes(series) for series in self._mapped(("unit_id", "time"), None))
        units, first, codes = np.unique(unit, return_index=True, return_inverse=True)
        started = np.full(len(units), time.max(initial=0) + 1)
        treated = treatment > 0
        np.minimum.at(started, codes[treated], time[treated])
        periods = np.bincount(codes, treatment)
        history = np.unique(started * (periods.max(initial=0.0) + 1) + periods, return_inverse=True)[1]
        return history[codes], np.sort(first[_sample(len(units), _ROWS)])

    def _differing(self, design: str, clusters_found: Sequence[str]) -> list[DataFinding]:
        """Return the finding on columns by which the arms differ, given unmapped clusters."""
        role = _ASSIGNED.get(design)
        after = {*self._after, *clusters_found}
        possible = [
            column
            for column in self._free
            if column.kind not in ("text", "id") and column.name not in after and not said_after_treatment(column.name)
        ]
        if role == "treatment" and "treatment" not in self._roles:
            role = "dose"
        if role is None or role not in self._roles or not possible:
            return []
        assigned = self._load(names_in(self._roles[role]))
        rows = _sample(assigned.height, max(2_000, min(_ROWS_OF_TESTS, _CELLS // len(possible))))
        arms = [arm for series in assigned.iter_columns() for arm in arms_of(series[rows])]
        blocks = next((group_codes(series) for series in self._mapped(("fixed_effects",), rows)), None)
        found_ones = [self._load(clusters_found)[name][rows] for name in clusters_found]
        clusters = next(
            (group_codes(series) for series in [*found_ones, *self._mapped(("cluster", "unit_id"), rows)]), None
        )
        if clusters is not None and len(np.unique(clusters)) == len(clusters):
            clusters = None
        p_values: dict[str, float] = {}
        for column, series in self._read(possible, rows):
            found = smallest_p_value(series, arms, blocks, clusters)
            if found is not None:
                p_values[column.name] = found
        adjusted = dict(zip(p_values, holm(list(p_values.values())), strict=True))
        names = [name for name, p in adjusted.items() if p < _LEVEL]
        copies = self._copies(names, [role, *(role for role in ("y", "reward") if role in self._roles)], rows)
        names = [name for name in names if name not in copies]
        return [self._difference(role, names, p_values, adjusted, copies)] if names else []

    def _difference(
        self,
        role: str,
        names: Sequence[str],
        compared: Mapping[str, float],
        adjusted: Mapping[str, float],
        copies: set[str],
    ) -> DataFinding:
        given = names_in(self._roles.get("covariates", ()))
        return DataFinding(
            code="arms-differ", severity="caps", columns=names,
            message=Message(
                "findings.arms-differ", columns=_listed(names), variable=_listed(names_in(self._roles[role])),
                compared=_listed([name for name in compared if name not in copies]),
                p_value=min(adjusted[name] for name in names), level=_LEVEL,
            ),
            remedy=Remedy(at="analyze", parameters={"mapping": {"covariates": [*given, *names]}}),
        )  # fmt: skip

    def _jumping(self, plan: Plan) -> list[DataFinding]:
        """Return the finding on columns that jump at the cutoff."""
        running, cutoff = plan.data.running, plan.data.cutoff
        possible = [
            column
            for column in self._free
            if column.kind in _AMOUNTS and column.name not in self._after and not said_after_treatment(column.name)
        ][:_MOST_AT_CUTOFF]
        if running is None or cutoff is None or not possible:
            return []
        side = np.where(np.isnan(running), -1, (running >= cutoff).astype(np.int64))
        rows = self._rows_of(running)
        if rows is None:
            return []
        p_values: dict[str, float] = {}
        for column, series in self._read(possible, rows):
            # A side of the cutoff, the score or the outcome once more is no covariate.
            if labels_of(side, group_codes(series)) or self._is_copy(series, rows):
                continue
            p_value = jump_p_value(plan, _amounts(series))
            if p_value is not None:
                p_values[column.name] = p_value
        adjusted = dict(zip(p_values, holm(list(p_values.values())), strict=True))
        names = [name for name, p in adjusted.items() if p < _LEVEL]
        if not names:
            return []
        given = names_in(self._roles.get("covariates", ()))
        return [
            DataFinding(
                code="jumps-at-cutoff", severity="caps", columns=names,
                message=Message(
                    "findings.jumps-at-cutoff", columns=names, p_value=min(adjusted[name] for name in names),
                    level=_LEVEL,
                ),
                remedy=Remedy(at="analyze", parameters={"mapping": {"covariates": [*given, *names]}}),
            )
        ]  # fmt: skip

    def _rows_of(self, running: Vector) -> NDArray[np.intp] | None:
        """Return the rows of the table that have these scores: all, or those of a weight above 0; None for others."""
        scores = [numeric(series, role="running") for series in self._mapped(("running",), None)]
        weights = [numeric(series, role="weights") for series in self._mapped(("weights",), None)]
        for kept in (np.ones(len(running), dtype=np.bool_), *(each > 0 for each in weights)):
            if len(kept) == len(scores[0]) and np.array_equal(scores[0][kept], running, equal_nan=True):
                return np.flatnonzero(kept)
        return None

    def _is_copy(self, series: pl.Series, rows: NDArray[np.intp]) -> bool:
        return any(
            redundancy(sampled(series), sampled(other)) is not None for other in self._mapped(("running", "y"), rows)
        )

    def _copies(self, names: Sequence[str], roles: Sequence[str], rows: NDArray[np.intp]) -> set[str]:
        """Return the columns that are the assigned variable or the outcome once more, or names of the treatment."""
        if not names:
            return set()
        references = self._mapped(roles, rows)
        frame = self._load(names)
        treatment = group_codes(references[0])
        copies = set()
        for name in names:
            series = frame[name][rows]
            same = any(redundancy(sampled(series), sampled(other)) is not None for other in references)
            if same or labels_of(treatment, group_codes(series)):
                copies.add(name)
        return copies

    def _mapped(self, roles: Sequence[str], rows: NDArray[np.intp] | None) -> list[pl.Series]:
        """Return the columns of some roles, where they are mapped."""
        names = [name for role in roles for name in names_in(self._roles.get(role, ()))]
        frame = self._load(names) if names else pl.DataFrame()
        return [frame[name] if rows is None else frame[name][rows] for name in names]

    def _read(self, columns: Sequence[Column], rows: NDArray[np.intp]) -> Iterator[tuple[Column, pl.Series]]:
        """Yield some rows of each column."""
        width = max(1, _CELLS // max(1, columns[0].count + columns[0].missing))
        for start in range(0, len(columns), width):
            some = columns[start : start + width]
            frame = self._load([column.name for column in some])
            for column in some:
                yield column, frame[column.name][rows]


def _named(words: Sequence[str], columns: Mapping[str, Column]) -> set[str]:
    """Return the columns of these names, or of these headers in the file."""
    headers = {column.original_name: name for name, column in columns.items()}
    for word in words:
        if word not in columns and word not in headers:
            raise unknown_column(
                word, Message("analysis.in-post-treatment"), list(columns), field="options.post_treatment"
            )
    return {word if word in columns else headers[word] for word in words}


def _listed(names: Sequence[str]) -> Message:
    """Return the names for a sentence, the first few of many."""
    if len(names) <= _MOST_LISTED:
        return Message("findings.columns-listed", names=names)
    first = names[:_MOST_LISTED]
    return Message("findings.columns-listed-and-more", names=first, more=len(names) - len(first))


def _amounts(series: pl.Series) -> Vector:
    """Return the column as numbers, words by their place in order; NaN where missing."""
    if series.dtype not in (pl.String, pl.Categorical, pl.Enum):
        return numeric(series, role="covariates")
    codes = group_codes(series)
    return np.where(codes < 0, np.nan, codes.astype(np.float64))


def _may_group(column: Column) -> bool:
    """Return whether a column may be a cluster: a measured amount or free text is none."""
    return column.distinct > 3 and column.kind != "text" and column.dtype != "float64"


def _sample(n: int, most: int) -> NDArray[np.intp]:
    """Return (min(n, most),) rows in order, the same for every run."""
    if n <= most:
        return np.arange(n)
    return np.sort(np.random.default_rng(0).choice(n, most, replace=False))
