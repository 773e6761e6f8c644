from collections.abc import Callable

import numpy as np
import pytest

from cqox.estimators.adjustment.score_strata import group_strata
from cqox.estimators.by_moments import score_cuts as module
from cqox.estimators.by_moments.encoded import NotByMoments
from cqox.estimators.by_moments.score_cuts import Cuts, score_cuts, stepped
from cqox.estimators.numerics.moments import ArrayMoments, Column, Constant
from cqox.estimators.numerics.ties import tie_groups

E, W = Column("e"), Column("w")

DRAWS: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "wide": lambda rng, n: rng.beta(2, 3, n),
    "at the ends": lambda rng, n: rng.beta(0.05, 0.05, n).clip(1e-12, 1 - 1e-12),
    "nearly equal": lambda rng, n: 0.5 + 1e-6 * rng.standard_normal(n),
    "few values": lambda rng, n: rng.choice([0.1, 0.3, 0.30000000001, 0.5, 0.7], n),
    "some values": lambda rng, n: rng.integers(1, 60, n) / 61,
    "mostly one value": lambda rng, n: np.where(rng.random(n) < 0.8, 0.4, rng.random(n)),
    "equal up to rounding": lambda rng, n: rng.integers(1, 300, n) / 301 + rng.uniform(-1, 1, n) * 2e-11,
    "outliers": lambda rng, n: np.append([1e-9, 1 - 1e-9], 0.2 + 1e-4 * rng.random(n - 2)),
}


def in_memory(e: np.ndarray, weights: np.ndarray, count: int) -> np.ndarray:
    """The stratum of each row."""
    groups, size = tie_groups(e)
    mass = np.bincount(groups, weights, size)
    scores = np.empty(size)
    scores[groups] = e

    def neighbours(group: int) -> tuple[float, float] | None:
        if not 0 < group < size - 1:
            return None
        return scores[group] - scores[group - 1], scores[group + 1] - scores[group]

    return group_strata(np.cumsum(mass) - mass, mass, mass.sum(), count, neighbours)[groups].astype(int)


def found(e: np.ndarray, weights: np.ndarray | None, count: int) -> Cuts:
    columns = {"e": e} if weights is None else {"e": e, "w": weights}
    source = ArrayMoments(columns=columns, block=1_000)
    return score_cuts(source, E, None if weights is None else W, len(e), count)


def agree(e: np.ndarray, weights: np.ndarray | None, count: int) -> None:
    cuts = found(e, weights, count)
    codes = in_memory(e, np.ones(len(e)) if weights is None else weights, count)
    assert (np.diff(cuts.at) >= 0).all()
    assert np.array_equal(np.searchsorted(cuts.at, e), codes)
    assert (cuts.lowest, cuts.highest) == (e.min(), e.max())
    for cut, below, above in zip(cuts.at, cuts.below, cuts.above, strict=True):
        assert np.nan_to_num(below, nan=-1) == e[e <= cut].max(initial=-1)
        assert np.nan_to_num(above, nan=2) == e[e > cut].min(initial=2)


@pytest.mark.parametrize("most", [200_000, 500, 20])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("draw", DRAWS)
def test_strata_are_those_of_the_rows_in_memory(
    draw: str, weighted: bool, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_ROWS", most)
    for seed, count in enumerate((2, 5, 6, 100)):
        rng = np.random.default_rng(seed)
        e = DRAWS[draw](rng, 1_200)
        agree(e, rng.uniform(0.2, 3, len(e)) if weighted else None, count)


@pytest.mark.parametrize("most", [200_000, 2])
@pytest.mark.parametrize("e", [[0.1, 0.4, 0.9], [0.1, 0.6, 0.9], [0.2, 0.5, 0.8], [0.5, 0.5, 0.5], [0.3, 0.3, 0.6]])
def test_a_row_in_the_middle_goes_with_its_nearer_neighbour(
    e: list[float], most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_ROWS", most)
    for count in (2, 4):
        agree(np.asarray(e), None, count)
        agree(np.repeat(e, 50), None, count)


def test_a_group_in_the_middle_asks_for_neighbours_that_are_far(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ROWS", 10)
    for middle in (0.3, 0.7):
        agree(np.repeat([0.1, middle, 0.9], [40, 20, 40]), None, 2)


def test_no_more_rows_than_are_wanted_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ROWS", 200)
    read: list[int] = []
    grouped = ArrayMoments.grouped

    def watched(self: ArrayMoments, values: object, by: list[object]) -> np.ndarray:
        result = grouped(self, values, by)  # type: ignore[arg-type]
        if by == [E]:
            read.append(len(result))
        return result

    monkeypatch.setattr(ArrayMoments, "grouped", watched)
    agree(np.random.default_rng(1).random(20_000), None, 5)
    assert len(read) == 1
    assert 0 < read[0] <= 210


def test_a_tie_that_goes_on_beyond_what_is_read_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ROWS", 100)
    e = 0.5 + np.arange(20_000) * 0.9e-10
    with pytest.raises(NotByMoments) as refused:
        found(e, None, 5)
    assert refused.value.why.code == "by_moments.many-numbers"
    monkeypatch.setattr(module, "MOST_ROWS", 200_000)
    agree(e, None, 5)


@pytest.mark.parametrize("edges", [[], [0.5], [0.2, 0.2, 0.7], list(np.linspace(0, 1, 40))])
def test_the_value_is_that_of_the_number_of_edges_below(edges: list[float]) -> None:
    e = np.append(np.random.default_rng(2).random(500), edges)
    source = ArrayMoments(columns={"e": e})
    values = [Constant(float(place)) for place in range(len(edges) + 1)]
    result = source.rows({"code": stepped(E, edges, values)}, {})["code"]
    assert np.array_equal(result, np.searchsorted(edges, e))
