import math
from dataclasses import replace

import pytest

from cqox.analysis.finite import finite, finite_estimate, named
from cqox.estimators import Estimate

SOUND = Estimate(
    name="aipw", family="doubly_robust", estimand="ATE", status="ok", estimate=1.0, standard_error=0.2,
    ci_lower=0.6, ci_upper=1.4, p_value=0.01, n=100, n_effective=90.0, diagnostics={"r2": 0.5},
)  # fmt: skip


def test_what_is_not_finite_becomes_null_and_its_path_is_reported() -> None:
    value = {"a": [1.0, math.inf, {"b": -math.inf}], "c": (math.nan,), "d": "inf", "e": None, "f": True}
    assert finite(value) == (
        {"a": [1.0, None, {"b": None}], "c": [None], "d": "inf", "e": None, "f": True},
        ["a.1", "a.2.b", "c.0"],
    )
    whole = {"a": [1.0, {"b": 2}]}
    assert finite(whole)[0] is whole


def test_many_paths_are_reported_by_the_first_few() -> None:
    assert named(["a", "b"]) == "a, b"
    assert named([str(number) for number in range(8)]) == "0, 1, 2, 3, 4 and 3 more"


def test_an_estimate_of_finite_numbers_is_itself() -> None:
    assert finite_estimate(SOUND) is SOUND
    skipped = Estimate(name="a", family="b", estimand="ATE", status="skipped", reason="It does not apply.")
    assert finite_estimate(skipped) is skipped


@pytest.mark.parametrize("changed", [{"estimate": math.nan}, {"standard_error": math.inf}])
def test_an_estimate_that_overflowed_has_failed_with_a_reason_and_no_number(changed: dict[str, float]) -> None:
    found = finite_estimate(replace(SOUND, **changed))
    assert found.status == "failed"
    assert found.reason is not None
    assert "range of floating-point numbers" in found.reason
    numbers = (found.estimate, found.standard_error, found.ci_lower, found.ci_upper, found.p_value, found.n_effective)
    assert numbers == (None,) * 6
    assert found.diagnostics == {}


def test_an_end_or_a_detail_that_overflowed_is_null_with_a_warning_that_names_it() -> None:
    found = finite_estimate(replace(SOUND, ci_upper=math.inf, diagnostics={"kappa": math.inf, "r2": 0.5}))
    assert (found.status, found.estimate, found.ci_lower, found.ci_upper) == ("warning", 1.0, 0.6, None)
    assert found.diagnostics == {"kappa": None, "r2": 0.5}
    assert found.warnings[0].startswith("ci_upper, diagnostics.kappa exceeded the range")
