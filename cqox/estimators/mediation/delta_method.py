"""Delta method: functions of the coefficients of both mediation equations, and their standard errors.

Effects, paths and tests all take their standard errors from here, so that an effect's tests and paths are not narrower
than the effect itself.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import numpy as np

from cqox.contract.messages import Message
from cqox.errors import UnusableData
from cqox.estimators.data import Codes, Matrix, Settings, Vector
from cqox.estimators.inference.clusters import Clusters
from cqox.estimators.inference.least_squares import JACKKNIFE_CELLS, leverages
from cqox.estimators.inference.standard_errors import TOO_MANY, UNIDENTIFIED, Linear, Uncertainty, regression_se
from cqox.estimators.mediation.equations import Equations, equal_variance, fit_equations
from cqox.estimators.numerics.frame import Frame
from cqox.estimators.numerics.gram import grouped_gram

__all__ = ["Effect", "Fitted", "Values", "effect_gradient", "effect_value"]

type Effect = Literal["acme", "ade", "total"]

type Values = Callable[[Vector | Matrix], Vector]
"""A function of the coefficients, (q,) or (k, q) of them at a time, in units of the equations' outcome."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """Both equations with the inputs of their standard errors.

    Attributes:
        frame: the columns.
        fit: the equations.
        moves: (q, n) each row's contribution to their coefficients.
        clusters: groups of rows whose errors may be correlated.
        settings: the requested standard error.
        arm_codes: (n,) the binary treatment; None for an amount.
        kept: cache of the coefficients without each cluster.
    """

    frame: Frame
    fit: Equations
    moves: Matrix
    clusters: Clusters
    settings: Settings
    arm_codes: Vector | None
    kept: dict[str, Matrix | Message] = field(default_factory=dict)

    def estimate(self, values: Values, gradient: Vector) -> tuple[float, Uncertainty, Vector]:
        """Return a function of the coefficients with its (q,) gradient: value, error and (n,) contributions by row.

        All are in units of y.
        """
        frame, fit = self.frame, self.fit
        linear = Linear(
            value=float(values(fit.theta)) * fit.unit,
            contributions=gradient @ self.moves * fit.unit,
            parameters=len(fit.second),
            parameters_not_nested=len(fit.second),
            iid_variance=equal_variance(frame, fit, gradient) * fit.unit**2,
            # Those of the outcome's equation, which are never below those of the mediators'.
            leverage=lambda: leverages(frame, fit.second, fit.inverse_second),
            jackknife=partial(self._without_each, values),
            arm_codes=self.arm_codes,
        )
        return linear.value, regression_se(linear, self.clusters, self.settings), linear.contributions

    def _without_each(self, values: Values, codes: Codes, count: int) -> Vector | Message:
        if "thetas" not in self.kept:
            self.kept["thetas"] = self._thetas(codes, count)
        thetas = self.kept["thetas"]
        return thetas if isinstance(thetas, Message) else values(thetas) * self.fit.unit

    def _thetas(self, codes: Codes, count: int) -> Matrix | Message:
        frame, fit = self.frame, self.fit
        if count * len(frame.matrix) ** 2 > JACKKNIFE_CELLS:
            return TOO_MANY
        blocks, _ = grouped_gram(frame.rows, frame.matrix, frame.weights, codes, count)
        whole = blocks.sum(axis=0)
        mediators = len(fit.responses)
        interacted = len(fit.second) > len(fit.first) + mediators
        try:
            rest = [fit_equations(frame, whole - block, mediators, interacted=interacted).theta for block in blocks]
        except (UnusableData, np.linalg.LinAlgError):
            return UNIDENTIFIED
        return np.stack(rest)


def effect_value(fit: Equations, theta: Vector | Matrix, effect: Effect, treated: float = 0.5) -> Vector:
    """Return an effect by the coefficients; with an interaction, by default halfway between the arms' effects."""
    a, b, c, d, m = (theta[..., fit.at[name]] for name in "abcdm")
    if effect == "acme":
        return np.asarray((a * (b + treated * d)).sum(axis=-1))
    if effect == "ade":
        return np.asarray(c[..., 0] + (d * (m + treated * a)).sum(axis=-1))
    return effect_value(fit, theta, "acme", treated) + effect_value(fit, theta, "ade", 1.0 - treated)


def effect_gradient(fit: Equations, effect: Effect, treated: float = 0.5) -> Vector:
    """Return (q,) the derivative of an effect by the coefficients."""
    a, b, d, m = (fit.theta[fit.at[name]] for name in "abdm")
    gradient = np.zeros(len(fit.theta))
    if effect == "total":
        return effect_gradient(fit, "acme", treated) + effect_gradient(fit, "ade", 1.0 - treated)
    if effect == "acme":
        gradient[fit.at["a"]], gradient[fit.at["b"]], gradient[fit.at["d"]] = b + treated * d, a, treated * a
        return gradient
    gradient[fit.at["c"]], gradient[fit.at["d"]] = 1.0, m + treated * a
    gradient[fit.at["a"]], gradient[fit.at["m"]] = treated * d, d
    return gradient
