"""Cross-products of instruments, treatment and outcome net of covariates, and row-level results from one pass.

Any k-class estimate follows from the cross-products alone; results that depend on each row's residual (contributions,
robust variances of the moments) need the pass. `instruments` and `double_ml` report both.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.errors import UnusableData
from cqox.estimators.data import Codes, Matrix, Vector
from cqox.estimators.inference.clusters import Clusters
from cqox.estimators.numerics.blocked_matmul import combined, squares
from cqox.estimators.numerics.frame import Crossed
from cqox.estimators.numerics.gram import solve
from cqox.estimators.numerics.row_blocks import Partial, Rows
from cqox.estimators.numerics.scratch_memory import scratch
from cqox.estimators.plan import Plan

__all__ = [
    "MomentVariances",
    "Partialled",
    "RowPass",
    "Variables",
    "check_instruments",
    "from_products",
    "k_class_contributions",
    "limited",
    "net_of_covariates",
    "row_pass",
]

_EXACT = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Variables:
    """The variables by row.

    Attributes:
        rows: their row blocks.
        matrix: (M, n) one variable per row.
        weights: (n,) sampling weights.
    """

    rows: Rows
    matrix: Matrix
    weights: Vector | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Partialled:
    """Cross-products of instruments, treatment and outcome with the covariates partialled out.

    Attributes:
        combine: (m + 2, M) coefficients of orthonormal instruments, treatment and outcome, each net of covariates, in
            the variables.
        z_t, z_y: (m,) cross-products with the orthonormal instruments.
        tt, ty, yy: of treatment and outcome.
        covariates: number of partialled-out covariates, the intercept included.
    """

    combine: Matrix
    z_t: Vector
    z_y: Vector
    tt: float
    ty: float
    yy: float
    covariates: int

    @property
    def strength(self) -> float:
        """Explained sum of squares of the treatment in the first stage."""
        return float(self.z_t @ self.z_t)

    def denominator(self, kappa: float) -> float:
        """Return t'(I - κM)t, where M is the residual maker of the instruments; the explained squares at κ = 1."""
        return (1.0 - kappa) * self.tt + kappa * self.strength

    def value(self, kappa: float = 1.0) -> float:
        """Return the k-class coefficient, standardised: two-stage least squares at κ = 1, least squares at 0."""
        return ((1.0 - kappa) * self.ty + kappa * float(self.z_t @ self.z_y)) / self.denominator(kappa)


def from_products(inner: Matrix, combine: Matrix, covariates: int) -> Partialled:
    """Return the parts from (m + 2, m + 2) cross-products of instruments, treatment and outcome net of covariates.

    Args:
        inner: the cross-products.
        combine: (m + 2, M) coefficients of the three in the variables; its rows of instruments are orthonormalised.
        covariates: number of partialled-out covariates.
    """
    m = len(inner) - 2
    root = np.linalg.cholesky(inner[:m, :m])
    whitened = np.linalg.solve(root, inner[:m, m:])
    combine[:m] = np.linalg.solve(root, combine[:m])
    return Partialled(
        combine=combine, z_t=whitened[:, 0], z_y=whitened[:, 1], tt=float(inner[m, m]), ty=float(inner[m, m + 1]),
        yy=float(inner[m + 1, m + 1]), covariates=covariates,
    )  # fmt: skip


def net_of_covariates(frame: Crossed, products: Matrix) -> Partialled:
    """Return cross-products of a frame's `z`, `t` and `y` net of its `x`, from all (M, M) of some of its rows."""
    x = _covariate_positions(frame)
    z = frame.at["z"]
    rest = np.asarray([*range(z.start, z.stop), frame.column("t"), frame.column("y")], dtype=np.intp)
    on_x = solve(products[np.ix_(x, x)], products[np.ix_(x, rest)]).coefficients
    inner = products[np.ix_(rest, rest)] - products[np.ix_(rest, x)] @ on_x
    combine = np.zeros((len(rest), len(products)))
    combine[np.arange(len(rest)), rest] = 1.0
    combine[:, x] = -on_x.T
    return from_products(inner, combine, len(x))


