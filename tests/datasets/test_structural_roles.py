"""The structure outweighs names where they disagree, and several candidates are asked about."""

import pytest

from cqox.datasets import Structure, infer_roles
from cqox.datasets.computed_columns import Computed
from tests.datasets.test_inference import column

PANEL = {"unit": "nr", "time": "year", "fixed": frozenset({"treated"})}
COLUMNS = ["nr:count", "year:count", "treated:binary", "step:binary", "other:binary", "sales"]


def infer(*names: str, **structure: object):
    return infer_roles([column(name) for name in names], Structure(**structure))


def test_in_a_panel_the_varying_0_1_column_beats_the_constant_one() -> None:
    found = infer(*COLUMNS, **PANEL, absorbing=("step",), varying=frozenset({"step", "other"}))
    assert found.mapping["treatment"] == "step"
    assert (found.mapping["unit_id"], found.mapping["time"]) == ("nr", "year")
    constant = next(one for one in found.candidates["treatment"] if one.column == "treated")
    assert constant.confidence < 0.5
    assert "constant within every unit" in constant.reasons[-1]


@pytest.mark.parametrize("absorbing", [("step", "other"), ()])
def test_of_several_that_vary_the_client_chooses(absorbing: tuple[str, ...]) -> None:
    found = infer(*COLUMNS, **PANEL, absorbing=absorbing, varying=frozenset({"step", "other"}))
    assert "treatment" in found.missing
    assert {one.column for one in found.candidates["treatment"]} >= {"step", "other"}
    assert any("which column is treatment. Choose one; candidates are step" in note for note in found.notes)


def test_a_group_and_a_period_that_names_say_are_kept_unless_a_column_is_their_product() -> None:
    names = ["nr:count", "year:count", "treated:binary", "post:binary", "step:binary", "sales"]
    panel = {**PANEL, "calendar": frozenset({"post"}), "varying": frozenset({"step"})}
    for absorbing in ((), ("step",)):
        mapping = infer(*names, **panel, absorbing=absorbing).mapping
        assert (mapping["treatment"], mapping["post"]) == ("treated", "post")
    product = {"step": Computed(how="product", bases=("treated", "post"))}
    mapping = infer(*names, **panel, absorbing=("step",), computed=product).mapping
    assert mapping["treatment"] == "step"
    assert "post" not in mapping


def test_a_constant_treatment_by_name_and_a_column_that_comes_and_goes_are_asked_about() -> None:
    found = infer(*COLUMNS, **PANEL, varying=frozenset({"step"}))
    assert found.missing == ("treatment",)
    assert {one.column for one in found.candidates["treatment"]} >= {"treated", "step"}


def test_a_second_law_that_is_phased_in_is_a_reason_to_ask() -> None:
    law = {"absorbing": ("step",), "varying": frozenset({"step"})}
    assert "treatment" in infer(*COLUMNS, **PANEL, **law).mapping
    assert "treatment" in infer(*COLUMNS, **PANEL, **law, phased_in=frozenset({"share"})).missing


def test_a_column_named_post_that_starts_at_different_times_is_the_treatment() -> None:
    post = {"absorbing": ("post",), "varying": frozenset({"post"})}
    mapping = infer("nr:count", "year:count", "post:binary", "sales", **PANEL, **post).mapping
    assert mapping["treatment"] == "post"
    assert "post" not in mapping


def test_lags_indicators_background_and_outcomes_are_no_treatments_of_a_panel() -> None:
    names = ("law", "law_1", "d1", "married", "churn")
    lag = {"law_1": Computed(how="lag", bases=("law",))}
    found = infer(
        "nr:count",
        "year:count",
        *(f"{name}:binary" for name in names),
        **PANEL,
        varying=frozenset(names),
        indicators=frozenset({"d1"}),
        computed=lag,
    )
    assert (found.mapping["treatment"], found.mapping["y"]) == ("law", "churn")


def test_one_product_with_a_period_shows_group_and_period_and_several_are_asked_about() -> None:
    names = ["near:binary", "late:binary", "both:binary", "union:binary", "more:binary", "wage"]
    both = {"both": Computed(how="product", bases=("near", "late"))}
    mapping = infer(*names, calendar=frozenset({"late"}), computed=both).mapping
    assert (mapping["treatment"], mapping["post"]) == ("near", "late")
    more = both | {"more": Computed(how="product", bases=("union", "late"))}
    assert "treatment" in infer(*names, calendar=frozenset({"late"}), computed=more).missing
    assert "treatment" in infer(*names, computed=both).missing


def test_the_amount_whose_lag_is_in_the_table_is_the_outcome() -> None:
    lag = {"scrap_1": Computed(how="lag", bases=("scrap",))}
    assert infer("nr:count", "year:count", "scrap", "scrap_1", "sales", **PANEL, computed=lag).mapping["y"] == "scrap"


def test_the_only_outcome_left_is_mapped_with_a_note_if_the_treatment_is_known() -> None:
    square = {"agesq": Computed(how="square", bases=("age_now",)), "lz": Computed(how="logarithm", bases=("z1",))}
    found = infer("treat:binary", "age_now", "agesq", "educ", "z1", "lz", computed=square)
    assert found.mapping["y"] == "z1"
    assert any("'z1' was mapped as the outcome because" in note for note in found.notes)
    assert infer("treat:binary", "z1", "z2").missing == ("y",)
    assert infer("what:binary", "z1").missing == ("y", "treatment")


def test_the_only_0_1_column_left_is_not_mapped_as_the_treatment() -> None:
    assert infer("wage", "female:binary", "what:binary").missing == ("treatment",)


def test_changes_between_years_are_asked_about_though_another_name_says_outcome() -> None:
    found = infer("treat:binary", "wt71", "wt82_71", "tax71", "tax82_71", "death:binary")
    assert found.missing == ("y",)
    assert {one.column for one in found.candidates["y"][:2]} == {"wt82_71", "tax82_71"}
    assert infer("treat:binary", "wt71", "wt82_71", "death:binary").mapping["y"] == "wt82_71"


@pytest.mark.parametrize("how", ["lag", "difference", "square"])
def test_what_was_computed_from_a_named_column_is_neither_outcome_nor_treatment(how: str) -> None:
    computed = {"sales_x": Computed(how=how, bases=("sales",)), "grant_x": Computed(how=how, bases=("grant",))}
    found = infer("sales_x", "sales", "grant_x:binary", "grant:binary", computed=computed)
    assert (found.mapping["y"], found.mapping["treatment"]) == ("sales", "grant")


def test_what_was_computed_from_outcome_or_treatment_is_no_covariate_and_lags_are() -> None:
    computed = {
        "lsales": Computed(how="logarithm", bases=("sales",)),
        "clsales": Computed(how="difference", bases=("lsales",)),
        "any_sales": Computed(how="indicator", bases=("sales",)),
        "sales_1": Computed(how="lag", bases=("sales",)),
        "treat_x": Computed(how="product", bases=("treat", "x")),
    }
    found = infer("sales", "treat:binary", "x", *computed, computed=computed)
    assert found.mapping["covariates"] == ("x", "sales_1")
    left = next(note for note in found.notes if "computed from the outcome or the treatment" in note)
    assert all(name in left for name in ("lsales", "clsales", "any_sales", "treat_x"))
    assert "sales_1" not in left
