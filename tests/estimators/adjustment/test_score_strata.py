import numpy as np
import pytest

from cqox.estimators.adjustment.score_strata import ScoreStrata, group_strata, joined_strata


def strata_of(mass: list[float], count: int, apart: tuple[float, float] | None = None) -> list[int]:
    each = np.asarray(mass)
    return group_strata(np.cumsum(each) - each, each, float(each.sum()), count, lambda _: apart).astype(int).tolist()


def test_groups_of_equal_weight_fill_strata_of_equal_shares() -> None:
    assert strata_of([1.0] * 10, 5) == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


def test_a_heavy_group_stands_in_the_middle_of_its_weight() -> None:
    assert strata_of([1, 6, 1, 1, 1], 5) == [0, 2, 3, 4, 4]


def test_groups_on_a_boundary_fall_towards_the_middle_from_either_side() -> None:
    assert strata_of([2, 4, 4, 4, 2], 4) == [0, 1, 2, 2, 3]
    assert strata_of([1, 2, 1, 8, 1, 2, 1], 4) == [0, 0, 0, 2, 3, 3, 3]


@pytest.mark.parametrize(("apart", "stratum"), [((0.1, 0.2), 0), ((0.2, 0.1), 1), ((0.1, 0.1 + 1e-12), 1), (None, 1)])
def test_a_group_on_the_middle_boundary_goes_with_its_nearer_neighbour(
    apart: tuple[float, float] | None, stratum: int
) -> None:
    assert strata_of([1, 1, 1], 2, apart) == [0, stratum, 1]


def test_strata_that_lack_an_arm_join_their_neighbour_towards_the_middle() -> None:
    rows = np.asarray([[9, 1], [5, 5], [0, 0], [4, 4], [1, 9]], dtype=float)
    assert joined_strata(rows).tolist() == [0, 0, 0, 1, 1]


def test_all_strata_join_where_no_part_has_both_arms() -> None:
    assert joined_strata(np.asarray([[9.0, 0.0], [0.0, 9.0]])).tolist() == [0, 0]


def test_weights_of_a_stratum_add_up_to_its_share_in_either_arm() -> None:
    strata = ScoreStrata(merged=1, rows=np.asarray([[4.0, 2.0], [3.0, 3.0]]), mass=np.asarray([[5.0, 1.0], [2.0, 2.0]]))
    assert strata.count == 2
    assert strata.share.tolist() == [0.6, 0.4]
    assert strata.to_share * strata.mass == pytest.approx(np.repeat(strata.share[:, None], 2, axis=1))
    assert [message.code for message in strata.warnings()] == ["adjustment.strata-merged"]
    described = strata.described(np.asarray([0.1, 0.5]), np.asarray([0.4, 0.9]), np.asarray([1.0, 2.0]))
    assert described[1] == {
        "lowest": 0.5, "highest": 0.9, "share": 0.4, "control": 3, "treated": 3, "difference": 2.0,
    }  # fmt: skip


def test_squares_of_weighted_residuals_add_up_to_the_unbiased_variance_of_a_mean() -> None:
    y = np.asarray([1.0, 2.0, 4.0])
    strata = ScoreStrata(merged=0, rows=np.asarray([[3.0, 3.0]]), mass=np.asarray([[3.0, 3.0]]))
    found = np.square((y - y.mean()) * strata.unbiased[0, 0]).sum()
    assert found == pytest.approx(y.var(ddof=1) / 3)
    assert strata.warnings() == ()
