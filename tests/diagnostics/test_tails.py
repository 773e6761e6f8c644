"""Heavy tails: the skewness of the estimate, and the gate on it."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from cqox.contract.messages import Message
from cqox.diagnostics.primary import Primary
from cqox.diagnostics.tails import tails, tails_gate
from cqox.errors import UnusableData
from cqox.estimators import Data, Plan, Settings, catalog, run
from tests.estimators.designs import cross_section

ENTRIES = {entry.name: entry for entry in catalog()}
NONE = np.empty((0, 0))


def trial(y: np.ndarray, treated: int, **roles: object) -> Data:
    n = len(y)
    return Data(
        n=n, y=y, treatment=(np.arange(n) < treated).astype(float), treatment_kind="binary",
        row_key=np.arange(n, dtype=np.uint64), names={"y": ("y",), "treatment": ("t",)}, **roles,
    )  # fmt: skip


def judged(data: Data, name: str = "difference_in_means"):
    plan = Plan(data, Settings())
    estimate = run(ENTRIES[name], plan)
    found = tails(plan, [estimate], Primary(name=name, rule=Message("verdict.requested")))
    return found, tails_gate({"tails": found}, estimate)


def test_skewness_and_shares_are_scipys() -> None:
    y = np.random.default_rng(1).lognormal(0, 1.2, 400)
    found, gate = judged(trial(y, 150))
    for name, arm in (("treated", y[:150]), ("untreated", y[150:])):
        off = np.sort(np.abs(arm - arm.mean()))[::-1]
        assert found[name]["skewness"] == pytest.approx(stats.skew(arm), rel=1e-10)
        assert found[name]["share_of_top"] == pytest.approx(off[: round(0.01 * len(arm))].sum() / off.sum(), rel=1e-10)
        assert found[name]["rows"] == len(arm)
    one, zero = y[:150] - y[:150].mean(), y[150:] - y[150:].mean()
    parts = np.concatenate([one / 150, -zero / 250])
    own = abs((parts**3).sum()) / (parts @ parts) ** 1.5
    shapes = [stats.skew(y[:150]), stats.skew(y[150:])]
    shares = np.array([one @ one / 150**2, zero @ zero / 250**2]) / (parts @ parts)
    reach = shares**1.5 / np.sqrt([150, 250])
    joint = abs(np.average(shapes, weights=[150, 250]) * (reach[0] - reach[1]))
    assert found["skewness_of_estimate"] == pytest.approx(max(own, joint), rel=1e-9)
    assert found["of"] == "difference_in_means"
    assert gate.value == found["skewness_of_estimate"]


def test_equal_arms_cancel_and_a_small_arm_of_a_skewed_outcome_warns() -> None:
    y = np.random.default_rng(3).exponential(size=1_000)
    assert judged(trial(y, 500))[1].status == "pass"
    skewed = np.random.default_rng(3).lognormal(0, 2, 1_000)
    gate = judged(trial(skewed, 60))[1]
    assert gate.status == "warn"
    assert "Few rows rule the mean of the" in gate.reason


def test_without_an_influence_function_the_outcome_itself_is_used() -> None:
    data = cross_section(300, weights=False)
    plan = Plan(data, Settings())
    assert tails(plan, [], None)["of"] is None
    plain = trial(data.y, 100)
    by_outcome = tails(Plan(plain, Settings()), [], None)["skewness_of_estimate"]
    assert by_outcome == pytest.approx(judged(plain)[0]["skewness_of_estimate"], rel=1e-9)


def test_clusters_are_summed_first() -> None:
    y = np.repeat(np.random.default_rng(3).lognormal(0, 1, 60), 10)
    clustered = trial(y, 200, clusters=(np.arange(600) // 10,))
    found, _ = judged(clustered)
    assert (found["treated"]["rows"], found["untreated"]["rows"]) == (20, 40)
    means = judged(trial(y[::10], 20))[0]
    assert found["skewness_of_estimate"] == pytest.approx(means["skewness_of_estimate"], rel=1e-9)


def test_other_designs_have_no_tails_to_look_at() -> None:
    data = cross_section(300, weights=False, continuous=True)
    with pytest.raises(UnusableData):
        tails(Plan(data, Settings()), [], None)
    constant = trial(np.r_[np.zeros(50), np.arange(50.0)], 50)
    with pytest.raises(UnusableData):
        tails(Plan(constant, Settings()), [], None)
    estimate = run(ENTRIES["ols_adjustment"], Plan(data, Settings()))
    assert tails_gate({}, estimate).status == "not_applicable"
    assert tails_gate({}, None).status == "not_applicable"
    two = run(
        ENTRIES["difference_in_means"],
        Plan(replace(data, treatment=(data.treatment > 0).astype(float), treatment_kind="binary"), Settings()),
    )
    assert tails_gate({"tails": {"reason": "x"}}, two).status == "not_applicable"
