from dataclasses import replace

import numpy as np
import pytest

from cqox.diagnostics.overlap import overlap_bounds
from tests.diagnostics.looking import confounded, judged, observed, trial
from tests.estimators.designs import cross_section


def test_the_share_outside_counts_rows_beyond_the_bounds() -> None:
    seen = judged(confounded(800, strength=3.0))
    e = seen.plan.propensity().e
    found = seen.diagnostics["overlap"]
    low, high = found["bounds"]
    share = seen.plan.data.treatment.mean()
    for bound, ratio in ((low, 1 / 19), (high, 19)):
        assert bound / (1 - bound) == pytest.approx(ratio * share / (1 - share))
    assert found["share_below"] == pytest.approx(np.mean(e < low))
    assert found["share_above"] == pytest.approx(np.mean(e > high))
    assert found["share_outside"] == pytest.approx(np.mean((e < low) | (e > high)))
    assert found["share_outside"] > 0.1


def test_bounds_are_a_twentieth_from_the_ends_for_equal_arms_and_follow_the_treated_share() -> None:
    assert overlap_bounds(0.5) == pytest.approx((0.05, 0.95))
    low, high = overlap_bounds(0.04)
    assert (low, high) == pytest.approx((0.04 / (0.04 + 19 * 0.96), 0.76 / (0.76 + 0.96)))
    rng = np.random.default_rng(2)
    x = rng.standard_normal((1000, 3))
    few = (rng.permutation(1000) < 40).astype(float)
    assert judged(observed(x, few), only=["aipw"]).gates["overlap"].status == "pass"
    parted = (x[:, 0] + 0.3 * rng.standard_normal(1000) > 1.7).astype(float)
    assert judged(observed(x, parted), only=["aipw"]).gates["overlap"].status == "fail"


def test_every_row_is_in_one_bin_of_its_arm() -> None:
    data = confounded(777, strength=2.0)
    found = judged(data).diagnostics["overlap"]
    assert sum(each["treated"] for each in found["bins"]) == found["treated_rows"] == data.treatment.sum()
    assert sum(each["control"] for each in found["bins"]) == found["control_rows"]
    assert [each["lower"] for each in found["bins"][1:]] == [each["upper"] for each in found["bins"][:-1]]


def test_a_known_probability_is_used_as_it_is() -> None:
    data = trial()
    p = np.where(np.arange(data.n) < 30, 0.01, 0.5)
    found = judged(replace(data, pscore=p, names={**data.names, "pscore": ("p",)})).diagnostics["overlap"]
    assert found["probability"] == "given"
    assert found["share_outside"] == pytest.approx(30 / data.n)


def test_where_there_is_no_probability_there_is_a_reason() -> None:
    assert set(judged(cross_section(200, continuous=True)).diagnostics["overlap"]) == {"reason"}
    data = trial()
    nothing = np.empty((data.n, 0))
    bare = replace(data, covariates=nothing, propensity_covariates=nothing, names={"y": ("y",), "treatment": ("t",)})
    assert "covariates" in judged(bare).diagnostics["overlap"]["reason"]
