from dataclasses import replace

import numpy as np
import pytest

from tests.diagnostics.looking import confounded, judged, trial
from tests.estimators.designs import cross_section


def test_the_share_outside_counts_rows_beyond_the_bounds() -> None:
    seen = judged(confounded(800, strength=3.0))
    e = seen.plan.propensity().e
    found = seen.diagnostics["overlap"]
    assert found["share_below"] == pytest.approx(np.mean(e < 0.05))
    assert found["share_above"] == pytest.approx(np.mean(e > 0.95))
    assert found["share_outside"] == pytest.approx(np.mean((e < 0.05) | (e > 0.95)))
    assert found["share_outside"] > 0.1


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
