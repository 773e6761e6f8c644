import numpy as np
import pytest

from cqox.estimators.numerics import absorb as absorb_module
from cqox.estimators.numerics.absorb import absorb, compress, is_nested


def residuals(columns: np.ndarray, effects: list[np.ndarray], weights: np.ndarray | None) -> np.ndarray:
    """Return the residuals of least squares on explicit dummies."""
    dummies = np.hstack([(codes[:, None] == np.unique(codes)).astype(float) for codes in effects])
    root = np.ones(len(columns)) if weights is None else np.sqrt(weights)
    fit, *_ = np.linalg.lstsq(dummies * root[:, None], columns * root[:, None], rcond=None)
    return columns - dummies @ fit


@pytest.mark.parametrize("levels", [(40,), (40, 7), (12, 30), (40, 7, 5)])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dense", [True, False])
def test_absorbing_equals_explicit_dummies(levels: tuple[int, ...], weighted: bool, dense: bool, monkeypatch):
    if not dense:
        monkeypatch.setattr(absorb_module, "_DENSE_LEVELS", 0)
    rng = np.random.default_rng(sum(levels))
    effects = [rng.integers(0, count, 400) for count in levels]
    weights = rng.uniform(0.5, 2, 400) if weighted else None
    columns = rng.standard_normal((400, 3)) * [1, 100, 0.01]
    expected = residuals(columns, effects, weights)
    absorb(columns.T, effects, weights)
    np.testing.assert_allclose(columns, expected, atol=1e-10)


@pytest.mark.parametrize("dense", [True, False])
def test_parts_of_a_panel_that_share_no_level_are_absorbed_apart(dense: bool, monkeypatch):
    if not dense:
        monkeypatch.setattr(absorb_module, "_DENSE_LEVELS", 0)
    rng = np.random.default_rng(1)
    unit = rng.integers(0, 20, 300)
    time = rng.integers(0, 4, 300) + 4 * (unit >= 10)
    columns = rng.standard_normal((300, 2))
    expected = residuals(columns, [unit, time], None)
    absorb(columns.T, [unit, time], None)
    np.testing.assert_allclose(columns, expected, atol=1e-10)


def test_what_the_effects_determine_is_absorbed_to_nothing():
    unit = np.repeat(np.arange(30), 4)
    columns = np.column_stack([np.sin(unit) * 5, np.tile(np.arange(4.0), 30)])
    absorb(columns.T, [unit, np.tile(np.arange(4), 30)], None)
    np.testing.assert_allclose(columns, 0, atol=1e-12)


def test_degrees_count_the_constant_once_and_nested_effects_not_at_all():
    unit, time = np.repeat(np.arange(30), 4), np.tile(np.arange(4), 30)
    absorption = absorb(np.zeros((1, 120)), [unit, time], None)
    assert absorption.degrees == 30 + 4 - 1
    assert absorption.degrees_not_nested([unit]) == 4
    assert absorption.degrees_not_nested([unit // 3]) == 4
    assert absorption.degrees_not_nested([time]) == 30
    assert absorption.degrees_not_nested([]) == 33


def test_codes_are_renumbered_in_their_order():
    codes, levels = compress(np.array([7, 2, 7, 5]))
    assert levels == 3
    np.testing.assert_array_equal(codes, [2, 0, 2, 1])


def test_nesting_is_seen():
    inner = np.array([0, 0, 1, 1, 2, 2])
    assert is_nested(inner, np.array([0, 0, 0, 0, 1, 1]), 3)
    assert not is_nested(inner, np.array([0, 1, 0, 0, 1, 1]), 3)
