import numpy as np
import pytest

from cqox.errors import UnusableData
from cqox.estimators.rd.jump import Jump, jump
from cqox.estimators.rd.local_polynomial import Side

N = 150


def drawn(*, covariates: int = 0, weighted: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores from the cutoff, (values, n), and sampling weights."""
    rng = np.random.default_rng(0)
    score, x = rng.uniform(-1, 1, N), rng.standard_normal((covariates, N))
    y = np.sin(2 * score) + (score >= 0) + x.sum(axis=0) + 0.3 * rng.standard_normal(N)
    return score, np.vstack([y, x]), rng.uniform(0.5, 2, N) if weighted else np.ones(N)


def sides_of(score: np.ndarray, values: np.ndarray, w: np.ndarray, codes: np.ndarray | None = None) -> list[Side]:
    found = []
    for own in (score < 0, score >= 0):
        rows = np.flatnonzero(own)
        rows = rows[np.argsort(np.abs(score[rows]))]
        distance = np.abs(score[rows])
        found.append(Side(
            rows=rows, distance=distance, values=values[:, rows], weights=w[rows],
            codes=None if codes is None else codes[rows],
            starts=np.concatenate([[0], np.flatnonzero(np.diff(distance)) + 1]), tolerance=1e-12,
        ))  # fmt: skip
    return found


def jump_of(score: np.ndarray, values: np.ndarray, w: np.ndarray, h: float, b: float, **changes: object) -> Jump:
    return jump(sides_of(score, values, w), h, b, **{"covariates": 0, "residual": "HC0", **changes})


def design(score: np.ndarray, order: int) -> np.ndarray:
    """The jump first, then the powers of both sides."""
    powers = np.vander(score, order + 1, increasing=True)
    above = (score >= 0)[:, None]
    return np.column_stack([above * powers, powers])


def regressed(x: np.ndarray, y: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients of weighted least squares, and the rows' contributions to the first."""
    estimator = np.linalg.pinv(x * np.sqrt(w)[:, None]) * np.sqrt(w)
    beta = estimator @ y
    return beta, estimator[0] * (y - x @ beta)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_conventional_jump_is_that_of_two_weighted_lines(weighted: bool) -> None:
    score, values, w = drawn(weighted=weighted)
    found = jump_of(score, values, w, 0.6, 0.8)
    kernel = np.maximum(1 - np.abs(score) / 0.6, 0) * w
    beta, parts = regressed(design(score, 1), values[0], kernel)
    assert found.plain[0] == pytest.approx(beta[0], rel=1e-9)
    assert found.intercepts[:, 0] == pytest.approx([beta[2], beta[0] + beta[2]], rel=1e-9)
    # By distance from the cutoff, so that the slope below has the other sign.
    assert found.slopes[:, 0] == pytest.approx([-beta[3], beta[1] + beta[3]], rel=1e-9)
    np.testing.assert_allclose(found.plain_parts[0], parts[found.rows], atol=1e-12)


def test_with_equal_bandwidths_the_corrected_jump_is_that_of_two_parabolas() -> None:
    score, values, w = drawn()
    found = jump_of(score, values, w, 0.7, 0.7)
    beta, parts = regressed(design(score, 2), values[0], np.maximum(1 - np.abs(score) / 0.7, 0))
    assert found.corrected[0] == pytest.approx(beta[0], rel=1e-8)
    np.testing.assert_allclose(found.corrected_parts[0], parts[found.rows], atol=1e-10)


def test_the_correction_subtracts_the_curvature_times_its_weight_in_the_lines() -> None:
    score, values, w = drawn()
    found = jump_of(score, values, w, 0.5, 0.9)
    wide, _ = regressed(design(score, 2), values[0], np.maximum(1 - np.abs(score) / 0.9, 0))
    below, above = wide[5], wide[2] + wide[5]
    bent = np.where(score >= 0, above, below) * score**2
    bias, _ = regressed(design(score, 1), bent, np.maximum(1 - np.abs(score) / 0.5, 0))
    assert found.corrected[0] == pytest.approx(found.plain[0] - bias[0], rel=1e-9)


@pytest.mark.parametrize("order", [0, 2, 3])
def test_a_jump_of_another_order_is_that_of_two_polynomials(order: int) -> None:
    score, values, w = drawn()
    found = jump_of(score, values, w, 0.7, 0.7, order=order)
    kernel = np.maximum(1 - np.abs(score) / 0.7, 0)
    beta, parts = regressed(design(score, order), values[0], kernel)
    assert found.plain[0] == pytest.approx(beta[0], rel=1e-8)
    np.testing.assert_allclose(found.plain_parts[0], parts[found.rows], atol=1e-10)
    corrected, _ = regressed(design(score, order + 1), values[0], kernel)
    assert found.corrected[0] == pytest.approx(corrected[0], rel=1e-8)
    above = beta[: order + 1] + beta[order + 1 :]
    assert found.curves[1, :, 0] == pytest.approx(above, rel=1e-6)
    assert found.slopes.shape == found.intercepts.shape == (2, 1)


def test_covariates_have_common_coefficients_on_both_sides() -> None:
    score, values, w = drawn(covariates=2)
    found = jump_of(score, values, w, 0.6, 0.8, covariates=2)
    kernel = np.maximum(1 - np.abs(score) / 0.6, 0)
    beta, _ = regressed(np.column_stack([design(score, 1), values[1:].T]), values[0], kernel)
    assert found.plain == pytest.approx([beta[0]], rel=1e-9)
    assert found.adjusted == pytest.approx(beta[4:], rel=1e-9)


def test_every_value_that_is_no_covariate_has_its_jump() -> None:
    score, values, w = drawn(covariates=1)
    both = jump_of(score, values, w, 0.6, 0.8)
    each = [jump_of(score, values[[at]], w, 0.6, 0.8) for at in (0, 1)]
    assert both.plain == pytest.approx([one.plain[0] for one in each])
    assert both.corrected == pytest.approx([one.corrected[0] for one in each])
    assert both.adjusted.shape == (0,)


def test_rows_within_the_larger_bandwidth_are_counted_by_side_those_at_it_not() -> None:
    score, values, w = drawn()
    score = np.round(score, 1)
    found = jump_of(score, values, w, 0.5, 0.4)
    distance, above = np.abs(score), score >= 0
    wanted = [(int(np.sum(own & (distance < 0.5))), int(np.sum(own & (distance < 0.4)))) for own in (~above, above)]
    assert found.within_h == (wanted[0][0], wanted[1][0])
    assert found.within_b == (wanted[0][1], wanted[1][1])
    assert found.distinct == (4, 5)
    assert (found.below, len(found.rows)) == (wanted[0][0], wanted[0][0] + wanted[1][0])
    assert set(found.rows.tolist()) == set(np.flatnonzero(distance < 0.5).tolist())


def test_clusters_split_at_the_cutoff_are_summed_on_each_side() -> None:
    score, values, w = drawn()
    codes = np.arange(N) % 7
    found = jump_of(score, values, w, 0.6, 0.8)
    parts = found.corrected_parts[0]
    total = 0.0
    for own in (slice(0, found.below), slice(found.below, None)):
        rows, groups = found.rows[own], len(np.unique(codes[found.rows[own]]))
        sums = np.bincount(codes[rows], parts[own])
        total += (len(rows) - 1) / (len(rows) - 3) * groups / (groups - 1) * (sums**2).sum()
    assert found.clustered_apart(parts, sides_of(score, values, w, codes), 3) == pytest.approx(total)


def test_a_bandwidth_with_too_few_distinct_values_is_refused() -> None:
    score, values, w = drawn()
    with pytest.raises(UnusableData):
        jump_of(np.round(score, 1), values, w, 0.8, 0.25)
