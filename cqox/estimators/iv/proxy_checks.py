"""Strength of the proxies of proximal inference, and overidentification tests of surplus ones.

Tests under homoskedasticity (Cragg and Donald, Sargan) are reported together with robust ones (the effective F of
Montiel Olea and Pflueger 2013, doi 10.1080/00401706.2013.806694; Hansen's J of the two-step estimate), which sum over
clusters if there are any.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cqox.estimators.data import Matrix, Vector
from cqox.estimators.estimate import Json
from cqox.estimators.inference.clusters import Clusters
from cqox.estimators.inference.make_estimate import finite
from cqox.estimators.numerics.frame import Frame
from cqox.estimators.numerics.gram import solve
from cqox.estimators.numerics.quantiles import chi_square_survival, f_survival

__all__ = ["Proxies", "agreement", "strength"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxies:
    """Cross-products of the proxies net of treatment and covariates, those of the treatment made orthonormal.

    Attributes:
        frame: the columns.
        instruments: (m, M) coefficients of the treatment's orthonormal proxies in the variables.
        on: (w, M) coefficients of the outcome's proxies net of treatment, covariates and the treatment's proxies.
        moments: (m, w + 1) cross-products of the first with the proxies of the outcome and the outcome.
        left: (w, w) cross-products of the second.
        parameters: number of coefficients of a first stage.
    """

    frame: Frame
    instruments: Matrix
    on: Matrix
    moments: Matrix
    left: Matrix
    parameters: int

    @classmethod
    def of(
        cls, frame: Frame, exogenous: NDArray[np.intp], z: NDArray[np.intp], w: NDArray[np.intp], y: int
    ) -> "Proxies":
        """Return the proxies from the positions of treatment and covariates, both kinds of proxies and the outcome."""
        m, rest = len(z), np.concatenate([z, w, [y]])
        products = frame.products
        on = solve(products[np.ix_(exogenous, exogenous)], products[np.ix_(exogenous, rest)]).coefficients
        net = products[np.ix_(rest, rest)] - products[np.ix_(rest, exogenous)] @ on
        combine = np.zeros((len(rest), len(frame.matrix)))
        combine[np.arange(len(rest)), rest] = 1.0
        combine[:, exogenous] = -on.T
        root = np.linalg.cholesky(net[:m, :m])
        instruments, moments = np.linalg.solve(root, combine[:m]), np.linalg.solve(root, net[:m, m:])
        explained = moments[:, :-1]
        return cls(
            frame=frame, instruments=instruments, on=combine[m:-1] - explained.T @ instruments, moments=moments,
            left=net[m:-1, m:-1] - explained.T @ explained, parameters=len(exogenous) + m,
        )  # fmt: skip

    def covariance(self, residual: Vector, clusters: Clusters) -> Matrix:
        """Return (m, m) of the orthonormal proxies' sums with (n,) residuals, clustered by the first dimension if
        any."""
        frame = self.frame
        weighted = residual if frame.weights is None else residual * frame.weights
        moves = np.empty((len(self.instruments), frame.n))

        def work(s: slice) -> None:
            np.multiply(self.instruments @ frame.matrix[:, s], weighted[s], out=moves[:, s])

        frame.rows.each(work)
        if clusters.codes:
            moves = np.stack([np.bincount(clusters.codes[0], row, clusters.counts[0]) for row in moves])
        return np.asarray(moves @ moves.T)


def strength(proxies: Proxies, clusters: Clusters) -> dict[str, Json]:
    """Return the first-stage strength of the treatment's proxies for those of the outcome.

    `first_stage_f` is the smallest eigenvalue of Cragg and Donald, with one proxy of the outcome the F of the first
    stage; `effective_f` is defined for a single one.
    """
    m, w = len(proxies.instruments), len(proxies.left)
    degrees, explained = proxies.frame.n - proxies.parameters, proxies.moments[:, :-1]
    least = None
    if degrees > 0 and np.all(np.diag(proxies.left) > 0):
        root = np.linalg.cholesky(proxies.left + 1e-300 * np.eye(w))
        whitened = np.linalg.solve(root, explained.T)
        least = float(np.linalg.eigvalsh(whitened @ whitened.T)[0]) * degrees / m
    effective = None
    if w == 1 and degrees > 0:
        n = proxies.frame.n
        residual = (proxies.on @ proxies.frame.matrix)[0]
        trace = float(np.trace(proxies.covariance(residual, clusters)))
        trace *= (n - 1 if clusters.codes else n) / degrees
        effective = float(np.sum(explained**2)) / trace if trace > 0 else None
    return {
        "first_stage_f": None if least is None else finite(least),
        "first_stage_p_value": f_survival(least, m, degrees) if least is not None and w == 1 else None,
        "effective_f": None if effective is None else finite(effective),
    }


def agreement(proxies: Proxies, residual: Vector, squares: float, clusters: Clusters) -> dict[str, Json]:
    """Return overidentification tests of surplus proxies of the treatment: Sargan's and Hansen's.

    Args:
        proxies: net of treatment and covariates.
        residual: (n,) of the estimate.
        squares: their weighted sum.
        clusters: groups of rows whose errors may be correlated.

    Returns:
        An empty dict without surplus proxies; None for Hansen's if the moments have no covariance.
    """
    m, w = len(proxies.instruments), len(proxies.left)
    if m <= w:
        return {}
    moments, outcome = proxies.moments[:, :-1], proxies.moments[:, -1]
    plain = outcome - moments @ np.linalg.lstsq(moments, outcome, rcond=None)[0]
    sargan = float(plain @ plain) / (squares / proxies.frame.n)
    found: dict[str, Json] = {
        "sargan": sargan, "sargan_p_value": chi_square_survival(sargan, m - w), "hansen_j": None,
        "hansen_j_p_value": None,
    }  # fmt: skip
    try:
        root = np.linalg.cholesky(proxies.covariance(residual, clusters))
    except np.linalg.LinAlgError:
        return found
    whitened, goal = np.linalg.solve(root, moments), np.linalg.solve(root, outcome)
    left = goal - whitened @ np.linalg.lstsq(whitened, goal, rcond=None)[0]
    hansen = float(left @ left)
    found["hansen_j"], found["hansen_j_p_value"] = hansen, chi_square_survival(hansen, m - w)
    return found
