"""Errors of a series with a variance of their own before and after."""

import numpy as np
import pytest
from scipy import linalg

from cqox.estimators.inference.segment_errors import segment_errors

BEFORE, AFTER = 30, 12


def lines() -> tuple[np.ndarray, np.ndarray]:
    """A basis of two lines, and the weights of the average effect."""
    since = np.arange(BEFORE + AFTER) - BEFORE
    post = (since >= 0).astype(float)
    design = np.column_stack([np.ones(len(since)), since, post, post * since])
    contrast = np.array([0.0, 0.0, 1.0, since[BEFORE:].mean()])
    return np.linalg.qr(design)[0], contrast @ np.linalg.pinv(design)


def residuals(seed: int = 0, louder: float = 1.0) -> np.ndarray:
    basis, _ = lines()
    errors = np.random.default_rng(seed).standard_normal(BEFORE + AFTER)
    errors[BEFORE:] *= louder
    return errors - basis @ (basis.T @ errors)


def test_the_variance_is_that_of_scaled_autoregressive_errors() -> None:
    basis, weights = lines()
    found = segment_errors(residuals(louder=3.0), basis, BEFORE)
    assert found is not None
    left = residuals(louder=3.0)
    assert found.left == (pytest.approx(BEFORE - 2), pytest.approx(AFTER - 2))
    assert found.scales[1] == pytest.approx(np.sqrt(np.sum(left[BEFORE:] ** 2) / (AFTER - 2)))
    scaled = weights * np.repeat(found.scales, (BEFORE, AFTER))
    covariance = linalg.toeplitz(found.correlated.covariances)
    assert found.variance(weights)[0] == pytest.approx(scaled @ covariance @ scaled, rel=1e-9)


def test_without_dependence_the_degrees_are_welchs() -> None:
    basis, weights = lines()
    found = segment_errors(residuals(3, louder=3.0), basis, BEFORE)
    assert found is not None
    own = np.array([
        (weights[part] ** 2).sum() * scale**2
        for part, scale in zip((slice(0, BEFORE), slice(BEFORE, None)), found.scales, strict=True)
    ])  # fmt: skip
    welch = own.sum() ** 2 / np.sum(own**2 / np.array(found.left))
    # The estimated autoregression costs some more.
    assert 2 <= found.variance(weights)[1] <= welch


def test_a_segment_that_is_fitted_exactly_has_no_variance_of_its_own() -> None:
    basis, _ = lines()
    left = residuals()
    left[BEFORE:] = 0.0
    assert segment_errors(left, basis, BEFORE) is None
