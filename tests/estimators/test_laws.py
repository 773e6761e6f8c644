"""The laws that catalog entries declare, tested for every entry from the catalog itself."""

from dataclasses import replace

import numpy as np
import pytest

from cqox.estimators import Data, Estimate, Estimator, Plan, Settings, catalog, run
from tests.estimators.designs import design_for, rows, with_covariates, with_treatment

NO_INFLUENCE = {"matching", "synthetic_control", "interrupted_series"}
"""Families whose estimates are no sums over rows that an influence function could describe."""


def pairs(law: str) -> list[object]:
    return [pytest.param(entry, id=entry.name) for entry in catalog() if law in entry.laws]


def answer(entry: Estimator, data: Data, settings: Settings | None = None) -> Estimate:
    result = run(entry, Plan(data, settings or Settings()))
    assert result.status in ("ok", "warning"), result.reason
    assert (result.standard_error is None) == entry.standard_error.startswith("none")
    assert (result.influence is None) == (entry.family in NO_INFLUENCE)
    return result


def same(left: Estimate, right: Estimate, *, factor: float = 1.0, rtol: float = 1e-10) -> None:
    assert right.estimate == pytest.approx(factor * left.estimate, rel=rtol)
    if left.standard_error is None:
        assert (right.standard_error, right.p_value) == (None, left.p_value)
    else:
        assert right.standard_error == pytest.approx(abs(factor) * left.standard_error, rel=rtol)


