"""A few columns of all rows in memory: for estimates that need the values of rows, but of few roles."""

from collections.abc import Mapping, Sequence

import numpy as np

from cqox.contract.messages import Message
from cqox.estimators.by_moments.encoded import MOST_PERIODS, NotByMoments
from cqox.estimators.by_moments.tables import Tables
from cqox.estimators.data import Codes, Data, Matrix, Vector
from cqox.estimators.numerics.moments import Column, Expr
from cqox.estimators.plan import Plan

__all__ = ["MOST_NUMBERS", "fetched_plan"]

MOST_NUMBERS = 20_000_000
"""Number of values up to which columns of all rows are fetched: 160 MB."""


def fetched_plan(tables: Tables, *roles: str) -> Plan:
    """Return a plan of all rows that have a value of the running variable, a weight and clusters.

    It has the columns of some roles, whose values may be missing in these rows, and whether others are mapped. The
    order of rows follows from their values, so that it is the same in every run.

    Args:
        tables: the request's shared computations.
        roles: of `y`, `treatment`, `covariates` and `time`; those that are not mapped are left out.

    Raises:
        NotByMoments: these are too many numbers, or the periods are too many words.
    """
    return tables.once(("fetched", roles), lambda: _fetched(tables, roles))


def _fetched(tables: Tables, roles: Sequence[str]) -> Plan:
    encoded, source = tables.encoded, tables.complete("running").source
    columns: dict[str, Expr] = {}
    for role in ("running", "weights", *roles):
        columns |= {f"{role} {place}": each for place, each in enumerate(_expressions(tables, role))}
    codes: dict[str, Column] = {f"cluster {place}": each for place, each in enumerate(encoded.clusters)}
    if encoded.unit is not None and tables.units_repeat:
        codes["unit 0"] = encoded.unit
    rows, width = source.count(), len(columns) + len(codes)
    if rows * width > MOST_NUMBERS:
        raise NotByMoments(Message("by_moments.many-numbers", rows=rows, columns=width, most=MOST_NUMBERS))
    found = dict(source.rows(columns, codes))
    # The last key is the first to sort by: it has the fewest ties.
    order = np.lexsort([found[name] for name in sorted(found, key=lambda name: name == "running 0")])
    for name, values in found.items():
        found[name] = values[order]
    return Plan(_data(tables, found, rows), tables.settings)


def _expressions(tables: Tables, role: str) -> tuple[Expr, ...]:
    if not tables.pilot.has(role):
        return ()
    found: tuple[Expr, ...] = tables.encoded.of(role)
    if not found:
        # Periods in words are the only role that may have no expression.
        raise NotByMoments(Message("by_moments.many-periods", most=MOST_PERIODS))
    return found


def _data(tables: Tables, found: Mapping[str, Vector], rows: int) -> Data:
    pilot = tables.pilot.data

    def of(role: str) -> list[Vector]:
        return [values for name, values in found.items() if name.rpartition(" ")[0] == role]

    def one(role: str) -> Vector | None:
        return next(iter(of(role)), None)

    unknown, y, unit, time = np.full(rows, np.nan), one("y"), one("unit"), one("time")
    covariates: Matrix = np.asfortranarray(np.stack(of("covariates"), axis=1)) if of("covariates") else np.empty((0, 0))
    return Data(
        n=rows,
        y=unknown if y is None else y,
        y_kind=pilot.y_kind if y is not None else "none",
        treatment=one("treatment"),
        treatment_kind=pilot.treatment_kind if one("treatment") is not None else "none",
        covariates=covariates,
        unit=None if unit is None else _codes(unit),
        time=None if time is None else _codes(time),
        # Asked for is only whether it is mapped: no estimate takes it from here.
        post=unknown if tables.pilot.has("post") else None,
        clusters=tuple(_codes(each) for each in of("cluster")),
        weights=one("weights"),
        running=one("running"),
        cutoff=pilot.cutoff,
        row_key=np.arange(rows, dtype=np.uint64),
        names=pilot.names,
    )


def _codes(values: Vector) -> Codes:
    """Return numbers from 0 for values in their order, -1 for missing ones."""
    levels, codes = np.unique(values, return_inverse=True)
    return np.where(np.isnan(values), -1, codes).astype(np.int64) if len(levels) else codes.astype(np.int64)
