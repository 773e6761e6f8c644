"""Two-way fixed effects by moments."""

from collections.abc import Generator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.estimators.by_moments.encoded import NotByMoments
from cqox.estimators.by_moments.errors import Regression, regression_error, reported
from cqox.estimators.by_moments.panels import PanelSums, Periods, less_means
from cqox.estimators.by_moments.regression import fitted_combination
from cqox.estimators.by_moments.rounds import Answer, Ask, Cells, Steps
from cqox.estimators.by_moments.summed import ONE, Clustering, Complete, SummedFrame
from cqox.estimators.by_moments.tables import Tables
from cqox.estimators.data import Vector
from cqox.estimators.estimate import Json
from cqox.estimators.inference.arm_sizes import allowing_for_clusters
from cqox.estimators.inference.cluster_arms import ClustersByArm
from cqox.estimators.inference.least_squares import ACROSS_CLUSTERS, JACKKNIFE_CELLS, focus, values_without_each
from cqox.estimators.inference.make_estimate import EstimateId
from cqox.estimators.inference.refit import MOST_DUMMIES
from cqox.estimators.inference.standard_errors import TOO_MANY
from cqox.estimators.numerics.absorb import Absorption
from cqox.estimators.numerics.gram import solve_independent
from cqox.estimators.numerics.moments import Constant, Expr, Is, linear, times
from cqox.estimators.panel.did import MOST_NEGATIVE, refuse_single_rows

__all__ = ["twfe"]

_NEGATIVE = -1e-12