@pytest.mark.parametrize("entry", pairs("row_permutation"))
def test_row_order_changes_nothing(entry: Estimator):
    data = design_for(entry)
    order = np.random.default_rng(11).permutation(data.n)
    left, right = answer(entry, data), answer(entry, rows(data, order))
    same(left, right)
    if left.influence is not None:
        np.testing.assert_allclose(right.influence, left.influence[order], rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("entry", pairs("outcome_affine"))
@pytest.mark.parametrize(("shift", "factor"), [(1e4, 3.0), (-7.0, -1e-3), (0.0, 1e6)])
def test_shifting_and_scaling_the_outcome_scales_the_effect(entry: Estimator, shift: float, factor: float):
    data = design_for(entry)
    moved = replace(data, y=shift + factor * data.y)
    same(answer(entry, data), answer(entry, moved), factor=factor, rtol=1e-8)


@pytest.mark.parametrize("entry", pairs("outcome_scale"))
@pytest.mark.parametrize("factor", [3.0, -1e-3, 1e6])
def test_scaling_the_outcome_scales_a_level(entry: Estimator, factor: float):
    data = design_for(entry)
    same(answer(entry, data), answer(entry, replace(data, y=factor * data.y)), factor=factor, rtol=1e-8)


@pytest.mark.parametrize("entry", pairs("irrelevant_constant"))
def test_a_constant_covariate_changes_nothing_and_is_named(entry: Estimator):
    data = design_for(entry)
    wider = with_covariates(data, np.column_stack([data.covariates, np.full(data.n, 0.1)]))
    left, right = answer(entry, data), answer(entry, wider)
    same(left, right)
    if "covariates" in (*entry.requires, *entry.optional):
        label = wider.names["covariates"][-1]
        assert any(label in note for note in right.diagnostics["notes"])


@pytest.mark.parametrize("entry", pairs("collinear_copy"))
def test_a_covariate_that_repeats_another_changes_nothing_and_is_named(entry: Estimator):
    data = design_for(entry)
    wider = with_covariates(data, np.column_stack([data.covariates, 5 - 3 * data.covariates[:, 0]]))
    left, right = answer(entry, data), answer(entry, wider)
    same(left, right, rtol=1e-9)
    if "covariates" in (*entry.requires, *entry.optional):
        label = wider.names["covariates"][-1]
        assert any(label in note for note in right.diagnostics["notes"])


@pytest.mark.parametrize("entry", pairs("half_weights"))
def test_every_row_twice_at_half_its_weight_is_the_same_estimate(entry: Estimator):
    data = design_for(entry)
    weights = np.random.default_rng(12).uniform(0.5, 2.0, data.n)
    single = replace(data, weights=weights)
    double = rows(replace(data, weights=weights / 2), np.repeat(np.arange(data.n), 2))
    left, right = answer(entry, single), answer(entry, double)
    assert right.estimate == pytest.approx(left.estimate, rel=1e-9)
    assert answer(entry, replace(data, weights=None)).estimate != pytest.approx(left.estimate, rel=1e-6)


@pytest.mark.parametrize("entry", pairs("flip_treatment"))
def test_swapping_the_arms_changes_the_sign(entry: Estimator):
    data = design_for(entry)
    flipped = with_treatment(data, lambda t: 1.0 - t)
    mirror = entry if entry.flipped is None else replace(entry, compute=entry.flipped)
    same(answer(entry, data), answer(mirror, flipped), factor=-1.0, rtol=1e-8)


@pytest.mark.parametrize("entry", pairs("scale_treatment"))
def test_a_treatment_in_other_units_divides_the_effect(entry: Estimator):
    data = design_for(entry)
    scaled = replace(with_treatment(data, lambda t: 100.0 * t), treatment_kind="continuous")
    original = replace(data, treatment_kind="continuous")
    same(answer(entry, original), answer(entry, scaled), factor=0.01, rtol=1e-9)


@pytest.mark.parametrize("entry", pairs("chunk_size"))
@pytest.mark.parametrize("chunk_rows", [1, 7, 333, 100_000])
def test_the_size_of_blocks_changes_nothing(entry: Estimator, chunk_rows: int):
    data = rows(design_for(entry), np.arange(300))
    same(answer(entry, data), answer(entry, data, Settings(chunk_rows=chunk_rows)))


@pytest.mark.parametrize("entry", pairs("threads"))
def test_the_number_of_threads_changes_no_bit(entry: Estimator):
    data = design_for(entry)
    left = answer(entry, data, Settings(chunk_rows=100, threads=1))
    right = answer(entry, data, Settings(chunk_rows=100, threads=2))
    assert (left.estimate, left.standard_error, left.p_value) == (right.estimate, right.standard_error, right.p_value)
    if left.influence is not None:
        assert left.influence.tobytes() == right.influence.tobytes()


@pytest.mark.parametrize("entry", [pytest.param(entry, id=entry.name) for entry in catalog()])
def test_other_column_names_change_no_bit(entry: Estimator):
    data = design_for(entry)
    japanese = {role: tuple(f"列{position}" for position in range(len(names))) for role, names in data.names.items()}
    left, right = answer(entry, data), answer(entry, replace(data, names=japanese))
    assert (left.estimate, left.standard_error) == (right.estimate, right.standard_error)


@pytest.mark.parametrize(
    "entry", [pytest.param(entry, id=entry.name) for entry in catalog() if entry.family not in NO_INFLUENCE]
)
def test_the_influence_function_gives_the_standard_error(entry: Estimator):
    data = design_for(entry)
    result = answer(entry, data, Settings(se="HC0"))
    assert np.sqrt(np.sum(result.influence**2)) / result.n == pytest.approx(result.standard_error, rel=1e-9)


@pytest.mark.parametrize("entry", pairs("outcome_affine"))
def test_rows_with_a_missing_role_are_left_out_and_counted(entry: Estimator):
    data = design_for(entry)
    y = data.y.copy()
    y[::10] = np.nan
    lost = np.isnan(y) & ~np.isnan(data.y)
    kept = np.flatnonzero(~lost)
    holed, smaller = answer(entry, replace(data, y=y)), answer(entry, rows(data, kept))
    assert holed.n == len(kept)
    same(smaller, holed)
    assert holed.influence is None or not holed.influence[lost].any()
