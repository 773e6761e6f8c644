"""Difference in differences of two groups in two periods by moments."""

import numpy as np

from cqox.contract.messages import Message
from cqox.estimators.by_moments.encoded import NotByMoments
from cqox.estimators.by_moments.errors import Regression, regression_error, reported
from cqox.estimators.by_moments.regression import fitted_combination, leave_out_clusters
from cqox.estimators.by_moments.rounds import Steps
from cqox.estimators.by_moments.summed import ONE
from cqox.estimators.by_moments.tables import Tables
from cqox.estimators.inference.least_squares import check_identified
from cqox.estimators.inference.make_estimate import EstimateId
from cqox.estimators.inference.standard_errors import SMALL_SAMPLE
from cqox.estimators.numerics.moments import times
from cqox.estimators.panel.did import CELLS, few_rows_in_cells

__all__ = ["did_2x2"]


def did_2x2(tables: Tables) -> Steps:
    """Return the coefficient of group and period in a regression on both, their product and the covariates."""
    encoded, plan = tables.encoded, tables.pilot
    if encoded.post is None:
        raise NotByMoments(Message("by_moments.periods"))
    group, post, y = encoded.treatment, encoded.post, encoded.y
    rows = tables.complete("y", "treatment", "post", "covariates")
    columns = {"x": encoded.covariates, "group": (group,), "post": (post,), "t": (times(group, post),), "y": (y,)}
    labels = {"x": plan.labels("covariates") if encoded.covariates else (), "group": ("group",), "post": ("post",)}
    frame = tables.frame_of(columns, {**labels, "t": ("group x post",), "y": ("y",)}, rows)
    if frame.n < SMALL_SAMPLE:
        raise NotByMoments(Message("by_moments.leverages", error="HC3"))
    places = [*range(frame.at["x"].stop), frame.column("group"), frame.column("post"), frame.column("t")]
    regressors = np.asarray(places, dtype=np.intp)
    check_identified(frame, regressors, Message("panel.difference-in-differences"))
    k, target = len(regressors), frame.column("y")
    direction = np.eye(k)[-1] * frame.scale[target] / frame.scale[regressors]
    fit, sums = yield from fitted_combination(frame, regressors, target, direction)
    clustering = tables.clustering(rows)
    regression = Regression(
        value=float(direction @ fit.coefficients), sums=sums, n=frame.n, parameters=k, not_nested=k,
        iid_variance=fit.squares / (frame.n - k) * float(direction @ fit.inverse @ direction),
        without_each=leave_out_clusters(tables, frame, regressors, direction), compares_arms=True,
    )  # fmt: skip
    uncertainty = regression_error(regression, clustering, tables.settings)
    weight = ONE if frame.weight is None else frame.weight
    cells = rows.source.grouped([weight, times(weight, frame.columns[target])], [group, post])
    means = frame.centre[target] + frame.scale[target] * cells[:, 4] / cells[:, 3]
    counts = dict(zip(CELLS, cells[:, 2].astype(int).tolist(), strict=True))
    return reported(
        EstimateId("did_2x2", "did", "ATT"), tables, frame, regression.value, uncertainty, rows=None,
        n_effective=tables.effective(frame), over_time=True, notes=frame.notes,
        diagnostics={"cell_means": dict(zip(CELLS, means.tolist(), strict=True)), "cell_rows": dict(counts)},
        warnings=[] if clustering.counts else few_rows_in_cells(counts),
    )  # fmt: skip
