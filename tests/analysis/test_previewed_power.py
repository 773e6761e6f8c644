from dataclasses import replace

import numpy as np
import pytest

from cqox.analysis.previewed_power import previewed_power
from cqox.contract import Options, PreviewedPower
from cqox.estimators import Data, Plan, Settings, entries
from cqox.planning import power
from tests.estimators.designs import cross_section, panel


def unweighted(n: int = 500, *, continuous: bool = False) -> Data:
    return cross_section(n=n, weights=False, continuous=continuous)


def found(data: Data, name: str, design: str | None, **options: object) -> PreviewedPower:
    plan = Plan(data, Settings())
    entry = next((entry for entry in entries() if entry.name == name), None)
    return previewed_power(plan, plan.sample("y", "treatment"), entry, design, Options.model_validate(options))


def test_a_comparison_has_the_power_of_the_same_columns() -> None:
    data = unweighted()
    columns = {f"x{at}": data.covariates[:, at] for at in range(data.covariates.shape[1])}
    whole = power({"y": data.y, "t": data.treatment, **columns}, y="y", treatment="t", covariates=list(columns),
                  alpha=0.1)  # fmt: skip
    shown = found(data, "aipw", "comparison", alpha=0.1)
    assert shown.effect == pytest.approx(whole.effect, rel=1e-12)
    assert (shown.power, shown.alpha, shown.reason) == (0.8, 0.1, None)
    plain = power({"y": data.y, "t": data.treatment}, y="y", treatment="t")
    assert found(data, "difference_in_means", "comparison").effect == pytest.approx(plain.effect, rel=1e-12)


def test_a_minimum_effect_is_judged_in_its_direction() -> None:
    data = unweighted()
    effect = found(data, "aipw", "comparison").effect
    assert effect is not None
    lower = found(data, "aipw", "comparison", better="lower", minimum_effect=2 * effect)
    assert lower.effect == pytest.approx(-effect, rel=1e-6)
    assert (lower.minimum_effect, lower.minimum_detectable) == (2 * effect, True)
    assert "would be found" in str(lower.minimum_message)
    higher = found(data, "aipw", "comparison", minimum_effect=effect / 3)
    assert higher.minimum_detectable is False
    assert "less than 80%" in str(higher.minimum_message)


def test_clusters_lower_the_power_where_they_are_assigned_and_have_none_where_treatment_varies() -> None:
    clusters = np.arange(500) // 10
    rng = np.random.default_rng(1)
    data = unweighted()
    shared = replace(
        data, y=data.y + 3 * rng.standard_normal(50)[clusters], treatment=(clusters % 2).astype(float),
        clusters=(clusters,),
    )  # fmt: skip
    clustered, plain = (
        found(shared, "difference_in_means", "comparison"),
        found(replace(shared, clusters=()), "difference_in_means", "comparison"),
    )
    assert clustered.effect is not None
    assert plain.effect is not None
    assert clustered.effect > 1.5 * plain.effect
    assert "treatment varies within the clusters" in str(found(replace(data, clusters=(clusters,)),
                                                               "difference_in_means", "comparison").reason)  # fmt: skip


def test_a_panel_with_one_start_has_the_power_of_its_changes() -> None:
    data = panel(units=40, periods=8)
    assert data.unit is not None
    assert data.time is not None
    status = ((data.unit < 15) & (data.time >= 5)).astype(float)
    whole = power({"y": data.y, "t": status, "u": data.unit, "p": data.time}, y="y", treatment="t", unit="u", time="p")
    shown = found(replace(data, treatment=status), "did_2x2_block", "trends")
    assert shown.effect == pytest.approx(whole.effect, rel=1e-12)
    assert (
        "differences in differences" in str(shown.method).lower()
        or "difference in differences" in str(shown.method).lower()
    )


@pytest.mark.parametrize(
    ("data", "name", "design", "why"),
    [
        (unweighted(), "iv_2sls", "instrument", "the design 'instrument'"),
        (unweighted(), "", None, "No estimate of an effect applies"),
        (unweighted(continuous=True), "ols_adjustment", "comparison", "the treatment is an amount"),
        (replace(unweighted(100), weights=np.ones(100)), "aipw", "comparison", "sampling weights"),
        (panel(staggered=True, periods=10), "did_callaway_santanna", "trends", "different periods"),
        (replace(unweighted(100), clusters=(np.arange(100),) * 2), "aipw", "comparison", "2 dimensions"),
        (replace(unweighted(100), y_kind="none"), "aipw", "comparison", "no outcome is mapped"),
    ],
)  # fmt: skip
def test_where_no_calculation_is_known_the_reason_is_said(data: Data, name: str, design: str | None, why: str) -> None:
    shown = found(data, name, design)
    assert shown.effect is None
    assert why in str(shown.reason)


def test_data_that_do_not_fit_give_the_reason_of_the_calculation() -> None:
    data = unweighted(100)
    assert "does not vary" in str(found(replace(data, y=np.ones(100)), "difference_in_means", "comparison").reason)
