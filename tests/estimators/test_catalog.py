from dataclasses import replace

import numpy as np
import pytest

from cqox.estimators import Estimate, Plan, Settings, catalog, run
from tests.estimators.designs import cross_section, design_for, rows

ENTRIES = [pytest.param(entry, id=entry.name) for entry in catalog()]
OF_OUTCOMES = [pytest.param(entry, id=entry.name) for entry in catalog() if "y" in entry.requires]
OF_EFFECTS = [pytest.param(entry, id=entry.name) for entry in catalog() if "outcome_affine" in entry.laws]
ROLES = {
    "y", "treatment", "covariates", "propensity_covariates", "pscore", "instrument", "unit_id", "time", "post",
    "cluster", "weights", "fixed_effects", "cohort", "running", "cutoff", "intervention_time",
    "action", "target_policy", "proxy_treatment", "proxy_outcome",
    "sample", "mediator", "edges", "neighbor_exposure", "latitude", "longitude",
}  # fmt: skip


def test_names_are_unique_and_families_stand_together():
    names = [entry.name for entry in catalog()]
    assert len(set(names)) == len(names)
    families = [entry.family for entry in catalog()]
    assert [family for place, family in enumerate(families) if family not in families[:place]] == list(
        dict.fromkeys(families)
    )
    assert families == sorted(families, key=families.index)


@pytest.mark.parametrize("entry", ENTRIES)
def test_an_entry_says_what_it_is_from_where_and_checked_by_whom(entry):
    assert {*entry.requires, *entry.optional} <= ROLES
    assert not set(entry.requires) & set(entry.optional)
    for text in (entry.summary, entry.standard_error, entry.paper, entry.checked_against):
        assert len(text) > 5
    assert entry.summary.endswith(".")
    # doi.org does not resolve 10.5555, which publishers use for identifiers that are not registered.
    assert entry.doi is None or (entry.doi.startswith("10.") and not entry.doi.startswith("10.5555/"))
    assert {"row_permutation", "chunk_size", "threads"} <= entry.laws
    assert bool(entry.laws & {"outcome_affine", "outcome_scale"}) == ("y" in entry.requires)


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_role_that_is_not_mapped_is_asked_for_by_name(entry):
    data = design_for(entry)
    bare = replace(
        data, treatment=None, treatment_kind="none", covariates=np.empty((data.n, 0)),
        propensity_covariates=np.empty((data.n, 0)), instruments=np.empty((data.n, 0)), unit=None, time=None, post=None,
        running=None, cutoff=None, pscore=None, action=None, target_policy=np.empty((data.n, 0)),
        proxy_treatment=np.empty((data.n, 0)), proxy_outcome=np.empty((data.n, 0)), in_source=None,
        mediators=np.empty((data.n, 0)), location=None,
    )  # fmt: skip
    result = run(entry, Plan(bare, Settings()))
    assert result.status == "skipped"
    for role in entry.requires[1:]:
        assert f"'{role}'" in result.reason
    assert (result.estimate, result.standard_error, result.ci_lower, result.p_value) == (None, None, None, None)


@pytest.mark.parametrize("entry", OF_OUTCOMES)
def test_an_outcome_that_never_varies_is_skipped_with_its_name(entry):
    data = design_for(entry)
    result = run(entry, Plan(replace(data, y=np.full(data.n, 0.1)), Settings()))
    assert result.status == "skipped"
    assert "'y' never varies" in result.reason


@pytest.mark.parametrize("entry", OF_EFFECTS)
def test_a_treatment_that_never_varies_is_skipped(entry):
    data = design_for(entry)
    result = run(entry, Plan(replace(data, treatment=np.ones(data.n)), Settings()))
    assert result.status == "skipped"


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 13])
def test_a_handful_of_rows_gives_a_number_or_a_reason_but_never_fails(entry, n: int):
    data = design_for(entry)
    for seed in range(5):
        some = np.random.default_rng(seed).choice(data.n, n, replace=False)
        result = run(entry, Plan(rows(data, some), Settings()))
        assert result.status != "failed", result.reason
        assert (result.reason is None) == (result.estimate is not None)