def limited(parts: Partialled) -> float:
    """Return the κ of LIML: the least ratio of the squares of y - b·t net of covariates to those net of instruments
    too.
    """
    if len(parts.z_t) == 1:
        return 1.0
    explained = np.column_stack([parts.z_y, parts.z_t])
    whole = np.array([[parts.yy, parts.ty], [parts.ty, parts.tt]])
    left = whole - explained.T @ explained
    if np.linalg.det(left) <= _EXACT * parts.yy * parts.tt:
        return 1.0
    root = np.linalg.cholesky(left)
    # Singular values of the explained part keep digits that eigenvalues of a difference near 1 would lose.
    ratios = np.linalg.svd(np.linalg.solve(root, explained.T), compute_uv=False)
    return 1.0 + float(ratios[-1]) ** 2


def check_instruments(frame: Crossed, plan: Plan) -> None:
    """Refuse instruments collinear with the covariates, and samples that are too small.

    Raises:
        UnusableData: either is the case.
    """
    z = frame.at["z"]
    absorbed = frame.absorbed.degrees if frame.absorbed is not None else 0
    needed = frame.at["x"].stop + (z.stop - z.start) + absorbed
    if frame.n <= needed:
        raise UnusableData(Message("inference.too-few-rows", rows=frame.n, coefficients=needed))
    x = _covariate_positions(frame)
    for role, columns in (("instrument", range(z.start, z.stop)), ("treatment", [frame.column("t")])):
        left = [_residual_share(frame, x, column) for column in columns]
        if not left or min(left) <= 1e-10:
            raise UnusableData(_collinear(role, plan.label(role), within_effects=frame.absorbed is not None))


def _collinear(role: str, name: str, *, within_effects: bool) -> Message:
    if role == "instrument":
        if within_effects:
            return Message("iv.instrument-collinear-within-effects", name=name)
        return Message("iv.instrument-collinear", name=name)
    if within_effects:
        return Message("iv.treatment-collinear-within-effects", name=name)
    return Message("iv.treatment-collinear", name=name)


def _covariate_positions(frame: Crossed) -> NDArray[np.intp]:
    """Return the positions of the covariates."""
    return np.arange(0 if frame.absorbed is None else 1, frame.at["x"].stop)


def _residual_share(frame: Crossed, x: NDArray[np.intp], column: int) -> float:
    """Return the share of a column's squares that remains net of covariates."""
    own = float(frame.products[column, column])
    if own <= 1e-14 * frame.n:
        return 0.0
    right = frame.products[x, column]
    return 1.0 - float(right @ solve(frame.products[np.ix_(x, x)], right[:, None]).coefficients[:, 0]) / own


@dataclass(frozen=True, slots=True, kw_only=True)
class MomentVariances:
    """Variances of the moments.

    Attributes:
        yy, yt, tt: (m, m) variances of the moments of outcome and treatment, by their residuals on the instruments.
        ee: (m, m) plain sum of squares of the moments of the two-stage residuals; None with one instrument.
    """

    yy: Matrix
    yt: Matrix
    tt: Matrix
    ee: Matrix | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RowPass(MomentVariances):
    """Row-level results of one pass.

    Attributes:
        contributions: (n,) to the two-stage least squares coefficient.
        squares: of its residuals.
        exogeneity: returns the (n,) contributions to, and the residual squares of, the coefficient of the endogeneity
            test.
    """

    contributions: Vector
    squares: float
    exogeneity: Callable[[], tuple[Vector, float]]


