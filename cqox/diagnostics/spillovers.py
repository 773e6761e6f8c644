"""Test that the treatment of others does not move the outcome of a unit, by mapped edges, exposure or places.

On a network, and by a measured exposure, the effect is the estimate `exposure_spillover`. By places it is the
coefficient of the treated share among the nearest rows, given own treatment and covariates, with Conley's errors.
"""

from collections.abc import Sequence

import numpy as np

from cqox.contract.messages import Message
from cqox.diagnostics.json_values import number
from cqox.errors import UnusableData
from cqox.estimators import Estimate, Json, Matrix, Plan, Vector
from cqox.estimators.inference.conley import conley_variance, default_bandwidth
from cqox.estimators.inference.least_squares import focus, regress
from cqox.estimators.numerics.frame import build_frame
from cqox.estimators.numerics.quantiles import two_sided

__all__ = ["spillovers"]

_NEAREST = 10


def spillovers(plan: Plan, estimates: Sequence[Estimate]) -> dict[str, Json]:
    """Return the effect of the treatment of others on the outcome, with its p-value.

    Raises:
        UnusableData: no edges, exposure or places are mapped, or the effect could not be estimated.
    """
    if plan.has("edges") or plan.has("neighbor_exposure"):
        return _of_estimate(estimates, "edges" if plan.has("edges") else "neighbor_exposure")
    if plan.data.location is None or plan.data.treatment is None or not plan.has("y"):
        raise UnusableData(Message("diagnostics.no-neighbours"))
    return _by_places(plan, plan.data.location)


def _of_estimate(estimates: Sequence[Estimate], by: str) -> dict[str, Json]:
    for estimate in estimates:
        if estimate.name == "exposure_spillover" and estimate.estimate is not None:
            return {
                "by": by, "estimate": estimate.estimate, "standard_error": estimate.standard_error,
                "p_value": estimate.p_value,
            }  # fmt: skip
    raise UnusableData(Message("diagnostics.no-spillover-estimated"))


def _by_places(plan: Plan, places: Matrix) -> dict[str, Json]:
    complete = plan.sample("y", "treatment", "covariates")
    kept = np.isfinite(complete.take(places)).all(axis=1)
    if int(kept.sum()) <= _NEAREST + plan.data.covariates.shape[1] + 3 or not kept.all():
        raise UnusableData(Message("diagnostics.no-neighbours"))
    location = complete.take(places)
    share = _share_of_nearest(location, plan.treated(complete))
    columns: list[Matrix] = [complete.scatter(plan.treated(complete))[:, None]]
    labels = list(plan.labels("treatment"))
    if plan.has("covariates"):
        columns.append(plan.data.covariates)
        labels += plan.labels("covariates")
    frame = build_frame(
        complete,
        {
            "x": (np.column_stack(columns), labels),
            "t": (complete.scatter(share)[:, None], ("neighbours",)),
            "y": (plan.data.y[:, None], plan.labels("y")),
        },
        weights=plan.data.weights, block=plan.settings.chunk_rows, threads=plan.settings.threads,
    )  # fmt: skip
    regressors = focus(frame, "t", Message("diagnostics.treated-neighbours"))
    contrast = np.zeros(len(regressors))
    contrast[-1] = 1.0
    fit = regress(frame, regressors, contrast)
    reach = plan.settings.conley_bandwidth or default_bandwidth(location, complete.take(plan.data.row_key))
    variance, _ = conley_variance(fit.contributions, location, reach)
    degrees = float(frame.n - fit.parameters)
    variance = max(variance, float(fit.contributions @ fit.contributions)) * frame.n / degrees
    error = float(np.sqrt(variance))
    return {
        "by": "places", "neighbours": _NEAREST, "estimate": number(fit.value), "standard_error": number(error),
        "p_value": number(two_sided(fit.value / error, degrees)) if error > 0 else None,
    }  # fmt: skip


def _share_of_nearest(location: Matrix, treated: Vector) -> Vector:
    """Return (n,) the mean treatment of the nearest other rows."""
    from scipy.spatial import cKDTree

    latitude, longitude = np.radians(location).T
    flat = np.cos(latitude)
    points = np.column_stack([flat * np.cos(longitude), flat * np.sin(longitude), np.sin(latitude)])
    _, near = cKDTree(points).query(points, k=_NEAREST + 1)
    # Among rows at one place a row need not be its own nearest.
    own = near == np.arange(len(near))[:, None]
    own[~own.any(axis=1), -1] = True
    return np.asarray(treated[near[~own].reshape(len(near), _NEAREST)].mean(axis=1))