@pytest.mark.parametrize("entry", OF_EFFECTS)
def test_an_outcome_fitted_without_error_has_no_made_up_certainty(entry):
    data = design_for(entry)
    base = data.running >= data.cutoff if data.treatment is None else data.treatment
    base = base if data.post is None else base * data.post
    exact = replace(data, y=2.0 * base + 1.0, weights=None)
    result = run(entry, Plan(exact, Settings()))
    assert result.status in ("ok", "warning"), result.reason
    assert result.estimate == pytest.approx(0.0 if entry.estimand in ("ACME", "spillover effect") else 2.0, abs=1e-6)
    assert result.standard_error is None or result.standard_error < 1e-6


@pytest.mark.parametrize("entry", OF_OUTCOMES)
@pytest.mark.parametrize("scale", [1e-150, 1e150])
def test_outcomes_of_any_size_keep_their_digits(entry, scale: float):
    data = design_for(entry)
    left, right = (run(entry, Plan(each, Settings())) for each in (data, replace(data, y=data.y * scale)))
    assert right.estimate / scale == pytest.approx(left.estimate, rel=1e-8)
    if left.standard_error is None:
        assert right.standard_error is None
        assert right.ci_upper / scale == pytest.approx(left.ci_upper, rel=1e-3)
    else:
        assert right.standard_error / scale == pytest.approx(left.standard_error, rel=1e-8)


@pytest.mark.parametrize("entry", ENTRIES)
def test_numbers_are_finite_and_the_interval_holds_the_estimate(entry):
    result = run(entry, Plan(design_for(entry), Settings(alpha=0.1)))
    wider = run(entry, Plan(design_for(entry), Settings(alpha=0.01)))
    assert wider.ci_lower < result.ci_lower < result.estimate < result.ci_upper < wider.ci_upper
    assert 0 <= result.p_value <= 1
    assert result.se_method
    assert 0 < result.n_effective <= result.n + 1e-9

    def check(value: object) -> None:
        if isinstance(value, float):
            assert np.isfinite(value)
        elif isinstance(value, dict):
            for inner in value.values():
                check(inner)
        elif isinstance(value, list):
            for inner in value:
                check(inner)
        else:
            assert value is None or isinstance(value, (bool, int, str))
            assert not isinstance(value, np.generic)

    check(dict(result.diagnostics))


@pytest.mark.parametrize("entry", ENTRIES)
def test_the_same_data_and_seed_give_the_same_bytes(entry):
    left, right = (run(entry, Plan(design_for(entry), Settings(seed=3))) for _ in range(2))
    assert repr(replace(left, influence=None)) == repr(replace(right, influence=None))
    assert (left.influence is None) == (right.influence is None)
    if left.influence is not None:
        assert left.influence.tobytes() == right.influence.tobytes()


def test_an_estimator_that_raises_is_failed_with_its_error_and_without_a_number():
    def broken(plan: Plan) -> Estimate:
        raise ZeroDivisionError("by design")

    result = run(replace(catalog()[0], compute=broken), Plan(cross_section(), Settings()))
    assert (result.status, result.reason, result.estimate) == ("failed", "ZeroDivisionError: by design", None)


def test_a_cancellation_is_not_mistaken_for_a_failure():
    def interrupted(plan: Plan) -> Estimate:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(replace(catalog()[0], compute=interrupted), Plan(cross_section(), Settings()))


@pytest.mark.parametrize("entry", ENTRIES)
def test_rows_of_an_unknown_cluster_make_no_estimator_fail(entry):
    data = design_for(entry)
    group = np.random.default_rng(0).integers(0, 40, data.n)
    group[3::17] = -1
    result = run(entry, Plan(replace(data, clusters=(group,), names={**data.names, "cluster": ("g",)}), Settings()))
    assert result.status != "failed", result.reason