def row_pass(data: Variables, parts: Partialled, clusters: Clusters) -> RowPass:
    """Return two-stage least squares by row, with the moments' variances, clustered by the first dimension."""
    m, weights, value, strength = len(parts.z_t), data.weights, parts.value(), parts.strength
    n = data.matrix.shape[1]
    kinds = 3 if m > 1 else 2
    contributions = np.empty(n)
    moments = np.empty((kinds * m, n)) if clusters.codes else None

    def work(s: slice) -> Partial:
        block = data.matrix[:, s]
        values = combined(parts.combine, block, scratch("parts", len(parts.combine), block.shape[1]))
        z, t, y = values[:m], values[m], values[m + 1]
        residual = y - value * t
        weighted = residual if weights is None else residual * weights[s]
        fitted = parts.z_t @ z
        np.multiply(fitted, weighted / strength, out=contributions[s])
        unrestricted = y - parts.z_y @ z, t - fitted
        if weights is not None:
            unrestricted = unrestricted[0] * weights[s], unrestricted[1] * weights[s]
        every = np.concatenate([z * each for each in (*unrestricted, weighted)[:kinds]])
        if moments is not None:
            moments[:, s] = every
        return np.asarray(weighted @ residual), squares(every)

    left, variance = data.rows.total(work)
    if moments is not None:
        variance = _clustered(moments, clusters.codes[0], clusters.counts[0])
        # Hansen's J is defined by the plain sums.
        variance[2 * m :] *= (clusters.counts[0] - 1) / clusters.counts[0]
    return RowPass(
        contributions=contributions, squares=float(left),
        yy=variance[:m, :m], yt=variance[:m, m : 2 * m], tt=variance[m : 2 * m, m : 2 * m],
        ee=variance[2 * m :, 2 * m :] if m > 1 else None, exogeneity=partial(_exogeneity, data, parts),
    )  # fmt: skip


def k_class_contributions(data: Variables, parts: Partialled, kappa: float) -> tuple[Vector, float]:
    """Return (n,) contributions to a k-class coefficient, and the squares of its residuals."""
    m, weights = len(parts.z_t), data.weights
    value, denominator = parts.value(kappa), parts.denominator(kappa)
    combine = np.stack([parts.z_t @ parts.combine[:m], parts.combine[m + 1] - value * parts.combine[m]])
    contributions = np.empty(data.matrix.shape[1])

    def work(s: slice) -> Partial:
        fitted, residual = combine @ data.matrix[:, s]
        weighted = residual if weights is None else residual * weights[s]
        np.multiply(fitted, weighted / denominator, out=contributions[s])
        return (np.asarray(weighted @ residual),)

    (squares,) = data.rows.total(work)
    return contributions, float(squares)


def _exogeneity(data: Variables, parts: Partialled) -> tuple[Vector, float]:
    """Return the contributions to the coefficient of the first-stage residual in a regression with the treatment.

    The fitted treatment and its residual are orthogonal, so that the coefficient is that of the residual alone less the
    two-stage one.
    """
    m, weights, slope = len(parts.z_t), data.weights, parts.value()
    left_squares = parts.tt - parts.strength
    on_left = (parts.ty - float(parts.z_t @ parts.z_y)) / left_squares
    fitted = parts.z_t @ parts.combine[:m]
    left = parts.combine[m] - fitted
    combine = np.stack([fitted, left, parts.combine[m + 1] - slope * fitted - on_left * left])
    contributions = np.empty(data.matrix.shape[1])

    def work(s: slice) -> Partial:
        along, across, residual = combine @ data.matrix[:, s]
        weighted = residual if weights is None else residual * weights[s]
        np.multiply(weighted, across / left_squares - along / parts.strength, out=contributions[s])
        return (np.asarray(weighted @ residual),)

    (squares,) = data.rows.total(work)
    return contributions, float(squares)


def _clustered(moments: Matrix, codes: Codes, count: int) -> Matrix:
    sums = np.stack([np.bincount(codes, row, count) for row in moments])
    return np.asarray(sums @ sums.T * (count / max(count - 1, 1)))
