"""The roles of a table as expressions of its columns: what `Data` is for arrays."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.estimators.data import Data
from cqox.estimators.numerics.moments import Column, Expr, Moments

__all__ = ["MOST_PERIODS", "Encoded", "NotByMoments", "StoredRows"]

MOST_PERIODS = 400
"""Number of periods up to which sums are made by period."""


class NotByMoments(Exception):
    """Sums over all rows cannot give the estimate; the sample can.

    Attributes:
        why: the reason, as a clause.
    """

    def __init__(self, why: Message) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRows:
    """The rows of a table, one by one.

    Attributes:
        number: the column of a row's number.
        read: returns the arrays of the rows with some ascending numbers, in any order, for some roles.
    """

    number: Column
    read: Callable[[NDArray[np.int64], Collection[str]], Data]


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """One contrast of a table.

    Attributes:
        source: its rows.
        y: the outcome.
        treatment: 0 and 1, or an amount; 0 where the design has none.
        covariates, propensity_covariates, instruments: one expression for each column of the matrix in `Data`.
        pscore: known probability of treatment.
        post: 1 after the intervention, else 0.
        weights: sampling weights, positive.
        clusters: columns of any type.
        unit: a column of any type.
        time: the period, a number that orders periods; None where none is mapped, or its words are too many.
        running: the score whose crossing of a cutoff assigns treatment.
        action: the logged action, by its place from 0 on among the labels of the sample's actions; None where none is
            mapped, or there are too many.
        target_policy: one probability of the logged action, or one of each action.
        in_source: 1 where the row belongs to the source population, 0 where to the target.
        row_key: a whole number of at least 0 by which folds are made, equal for rows of a cluster or a unit; None
            where the table has none.
        units_repeat: whether some unit has several rows; None if the rows must be asked.
        stored: reads single rows; None where none can be read.
    """

    source: Moments
    y: Expr
    treatment: Expr
    covariates: tuple[Expr, ...] = ()
    propensity_covariates: tuple[Expr, ...] = ()
    instruments: tuple[Expr, ...] = ()
    pscore: Expr | None = None
    post: Expr | None = None
    weights: Expr | None = None
    clusters: tuple[Column, ...] = field(default=())
    unit: Column | None = None
    time: Expr | None = None
    running: Expr | None = None
    action: Expr | None = None
    target_policy: tuple[Expr, ...] = ()
    in_source: Expr | None = None
    row_key: Column | None = None
    units_repeat: bool | None = None
    stored: StoredRows | None = None

    def of(self, role: str) -> tuple[Expr, ...]:
        """Return the expressions of a role; none where it is not mapped."""
        one = {"y": self.y, "treatment": self.treatment, "pscore": self.pscore, "post": self.post,
               "weights": self.weights, "unit_id": self.unit, "time": self.time,
               "running": self.running, "action": self.action,
               "sample": self.in_source}  # fmt: skip
        many = {
            "covariates": self.covariates,
            "propensity_covariates": self.propensity_covariates,
            "instrument": self.instruments,
            "cluster": self.clusters,
            "target_policy": self.target_policy,
        }
        if role in many:
            return many[role]
        found = one[role]
        return () if found is None else (found,)
