"""Spillovers by mapped edges, exposure or places."""

from dataclasses import replace

import numpy as np
import pytest

from cqox.diagnostics.spillovers import spillovers
from cqox.errors import UnusableData
from cqox.estimators import Data, Json, Plan, Settings
from tests.diagnostics.looking import judged, trial
from tests.validation import Validated, half_width, record


def town(seed: int, *, spill: float, n: int = 500) -> Data:
    """A trial in places whose outcomes depend on a field in space, and on the treatment of the ten nearest."""
    rng = np.random.default_rng(seed)
    data = trial(n, seed)
    at = np.column_stack([rng.uniform(40, 42, n), rng.uniform(0, 2, n)])
    field = np.sin(3 * at[:, 0]) + np.cos(4 * at[:, 1])
    distance = ((at[:, None] - at[None]) ** 2).sum(axis=2)
    near = np.argsort(distance, axis=1)[:, 1:11]
    return replace(data, y=data.y + field + spill * data.treatment[near].mean(axis=1), location=at)


def result_of(data: Data) -> dict[str, Json]:
    return spillovers(Plan(data, Settings()), [])


def test_the_treatment_of_the_nearest_rows_is_found() -> None:
    found = result_of(town(0, spill=5.0))
    assert found["p_value"] < 0.01
    assert found["estimate"] == pytest.approx(5.0, abs=3 * found["standard_error"])


def test_rows_at_one_place_are_not_their_own_neighbours() -> None:
    data = town(1, spill=0.0)
    crowded = replace(data, location=np.repeat(data.location[:250], 2, axis=0))
    assert result_of(crowded)["p_value"] is not None


def test_without_neighbours_there_is_nothing_to_test() -> None:
    with pytest.raises(UnusableData):
        result_of(trial(60))
    with pytest.raises(UnusableData):
        result_of(replace(trial(60), neighbor_exposure=np.linspace(0, 1, 60)))


def test_a_mapped_exposure_that_the_primary_ignores_caps_and_one_that_matters_contradicts() -> None:
    data, rng = trial(600), np.random.default_rng(2)
    exposure = (rng.random(600) < 0.5).astype(float)
    only = ["aipw", "difference_in_means", "exposure_spillover", "exposure_total"]
    for effect, status in ((0.0, "untested"), (1.0, "contradicted")):
        exposed = replace(data, y=data.y + effect * exposure, neighbor_exposure=exposure)
        seen = judged(exposed, only=only, requested="aipw")
        entry = next(each for each in seen.identification.assumptions if each.name == "no_interference")
        assert (entry.status, entry.caps) == (status, True)
        assert seen.decision.verdict != "GO"


@pytest.mark.slow
@pytest.mark.parametrize(("spill", "least", "most"), [(0.0, 0.0, 0.01), (5.0, 0.8, 1.0)])
def test_spillovers_in_space_are_found_at_the_level_of_the_test(spill: float, least: float, most: float) -> None:
    runs = 300
    caught = sum(result_of(town(seed, spill=spill))["p_value"] < 0.01 for seed in range(runs))
    record(
        Validated(
            design=f"trial in places with a field in space, ten treated neighbours add {spill:g}",
            estimator="spillovers", replications=runs, rows=500,
            note=f"contradicts `no_interference` in {caught / runs:.1%}",
        )
    )  # fmt: skip
    assert least <= caught / runs <= most + half_width(0.01, runs)
