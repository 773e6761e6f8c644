from dataclasses import replace

import numpy as np
import pytest

from cqox.estimators import Data, Plan, Settings
from cqox.estimators.rd.running_variable import MASS, Score, compliance, populated, score_of, spread_of


def plan_of(values: np.ndarray, cutoff: float = 0.0, **changes: object) -> Plan:
    n = len(values)
    data = Data(n=n, y=np.zeros(n), running=values, cutoff=cutoff, row_key=np.arange(n, dtype=np.uint64))
    return Plan(replace(data, **changes), Settings())


def score(values: np.ndarray, cutoff: float = 0.0, *, strict: bool = False) -> Score:
    plan = plan_of(values, cutoff)
    return score_of(plan, plan.sample("running"), strict=strict)


def test_rows_are_on_their_side_the_nearest_first_in_units_of_the_farthest() -> None:
    values = np.array([3.0, -1.0, 1.0, -4.0, 2.0, 1.0])
    found = score(values, 1.0)
    assert found.unit == 5.0
    assert values[found.rows[0]].tolist() == [-1.0, -4.0]
    assert values[found.rows[1]].tolist() == [1.0, 1.0, 2.0, 3.0]
    assert [each.tolist() for each in found.distances] == [[0.4, 1.0], [0.0, 0.0, 0.2, 0.4]]
    assert [each.tolist() for each in found.starts] == [[0, 1], [0, 2, 3]]
    assert (found.n, found.distinct, found.repeated) == ((2, 4), (2, 3), (0.0, 0.25))


def test_a_row_at_the_cutoff_is_above_unless_that_is_strict() -> None:
    values = np.array([-1.0, 0.0, 0.0, 2.0])
    assert score(values).n == (1, 3)
    assert score(values, strict=True).n == (3, 1)


@pytest.mark.parametrize("n", [5, 6, 7, 8, 101])
def test_the_spread_is_the_smaller_of_deviation_and_interquartile_range(n: int) -> None:
    values = np.random.default_rng(n).standard_t(2, n)
    found = score(values)
    low, high = np.quantile(values, [0.25, 0.75], method="averaged_inverted_cdf")
    deviation = values.std(ddof=1)
    assert found.deviation * found.unit == pytest.approx(deviation)
    assert found.spread * found.unit == pytest.approx(min(deviation, (high - low) / 1.349))
    assert found.mean * found.unit == pytest.approx(values.mean())


def test_a_score_that_is_mostly_one_value_has_its_deviation_as_spread() -> None:
    found = score(np.array([1.0] * 9 + [-5.0]))
    assert found.spread == found.deviation > 0


def test_no_rows_and_one_row_have_a_score() -> None:
    assert score(np.empty(0)).n == (0, 0)
    one = score(np.array([2.0]))
    assert (one.n, one.distinct, one.spread) == ((0, 1), (0, 1), 0.0)


def test_mass_points_are_a_share_of_repeated_values_on_a_side() -> None:
    above = np.arange(10.0)
    assert not score(np.concatenate([-above - 1, above])).massed
    assert score(np.concatenate([-above - 1, above[:8], above[:2]])).repeated == (0.0, pytest.approx(MASS))
    assert score(np.concatenate([-above - 1, above[:7], above[:3]])).massed


def test_sides_hold_values_weights_and_clusters_of_their_rows() -> None:
    values = np.array([3.0, -1.0, 1.0, -4.0, 2.0])
    left, right = score(values).sides(np.stack([values, 10 * values]), np.arange(5.0), np.arange(5) * 2)
    assert left.values.tolist() == [[-1.0, -4.0], [-10.0, -40.0]]
    assert right.rows.tolist() == [2, 4, 0]
    assert right.weights is not None
    assert right.codes is not None
    assert (right.weights.tolist(), right.codes.tolist()) == ([2.0, 4.0, 0.0], [4, 8, 0])


@pytest.mark.parametrize(("beyond", "left"), [(0.0, [1.0, 1.0, 2.0, 4.0]), (1.0, [2.0, 4.0]), (4.0, [])])
def test_a_donut_leaves_out_the_rows_within_it(beyond: float, left: list[float]) -> None:
    values = np.array([0.0, 1.0, 0.0, 2.0, 1.0, 4.0, -4.0])
    _, above = score(values).sides(values[None, :], beyond=beyond / 4.0)
    assert above.values[0].tolist() == left
    assert above.distance.tolist() == [each / 4.0 for each in left]
    distinct = sorted(set(left))
    assert [left[at] for at in above.starts] == distinct


RUNNING = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])


@pytest.mark.parametrize(
    ("treatment", "kind", "sign", "strict", "share"),
    [
        ([0, 0, 1, 1, 1], "perfect", 1.0, False, 1.0),
        ([0, 0, 0, 1, 1], "perfect", 1.0, True, 1.0),
        ([1, 1, 0, 0, 0], "perfect", -1.0, False, 1.0),
        ([1, 1, 1, 0, 0], "perfect", -1.0, True, 1.0),
        ([0, 1, 1, 1, 1], "imperfect", 1.0, False, 0.8),
        ([1, 1, 0, 0, 1], "imperfect", -1.0, False, 0.8),
        ([1, 1, 1, 1, 1], "constant", 1.0, False, 1.0),
    ],
)
def test_compliance_compares_the_treatment_with_the_side(
    treatment: list[int], kind: str, sign: float, strict: bool, share: float
) -> None:
    found = compliance(plan_of(RUNNING, treatment=np.array(treatment, dtype=float), treatment_kind="binary"))
    assert (found.kind, found.sign, found.strict, found.share) == (kind, sign, strict, pytest.approx(share))


def test_compliance_is_assumed_without_a_treatment_and_imperfect_for_amounts() -> None:
    assert compliance(plan_of(RUNNING)).kind == "assumed"
    amounts = compliance(plan_of(RUNNING, treatment=RUNNING**2, treatment_kind="continuous"))
    assert (amounts.kind, amounts.share) == ("imperfect", 0.0)


@pytest.mark.parametrize(
    ("values", "code"),
    [
        (np.linspace(-1, 1, 19), "inference.few-complete-rows"),
        (np.linspace(0, 1, 30), "rd.no-rows-below"),
        (np.concatenate([[-2.0, -1.0, -1.0], np.arange(20.0)]), "rd.few-values-below"),
        (np.linspace(-1, -0.1, 30), "rd.no-rows-above"),
        (np.concatenate([-1 - np.arange(20.0), [1.0, 2.0, 2.0]]), "rd.few-values-above"),
        (np.linspace(-1, 1, 30), None),
    ],
)
def test_a_side_without_enough_values_is_named(values: np.ndarray, code: str | None) -> None:
    reason = populated(plan_of(values), score(values), 3)
    assert (None if reason is None else reason.code) == code


def test_the_spread_is_the_smaller_of_two_and_the_deviation_where_half_the_values_are_equal() -> None:
    rng = np.random.default_rng(6)
    values = np.sort(rng.standard_t(2, 401))
    between = (np.quantile(values, 0.75) - np.quantile(values, 0.25)) / 1.349
    assert spread_of(values) == pytest.approx(min(values.std(ddof=1), between))
    heaped = np.sort(np.concatenate([np.zeros(60), rng.standard_normal(20)]))
    assert spread_of(heaped) == pytest.approx(heaped.std(ddof=1))
    assert spread_of(np.empty(0)) == 0.0
