import numpy as np
import pytest

from cqox.errors import UnusableData
from cqox.planning import power
from cqox.planning.detectable import detectable


def trial(n: int = 400) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    x = rng.standard_normal(n)
    store = np.arange(n) // 10
    shop = rng.standard_normal(n // 10)[store]
    return {
        "y": 10 + x + shop + rng.standard_normal(n),
        "bought": (rng.random(n) < 0.3).astype(float),
        "t": (np.arange(n) % 3 == 0).astype(float),
        "by_store": (store % 2).astype(float),
        "x": x,
        "store": store,
    }


@pytest.mark.parametrize(
    "columns",
    [
        {"y": "y", "treatment": "t"},
        {"y": "y", "treatment": "t", "covariates": ["x"]},
        {"y": "bought", "treatment": "t"},
        {"y": "y", "treatment": "by_store", "cluster": "store"},
    ],
)
def test_effect_and_power_are_those_of_the_power_calculation(columns: dict[str, object]) -> None:
    data = trial()
    found, at = detectable(data, alpha=0.1, better="lower", effect=-0.05, **columns)
    whole = power(data, alpha=0.1, better="lower", **columns)
    assert found.effect == whole.effect < 0
    assert found.headline == whole.headline
    assert (found.curve, len(whole.curve) > 5) == ((), True)
    assert at.power == power(data, alpha=0.1, better="lower", effect=-0.05, n=whole.n, **columns).power


def test_over_periods_the_units_are_compared() -> None:
    rng = np.random.default_rng(2)
    unit, time = np.repeat(np.arange(30), 8), np.tile(np.arange(8), 30)
    data = {"y": rng.standard_normal(240), "t": ((unit < 12) & (time >= 5)).astype(float), "u": unit, "p": time}
    found, _ = detectable(data, y="y", treatment="t", unit="u", time="p", alpha=0.05, better="higher")
    assert found.effect == power(data, y="y", treatment="t", unit="u", time="p").effect


def test_an_effect_that_no_rate_can_have_has_no_power() -> None:
    _, at = detectable(trial(), y="bought", treatment="t", alpha=0.05, better="higher", effect=2.0)
    assert at is None


def test_data_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UnusableData, match="varies within clusters"):
        detectable(trial(), y="y", treatment="t", cluster="store", alpha=0.05, better="higher")
