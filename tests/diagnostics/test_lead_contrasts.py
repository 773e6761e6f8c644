"""Contrasts of leads: the last change before treatment and the dip of the last period."""

import numpy as np
import pytest
from scipy import stats

from cqox.diagnostics.lead_contrasts import differences_from_base, single_contrasts


def test_changes_become_differences_from_the_base() -> None:
    levels = np.array([3.0, 1.0, 4.0, 6.0])
    assert differences_from_base(3) @ np.diff(levels) == pytest.approx(levels[:3] - levels[3])


def test_the_tests_are_those_of_the_units_own_contrasts() -> None:
    rng = np.random.default_rng(0)
    y = rng.standard_normal((30, 4)) + 0.4 * rng.standard_normal((30, 1))
    leads = y[:, :3] - y[:, 3:]
    found = single_contrasts(leads.mean(axis=0), np.cov(leads.T) / 30, 29.0)
    contrasts = (
        ("last_change", y[:, 3] - y[:, 2]),
        ("dip", y[:, 3] - y[:, :3].mean(axis=1)),
        ("trend", np.polyfit(np.arange(4.0), y.T, 1)[0]),
    )
    for name, own in contrasts:
        peer = stats.ttest_1samp(own, 0.0)
        assert found[name]["estimate"] == pytest.approx(own.mean(), rel=1e-10)
        assert found[name]["standard_error"] == pytest.approx(stats.sem(own), rel=1e-10)
        assert found[name]["p_value"] == pytest.approx(peer.pvalue, rel=1e-8)


def test_what_is_detectable_is_found_four_times_in_five() -> None:
    found = single_contrasts(np.array([0.1, 0.2]), np.diag([0.09, 0.04]), 12.0)["last_change"]
    critical, shift = stats.t.ppf(0.975, 12), found["detectable"] / 0.2
    power = stats.nct.sf(critical, 12, shift) + stats.nct.cdf(-critical, 12, shift)
    assert power == pytest.approx(0.8, abs=1e-6)


def test_a_single_lead_has_no_earlier_mean() -> None:
    assert set(single_contrasts(np.array([0.1]), np.array([[0.04]]), 12.0)) == {"last_change"}


def test_leads_without_variance_have_no_test() -> None:
    found = single_contrasts(np.zeros(2), np.zeros((2, 2)), 12.0)["dip"]
    assert (found["standard_error"], found["p_value"], found["detectable"]) == (None, None, None)
