"""Tests that the mapped covariates have nothing to do with the assigned variable, as they would in a trial.

A standardised difference grows as a trial shrinks; the p-value of a test does not. Each covariate is tested by its
ranks, a category by its levels jointly, with Holm's correction. Clusters that are assigned as a whole are compared by
their means; `fixed_effects` are the blocks within which the assignment was drawn, and a mapped probability is that of
each row. All rows with an assigned value count, observed outcome or not.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cqox.contract import Options
from cqox.contract.messages import Message
from cqox.diagnostics.holm import holm
from cqox.diagnostics.json_values import number
from cqox.diagnostics.randomization_tests import Assignment, Comparison, compare_amount, compare_levels
from cqox.errors import UnusableData
from cqox.estimators import Json, Matrix, Plan, Sample, Vector
from cqox.estimators.data import Codes
from cqox.estimators.numerics.absorb import compress

__all__ = ["balance_tests"]

_MOST_CELLS, _LEAST_ROWS = 2_000_000, 10_000
"""Cells beyond which the tests use some of the rows: 10,000 find a standardised difference of .1 with 99% power."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Assigned:
    """The rows or clusters that were assigned.

    Attributes:
        assignment: of the rows, or of the clusters.
        rows: (n,) positions of the rows in the data.
        clusters: (n,) codes of the clusters that are compared by their means; None where rows are compared.
    """

    assignment: Assignment
    rows: NDArray[np.intp]
    clusters: Codes | None


def balance_tests(plan: Plan, options: Options) -> dict[str, Json]:
    """Test each mapped covariate against the treatment, and against each mapped instrument.

    Columns of `options.post_treatment` are left out.

    Returns:
        By role, `treatment` and `instrument`: `variable`, `rows`, `clusters`, `strata`, `tests`, the `smallest` of the
        p-values after Holm's correction with the name of its covariate, and `covariates` with every test.

    Raises:
        UnusableData: no covariate from before treatment is mapped, or nothing was assigned.
    """
    columns = list(_columns(plan, options.post_treatment or ()))
    if not columns:
        raise UnusableData(Message("diagnostics.balance-needs-covariates"))
    found: dict[str, Json] = {}
    if plan.data.treatment is not None and plan.data.treatment_kind != "none":
        found["treatment"] = _of_variable(plan, "treatment", plan.data.treatment[:, None], columns)
    if plan.has("instrument"):
        found["instrument"] = _of_variable(plan, "instrument", plan.data.instruments, columns)
    if not found:
        raise UnusableData(Message("diagnostics.nothing-assigned"))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    """A covariate: an amount, or the dummies of a category.

    Attributes:
        name: the label of the amount, or the column of the category.
        matrix: (n, k) of all rows and covariates.
        places: its columns in the matrix.
        labels: one for each of its columns.
    """

    name: str
    matrix: Matrix
    places: list[int]
    labels: tuple[str, ...]


def _columns(plan: Plan, after_treatment: Sequence[str]) -> Iterator[_Column]:
    data, seen = plan.data, set(after_treatment)
    for role, matrix in (("covariates", data.covariates), ("propensity_covariates", data.propensity_covariates)):
        if not plan.has(role) or (role == "propensity_covariates" and matrix is data.covariates):
            continue
        groups: dict[str, list[int]] = {}
        labels = plan.labels(role)
        for at, label in enumerate(labels):
            groups.setdefault(label.partition("=")[0], []).append(at)
        for name, places in groups.items():
            if name not in seen:
                seen.add(name)
                yield _Column(name=name, matrix=matrix, places=places, labels=tuple(labels[at] for at in places))


