"""Number of periods over which a differential trend moves an estimate."""

from dataclasses import replace

import numpy as np
import pytest

from cqox.diagnostics.periods_treated import periods_treated
from cqox.errors import UnusableData
from cqox.estimators import Data, Plan, Settings, catalog, run
from tests.diagnostics.identification.simulated_panels import Block, rollout
from tests.diagnostics.looking import trial


def trending(data: Data) -> Data:
    """The same panel, with outcomes by which the treated gain 1 a period and no noise but of units."""
    ever = np.bincount(data.unit, data.treatment)[data.unit] > 0
    return replace(data, y=ever * data.time + data.unit % 7 + 0.0)


def moved(name: str, data: Data, **settings: object) -> float:
    plan = Plan(trending(data), Settings(**settings))  # type: ignore[arg-type]
    return float(run(next(each for each in catalog() if each.name == name), plan).estimate or 0.0)


@pytest.mark.parametrize("name", ["did_2x2_block", "twfe", "did_imputation"])
def test_a_trend_moves_block_comparisons_from_the_mean_before(name: str) -> None:
    data = Block(units=20, before=5, after=3).drawn(0)
    assert moved(name, data) == pytest.approx(periods_treated(Plan(data, Settings()))["from_mean"], abs=1e-8)


def test_a_trend_moves_group_time_effects_from_the_last_period_before() -> None:
    data = rollout(0, units=40)
    # With the never treated alone as comparison the trend of others does not matter.
    assert moved("did_callaway_santanna", data, control_group="never_treated") == pytest.approx(
        periods_treated(Plan(data, Settings()))["from_last"], abs=1e-8
    )


def test_anticipation_moves_the_base_back() -> None:
    data = Block(units=20, before=5, after=3).drawn(0)
    assert periods_treated(Plan(data, Settings(anticipation=2)))["from_last"] == pytest.approx(4.0)


def test_a_cross_section_has_no_periods() -> None:
    with pytest.raises(UnusableData):
        periods_treated(Plan(trial(), Settings()))
