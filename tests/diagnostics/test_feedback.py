"""Past outcomes before starts of treatment."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cqox.diagnostics.feedback import feedback as diagnostic
from cqox.errors import UnusableData
from cqox.estimators import Data, Plan, Settings
from tests.diagnostics.identification.simulated_panels import feedback, switching
from tests.diagnostics.looking import trial


def of(data: Data) -> dict[str, object]:
    return diagnostic(Plan(data, Settings()))


@pytest.mark.filterwarnings("ignore:The inplace keyword")
@pytest.mark.parametrize("clustered", [False, True])
def test_the_difference_is_that_of_the_regression_with_unit_and_period_effects(clustered: bool) -> None:
    pyfixest = pytest.importorskip("pyfixest")
    data = switching(1, units=50)
    codes = data.unit // 2
    frame = pd.DataFrame(
        {"y": data.y, "on": data.treatment, "unit": data.unit, "time": data.time, "cluster": codes}
    ).sort_values(["unit", "time"])
    frame["past"], frame["was"] = frame.groupby("unit")["y"].shift(), frame.groupby("unit")["on"].shift()
    frame = pd.DataFrame({name: values.to_numpy() for name, values in frame[frame["was"] == 0].items()})
    peer = pyfixest.feols(
        "past ~ on | unit + time", frame, vcov={"CRV1": "cluster" if clustered else "unit"}, fixef_rm="none"
    )
    found = of(replace(data, clusters=(codes,)) if clustered else data)
    assert found["difference"] == pytest.approx(peer.coef()["on"], rel=1e-8)
    assert found["standard_error"] == pytest.approx(peer.se()["on"], rel=1e-8)
    assert found["p_value"] == pytest.approx(peer.pvalue()["on"], rel=1e-6)
    assert (found["rows"], found["starts"]) == (len(frame), int(frame["on"].sum()))


def test_rows_in_another_order_give_the_same() -> None:
    data = switching(2)
    assert of(data.rows(np.random.default_rng(0).permutation(data.n))) == pytest.approx(of(data), rel=1e-9)


def test_a_start_after_a_bad_period_is_found_and_levels_of_units_are_not() -> None:
    assert of(feedback(0))["p_value"] < 1e-6
    often = switching(3)
    share = np.bincount(often.unit, often.treatment)[often.unit]
    raised = replace(often, y=often.y + 5.0 * share)
    assert of(raised)["p_value"] == pytest.approx(of(often)["p_value"], rel=1e-6)


def test_few_starts_have_a_reason() -> None:
    data = switching(4)
    once = replace(data, treatment=((data.unit == 0) & (data.time == 3)).astype(float))
    with pytest.raises(UnusableData, match="starts"):
        of(once)
    with pytest.raises(UnusableData):
        of(trial())
