from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from cqox.estimators import Data, Plan, Settings
from cqox.estimators.rd.heaping import Heap, heap_at_cutoff
from cqox.estimators.rd.running_variable import score_of


def found(values: np.ndarray, cutoff: float, *, strict: bool = False, below: bool = False) -> Heap | None:
    n = len(values)
    data = Data(
        n=n, y=np.full(n, np.nan), y_kind="none", running=values, cutoff=cutoff, row_key=np.arange(n, dtype=np.uint64),
        names={"running": ("score",)},
    )  # fmt: skip
    plan = Plan(data, Settings())
    return heap_at_cutoff(score_of(plan, plan.sample("running"), strict=strict), below=below)


def whole(seed: int, sd: float = 20.0, n: int = 3000) -> np.ndarray:
    return np.round(np.random.default_rng(seed).normal(3, sd, n))


@pytest.mark.parametrize(
    ("cutoff", "strict", "values"), [(5.0, False, (4, 5, 6)), (5.0, True, (5, 6, 7)), (4.5, False, (4, 5, 6))]
)
def test_the_rows_at_three_values_are_compared(cutoff: float, strict: bool, values: tuple[int, int, int]) -> None:
    score = whole(1)
    heap = found(score, cutoff, strict=strict)
    counts = tuple(int((score == value).sum()) for value in values)
    assert heap.rows == counts
    k = heap.curvature
    sd, place = score.std(ddof=1), (score.mean() - cutoff) / score.std(ddof=1)
    assert k == pytest.approx(max(1.0, abs(place**2 - 1)) / sd**2, rel=1e-9)
    many = stats.binom.sf(counts[1] - 1, sum(counts), (1 + k) / (3 + k))
    few = stats.binom.cdf(counts[1], sum(counts), (1 - k) / (3 - k))
    assert heap.p_value == pytest.approx(min(1.0, 2 * min(many, few)), rel=1e-9)


@pytest.mark.parametrize(
    ("cutoff", "strict", "values"), [(5.0, False, (3, 4, 5)), (5.0, True, (4, 5, 6)), (4.5, False, (3, 4, 5))]
)
def test_where_those_below_are_treated_it_is_the_same_of_the_score_turned_round(
    cutoff: float, strict: bool, values: tuple[int, int, int]
) -> None:
    score = whole(1)
    heap, turned = found(score, cutoff, strict=strict, below=True), found(-score, -cutoff, strict=not strict)
    assert heap.rows == tuple(int((score == value).sum()) for value in values)
    assert heap.p_value == pytest.approx(turned.p_value, rel=1e-9)
    assert heap.rows == turned.rows[::-1]


@pytest.mark.parametrize("sd", [4.0, 20.0, 60.0])
@pytest.mark.parametrize("draw", ["normal", "exponential", "uniform"])
def test_an_honest_score_is_rarely_rejected(sd: float, draw: str) -> None:
    rejected = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        values = {
            "normal": lambda rng=rng: rng.normal(sd / 3, sd, 2000),
            "exponential": lambda rng=rng: rng.exponential(sd, 2000) - sd / 2,
            "uniform": lambda rng=rng: rng.uniform(-2 * sd, 2 * sd, 2000),
        }[draw]()
        heap = found(np.floor(values), 0.0)
        rejected += heap is not None and heap.p_value < 0.05
    assert rejected <= 20


@pytest.mark.parametrize("moved", [1, 3])
def test_units_that_moved_to_the_cutoff_are_found(moved: int) -> None:
    score, rng = whole(3), np.random.default_rng(4)
    near = (score < 0) & (score >= -moved) & (rng.random(len(score)) < 0.6)
    assert found(np.where(near, 0.0, score), 0.0).p_value < 1e-4
    assert found(score, 0.0).p_value > 0.05


def test_the_unit_and_the_origin_of_the_score_change_nothing() -> None:
    score = whole(5)
    change: Callable[[float], float]
    for change in (lambda value: value * 0.1, lambda value: value + 1e6, lambda value: value * 1e6 - 3e6):
        moved = found(change(score), change(2.0))
        assert moved.rows == found(score, 2.0).rows
        assert moved.p_value == pytest.approx(found(score, 2.0).p_value, rel=1e-8)


def test_values_without_a_common_step_are_compared_in_bins_of_the_usual_one() -> None:
    rng = np.random.default_rng(6)
    score = np.where(rng.random(4000) < 0.5, np.round(v := rng.normal(3, 20, 4000), -1), v)
    heap = found(score, 10.0)
    assert heap.rows[1] > 20 * max(heap.rows[0], heap.rows[2], 1)
    assert heap.p_value < 1e-6
    assert found(score, 13.0).p_value > 0.01


def test_without_mass_points_there_is_nothing_to_test() -> None:
    assert found(np.random.default_rng(7).normal(0, 1, 500), 0.0) is None
    assert found(whole(8), 1e6) is None
    assert found(np.repeat([0.0, 1.0], 50), 1.0) is None
