import contextlib
import io
from dataclasses import replace

import numpy as np
import pytest

from cqox.estimators import Data, Plan, Settings
from cqox.estimators.rd.outcome_study import sharp_study
from cqox.estimators.rd.placebo import Placebo, placebo_studies
from cqox.estimators.rd.study import Study
from tests.estimators.designs import discontinuity

SHARES = (0.25, 0.5, 0.75)


def studied(data: Data, **settings: object) -> tuple[Study, list[Placebo]]:
    of = sharp_study(Plan(data, Settings(**settings)))
    return of, placebo_studies(of, SHARES)


def peer(data: Data, net: np.ndarray, placebo: Placebo, cutoff: float, **options: object) -> tuple[float, ...]:
    """The jump by rdrobust among the rows of the same side of the real cutoff."""
    from rdrobust import rdrobust

    side = (data.running >= data.cutoff) == placebo.above
    with contextlib.redirect_stdout(io.StringIO()):
        found = rdrobust(net[side], data.running[side], c=cutoff, **options)
    return (found.coef.values[0, 0], found.coef.values[1, 0], found.se.values[2, 0], found.bws.values[0, 0])


def own(of: Study, placebo: Placebo) -> tuple[float, ...]:
    study = placebo.study
    effect = study.outcome_jump(study.jump)
    return (effect.value, effect.corrected, effect.errors.robust * effect.scale, study.jump.h * of.score.unit)


@pytest.mark.parametrize("settings", [{}, {"rd_kernel": "uniform", "rd_order": 2}])
def test_a_placebo_cutoff_equals_rdrobust_among_the_rows_of_its_side(settings: dict[str, object]) -> None:
    data = discontinuity(4000, covariates=False)
    of, found = studied(data, **settings)
    options = {"kernel": settings.get("rd_kernel", "triangular"), "p": settings.get("rd_order", 1)}
    assert [placebo.above for placebo in found] == [False] * 3 + [True] * 3
    for placebo in found:
        cutoff = data.cutoff + (1 if placebo.above else -1) * placebo.distance * of.score.unit
        # A row's own value, to the digit.
        cutoff = float(data.running[np.argmin(np.abs(data.running - cutoff))])
        assert own(of, placebo) == pytest.approx(peer(data, data.y, placebo, cutoff, **options), rel=1e-6)


def test_the_outcome_is_net_of_covariates() -> None:
    data = discontinuity(4000)
    of, found = studied(data)
    net = of.net_outcome() * of.scale + of.centre
    assert np.var(net) < np.var(data.y)
    cutoff = data.cutoff + found[-1].distance * of.score.unit
    cutoff = float(data.running[np.argmin(np.abs(data.running - cutoff))])
    assert own(of, found[-1]) == pytest.approx(peer(data, net, found[-1], cutoff), rel=1e-6)


def test_the_shares_of_a_side_lie_between_the_cutoffs() -> None:
    of, found = studied(discontinuity(2000))
    for placebo, share in zip(found, SHARES * 2, strict=True):
        side = of.sides[int(placebo.above)]
        assert side.within(placebo.distance) / side.n == pytest.approx(share, abs=0.01)
        inner, outer = placebo.study.sides if placebo.above else placebo.study.sides[::-1]
        assert inner.n + outer.n == side.n
        assert (np.diff(inner.distance) >= 0).all()
        assert (np.diff(outer.distance) >= 0).all()
        assert set(inner.rows.tolist()) | set(outer.rows.tolist()) == set(side.rows.tolist())


def test_a_bandwidth_holds_fifty_rows_on_each_side_or_the_cutoff_is_left_out() -> None:
    _, found = studied(discontinuity(450))
    assert found
    assert all(min(placebo.study.jump.within_h) >= 50 for placebo in found)
    assert studied(discontinuity(150))[1] == []
    data = discontinuity(3000, covariates=False)
    assert studied(replace(data, running=np.round(data.running * 10) / 10))[1] == []


def test_large_data_are_read_near_the_placebo_cutoff_alone() -> None:
    of, found = studied(discontinuity(40_000, covariates=False))
    assert max(side.n for placebo in found for side in placebo.study.sides) == 5000
    assert max(placebo.study.jump.h for placebo in found) < 1
    assert of.score.n[0] > 5000


def test_clusters_and_weights_stay_with_their_rows() -> None:
    data = discontinuity(3000, covariates=False)
    weights, codes = np.random.default_rng(1).uniform(0.5, 2, data.n), np.arange(data.n) % 90
    _, found = studied(replace(data, weights=weights, clusters=(codes,)))
    for side in found[0].study.sides:
        np.testing.assert_allclose(side.weights / side.weights[0], weights[side.rows] / weights[side.rows[0]])
        assert (np.unique(side.codes).size, side.codes[0] == side.codes[90]) == (
            np.unique(codes[side.rows]).size, codes[side.rows[0]] == codes[side.rows[90]],
        )  # fmt: skip
    errors = found[0].study.outcome_jump(found[0].study.jump).errors
    assert errors.degrees == errors.clusters - 1