def _of_variable(plan: Plan, role: str, values: Matrix, columns: Sequence[_Column]) -> dict[str, Json]:
    tests: list[tuple[str, Comparison]] = []
    counts: dict[str, Json] = {}
    untested: list[str] = []
    for column in values.T:
        assigned = _assigned(plan, role, column, sum(len(each.labels) for each in columns))
        if assigned is None:
            continue
        counts = {"rows": len(assigned.rows), "strata": int(assigned.assignment.strata.max()) + 1}
        if assigned.clusters is not None:
            counts["clusters"] = len(assigned.assignment.values)
        for each in columns:
            for label, comparison in _compared(each, assigned):
                if comparison is None:
                    untested.append(label)
                else:
                    tests.append((label, comparison))
    if not tests:
        return {"reason": Message("diagnostics.no-covariate-varies")}
    adjusted = holm([comparison.p_value for _, comparison in tests])
    least = int(np.argmin([comparison.p_value for _, comparison in tests]))
    rows: list[Json] = [
        {"name": label, "test": comparison.kind, "p_value": number(comparison.p_value), "p_value_holm": number(value)}
        for (label, comparison), value in zip(tests, adjusted, strict=True)
    ]
    return {
        "variable": plan.label(role), **counts, "tests": len(tests),
        "smallest": {"name": tests[least][0], "p_value": number(adjusted[least])},
        "covariates": rows, "untested": list(untested),
    }  # fmt: skip


def _assigned(plan: Plan, role: str, values: Vector, width: int) -> _Assigned | None:
    """Return what was assigned; None where the variable does not vary."""
    sample = plan.sample(role, "fixed_effects", *(("pscore",) if role == "treatment" else ()))
    kept = _some_rows(plan, sample, width)
    if plan.data.in_source is not None:
        kept &= sample.take(plan.data.in_source) > 0
    if not kept.any() or not float(np.ptp(sample.take(values)[kept])) > 0:
        return None
    rows = np.arange(plan.data.n)[kept] if sample.index is None else sample.index[kept]
    own, strata = values[rows], _strata(plan, rows)
    chance = None
    if role == "treatment" and plan.data.pscore is not None and plan.data.treatment_kind == "binary":
        given = plan.data.pscore[rows]
        chance = given if float(np.ptp(given)) > 0 else None
    codes = [compress(code[kept]) for code in plan.clusters(sample).codes]
    for code, count in sorted(codes, key=lambda each: each[1]):
        if _constant_within(own, code, count) and _constant_within(strata.astype(np.float64), code, count):
            _, first = np.unique(code, return_index=True)
            of_clusters = Assignment(
                values=own[first], strata=strata[first], chance=None if chance is None else chance[first]
            )
            return _Assigned(assignment=of_clusters, rows=rows, clusters=code)
    groups = min(codes, key=lambda each: each[1])[0] if codes else None
    return _Assigned(
        assignment=Assignment(values=own, strata=strata, chance=chance, groups=groups), rows=rows, clusters=None
    )


def _some_rows(plan: Plan, sample: Sample, width: int) -> NDArray[np.bool_]:
    """Return (n,) True for the rows that are tested: those of the lowest hashes if there are very many cells."""
    most = max(_MOST_CELLS // max(width, 1), _LEAST_ROWS)
    if sample.n <= most:
        return np.ones(sample.n, dtype=np.bool_)
    keys = sample.take(plan.data.row_key)
    return np.asarray(keys <= np.partition(keys, most)[most])


def _strata(plan: Plan, rows: NDArray[np.intp]) -> Codes:
    codes = np.zeros(len(rows), dtype=np.int64)
    for effect in plan.data.fixed_effects:
        levels = int(effect.max(initial=0)) + 1
        codes = np.unique(codes * levels + effect[rows], return_inverse=True)[1].astype(np.int64)
    return codes


def _constant_within(values: Vector, codes: Codes, count: int) -> bool:
    first = np.zeros(count)
    first[codes] = values
    return bool((first[codes] == values).all())


def _compared(column: _Column, assigned: _Assigned) -> Iterator[tuple[str, Comparison | None]]:
    matrix = np.column_stack([column.matrix[assigned.rows, place] for place in column.places])
    if assigned.clusters is not None:
        # Shares of a level within clusters are amounts.
        for label, own in zip(column.labels, matrix.T, strict=True):
            yield label, compare_amount(_cluster_means(own, assigned.clusters), assigned.assignment)
    elif len(column.labels) > 1:
        yield column.name, compare_levels(matrix, assigned.assignment)
    else:
        yield column.labels[0], compare_amount(matrix[:, 0], assigned.assignment)


def _cluster_means(values: Vector, codes: Codes) -> Vector:
    known = np.isfinite(values)
    counts = np.bincount(codes[known], minlength=int(codes.max()) + 1)
    sums = np.bincount(codes[known], values[known], len(counts))
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