def twfe(tables: Tables) -> Steps:
    """Return the coefficient of the treatment with unit and period effects."""
    plan = tables.pilot
    if plan.has("fixed_effects"):
        raise NotByMoments(Message("by_moments.fixed-effects"))
    rows = tables.complete("y", "treatment", "unit_id", "time", "covariates")
    design = _Design.of(tables, rows)
    panel, frame, levels = design.panel, design.frame, design.levels
    refuse_single_rows(
        rows=frame.n, units=levels[0], periods=levels[1], once=panel.once, unit_id=plan.label("unit_id")
    )  # fmt: skip
    regressors = focus(frame, "t", Message("inference.the-treatment-named", treatment=plan.label("treatment")))
    direction = np.eye(len(regressors))[-1] * frame.scale[frame.column("y")] / frame.scale[regressors]
    fit, sums = yield from fitted_combination(frame, regressors, frame.column("y"), direction)
    clustering, nested = design.clustering(), design.nested()
    parameters = len(regressors) + sum(levels) - 1
    regression = Regression(
        value=float(direction @ fit.coefficients), sums=replace(sums, cells=design.cells(fit.score, clustering)),
        n=frame.n, parameters=parameters,
        not_nested=parameters - sum(count - 1 for count, inside in zip(levels, nested, strict=True) if inside),
        iid_variance=fit.squares / (frame.n - parameters) * float(direction @ fit.inverse @ direction),
        without_each=partial(_without_each_cluster, design, nested), compares_arms=tables.binary, leverages=False,
    )  # fmt: skip
    uncertainty = regression_error(regression, clustering, tables.settings)
    diagnostics: dict[str, Json] = {"parameters": parameters, "levels_absorbed": list(levels)}
    notes, warnings = list(frame.notes), list[Message]()
    if tables.binary:
        share, total = yield from _negative_weights(design, regressors)
        diagnostics["negative_weight_share"], diagnostics["negative_weight_sum"] = share, total
        if share > 0:
            said = warnings if abs(total) > MOST_NEGATIVE else notes
            said.append(Message("panel.negative-weights", share=share, total=total))
    return reported(
        EstimateId("twfe", "did", "ATT"), tables, frame, regression.value,
        allowing_for_clusters(uncertainty, clustering.by_arm, tables.settings), rows=None,
        n_effective=tables.effective(frame), diagnostics=diagnostics, notes=notes, warnings=warnings, over_time=True,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class _Design:
    """The columns of the regression.

    Attributes:
        tables: the request's shared computations.
        rows: the rows.
        panel: sums over their units and periods.
        standard: the standardised columns: covariates, treatment, outcome.
        frame: the same without effects of unit and period.
    """

    tables: Tables
    rows: Complete
    panel: PanelSums
    standard: tuple[Expr, ...]
    frame: SummedFrame

    @classmethod
    def of(cls, tables: Tables, rows: Complete) -> "_Design":
        """Return the columns, after three passes over the rows."""
        encoded = tables.encoded
        columns = [*encoded.covariates, encoded.treatment, encoded.y]
        centre, scale, standard = tables.standardised(columns, rows)
        panel = PanelSums.of(tables, rows, Periods.of(tables, rows), standard)
        weight = None if panel.weight is None else linear([(1.0 / panel.mean_weight, panel.weight)])
        within = [panel.without_effects(each, place) for place, each in enumerate(standard)]
        found = rows.source.gram(within, (), weight)
        k = 1 + len(encoded.covariates)
        products = np.zeros((k + 2, k + 2))
        products[1:, 1:] = found.products[0]
        covariates = tables.pilot.labels("covariates") if encoded.covariates else ()
        alone = (Message("numerics.singletons", rows=panel.alone),) if panel.alone else ()
        stay, frame = SummedFrame(
            n=int(panel.periods.rows.sum()), at={"x": slice(0, k), "t": slice(k, k + 1), "y": slice(k + 1, k + 2)},
            centre=np.append(0.0, centre), scale=np.append(1.0, scale), products=products,
            labels=("(intercept)", *covariates, "t", "y"), notes=alone,
            absorbed=Absorption(codes=(), levels=(panel.units, len(panel.periods.values))), rows=rows,
            columns=(Constant(0.0), *within), weight=weight,
        ).without_dependent(("x", "t", "y"))  # fmt: skip
        return cls(
            tables=tables, rows=rows, panel=panel, standard=tuple(standard),
            frame=replace(frame, columns=tuple(frame.columns[place] for place in stay)),
        )  # fmt: skip

    @property
    def levels(self) -> tuple[int, int]:
        """The numbers of units and of periods."""
        return self.panel.units, len(self.panel.periods.values)

    def nested(self) -> tuple[bool, bool]:
        """Return whether each unit, and each period, lies within one cluster of some dimension."""
        source, clusters = self.rows.source, self.tables.clusters()

        def inside(effect: Expr, levels: int) -> bool:
            return any(
                column == effect or source.squares([ONE], [effect, column])[1] == levels for column in clusters
            )  # fmt: skip

        return inside(self.panel.unit, self.levels[0]), inside(self.panel.periods.code, self.levels[1])

    def compared(self) -> tuple[Expr, Expr]:
        """Return 1 for rows that are untreated while others are treated, and 1 for treated rows."""
        treated, periods = self.tables.treated(), self.panel.periods
        during = periods.among((periods.treated > 0).astype(np.float64))
        return times(linear([(-1.0, treated)], 1.0), during), treated

    def clustering(self) -> Clustering:
        """Return the clusters, counted by arm among rows that are compared."""
        whole, source = self.tables.clustering(self.rows), self.rows.source
        if not whole.counts or not self.tables.binary:
            return replace(whole, by_arm=None)
        inside = [source.where(Is(arm, "=", 1.0)) for arm in self.compared()]
        pairs = [[each.squares([ONE], [column])[1] for each in inside] for column in self.tables.clusters()]
        counted = [ClustersByArm(untreated=pair[0], treated=pair[1]) for pair in pairs]
        return replace(whole, by_arm=min(counted, key=lambda each: each.fewer))

    def cells(self, score: Expr, clustering: Clustering) -> Cells | None:
        """Return the sums by cluster and arm that the correction for few clusters needs; None where there are enough.

        The contributions are those of all rows of a cluster.
        """
        if not clustering.needs_cells:
            return None
        (column,), weight = self.tables.clusters(), self.frame.weight
        arms = self.compared() if self.tables.binary else (ONE, Constant(0.0))
        mass = [times(weight, arm) for arm in arms]
        found = self.rows.source.grouped([score, *mass, *(times(weight, each) for each in mass)], [column])[:, 2:].T
        contributions = np.stack([found[0], np.zeros(found.shape[1])])
        return Cells(contributions=contributions, mass=found[1:3], noise=found[3:5])


def _negative_weights(design: _Design, regressors: NDArray[np.intp]) -> Generator[Ask, Answer, tuple[float, float]]:
    """Return the share of treated rows with a negative weight in the estimate, and the sum of these weights (total
    1)."""
    frame, treated = design.frame, design.tables.treated()
    t, others = regressors[-1], regressors[:-1]
    coefficients = np.zeros(len(frame.labels))
    coefficients[t] = 1.0
    if len(others):
        slopes = solve_independent(frame.products[np.ix_(others, others)], frame.products[others, t][:, None])
        coefficients[others] = -slopes.coefficients[:, 0]
    # The residual is orthogonal to the effects: its sum over treated rows is that of its products with the treatment.
    total = float(frame.scale[t] * (coefficients @ frame.products[:, t]))
    weights = linear([(1.0 / total, times(frame.weight, frame.combined(coefficients)))])
    negative = times(treated, Is(weights, "<", _NEGATIVE))
    answer = yield Ask(rows=frame.rows, sums=(negative, times(negative, weights)))
    return float(answer.sums[0] / design.panel.periods.treated.sum()), float(answer.sums[1])


def _without_each_cluster(design: _Design, nested: tuple[bool, bool]) -> Vector | Message:
    """Return (clusters,) the coefficient without each cluster, with periods as dummies, as `without_each_cluster` does.

    Raises:
        NotByMoments: units span clusters, or clusters hold whole periods.
    """
    tables, panel, (units, periods) = design.tables, design.panel, design.levels
    dummies = (0 if nested[0] else units) + (0 if nested[1] else periods)
    if dummies - (not nested[0] and not nested[1]) > MOST_DUMMIES:
        return ACROSS_CLUSTERS
    if nested != (True, False):
        raise NotByMoments(Message("by_moments.few-clusters"))
    (column,), weight = tables.clusters(), design.frame.weight
    inside = [Is(panel.periods.code, "=", float(place)) for place in range(1, periods)]
    covariates, last = design.standard[:-2], design.standard[-2:]
    columns = [less_means(each, panel.unit, panel.weight) for each in (*covariates, *inside, *last)]
    k = 1 + len(covariates) + len(inside)
    products = np.zeros((k + 2, k + 2))
    products[1:, 1:] = design.rows.source.gram(columns, (), weight).products[0]
    whole = design.frame
    stay, frame = replace(
        whole, at={"x": slice(0, k), "t": slice(k, k + 1), "y": slice(k + 1, k + 2)}, centre=np.zeros(k + 2),
        scale=np.ones(k + 2), products=products, labels=("",) * (k + 2), notes=(), dropped=(),
        absorbed=Absorption(codes=(), levels=(units,)), columns=(Constant(0.0), *columns),
    ).without_dependent(("x", "t", "y"))  # fmt: skip
    regressors = focus(frame, "t", Message("inference.the-treatment"))
    used = stay[np.append(regressors, frame.column("y"))]
    clusters = tables.clustering(design.rows).counts[0]
    if clusters * len(used) ** 2 > JACKKNIFE_CELLS:
        return TOO_MANY
    blocks = design.rows.source.gram([columns[place - 1] for place in used.tolist()], [column], weight).products
    direction = np.eye(len(regressors))[-1] * whole.scale[whole.column("y")] / whole.scale[whole.column("t")]
    return values_without_each(blocks, direction)
