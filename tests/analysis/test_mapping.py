import pytest

from cqox.analysis.mapping import (
    by_names,
    categorical_columns,
    check_exact,
    check_mapping,
    columns_of,
    names_in,
    unknown_column,
)
from cqox.contract import Options
from cqox.contract.messages import Message
from cqox.errors import InvalidRequest


def test_a_column_that_does_not_exist_is_named_with_the_nearest() -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_mapping({"y": "outcom", "treatment": "w"}, ["w", "outcome", "x"])
    assert caught.value.choices[0] == "outcome"
    assert caught.value.field == "mapping.y"


def test_columns_in_one_text_are_said_to_be_a_list() -> None:
    with pytest.raises(InvalidRequest, match=r"'a, b' \(mapped as covariates\).*use a list:"):
        check_mapping({"y": "y", "treatment": "w", "covariates": ("a, b",)}, ["y", "w", "a", "b"])


def test_of_a_wide_table_a_few_columns_are_listed_and_all_are_choices() -> None:
    names = [f"c{number}" for number in range(5_000)]
    with pytest.raises(InvalidRequest, match="Did you mean c4999") as caught:
        check_mapping({"y": "C4999", "treatment": "c1"}, names)
    assert caught.value.detail.endswith(" and 4,970 more.")
    assert len(caught.value.detail) < 500
    assert sorted(caught.value.choices) == sorted(names)
    with pytest.raises(InvalidRequest) as caught:
        check_mapping({"y": "y" * 1_000_000, "treatment": "c1"}, names)
    assert len(caught.value.detail) < 500


@pytest.mark.parametrize(
    "roles",
    [
        {"y": "y", "treatment": "w"},
        {"y": "y", "dose": "w"},
        {"y": "y", "time": "year", "cohort": "first"},
        {"y": "y", "running": "x", "cutoff": 0.0},
    ],
)
def test_a_treatment_or_a_design_that_defines_it_is_enough(roles: dict[str, object]) -> None:
    check_mapping(roles, ["y", "w", "year", "first", "x"])


@pytest.mark.parametrize(
    ("roles", "word"),
    [
        ({"treatment": "w"}, "outcome"),
        ({"y": "y"}, "treatment"),
        ({"y": "y", "time": "w"}, "treatment"),
        ({"y": "y", "treatment": "w", "instrument": ("w",)}, "instrument"),
        ({"y": "y", "treatment": "w", "weights": "y"}, "weights"),
    ],
)
def test_what_cannot_be_is_refused_before_any_data_are_read(roles: dict[str, object], word: str) -> None:
    with pytest.raises(InvalidRequest, match=word):
        check_mapping(roles, ["y", "w"])


@pytest.mark.parametrize(("given", "other"), [("running", "cutoff"), ("cutoff", "running"), ("latitude", "longitude")])
def test_a_role_that_needs_another_is_refused_alone_with_the_field_of_the_other(given: str, other: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_mapping({"y": "y", "treatment": "w", given: 0.5 if given == "cutoff" else "x"}, ["y", "w", "x"])
    assert caught.value.field == f"mapping.{other}"
    assert caught.value.detail.code == "analysis.role-requires"


@pytest.mark.parametrize("role", ["covariates", "propensity_covariates"])
@pytest.mark.parametrize("column", ["y", "w"])
def test_outcome_and_treatment_are_no_covariates(role: str, column: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_mapping({"y": "y", "treatment": "w", role: ("x", column)}, ["y", "w", "x"])
    assert caught.value.detail.code == "analysis.role-as-covariate"


def test_a_unit_may_also_be_the_cluster_and_weights_may_be_a_covariate() -> None:
    roles = {"y": "y", "treatment": "w", "unit_id": "x", "cluster": ("x",), "weights": "v", "covariates": ("v",)}
    check_mapping(roles, ["y", "w", "x", "v"])


def test_names_are_those_of_columns_and_a_number_has_none() -> None:
    assert names_in("x") == ("x",)
    assert names_in(("a", "b")) == ("a", "b")
    assert names_in(()) == names_in(0.5) == names_in(None) == ()
    roles = {"y": "y", "covariates": ("b", "a"), "propensity_covariates": ("a", "c"), "cutoff": 0.5}
    assert columns_of(roles) == ["y", "b", "a", "c"]
    assert columns_of({}) == []


def test_categories_are_named_by_column_or_by_a_header_that_is_unique() -> None:
    roles = {"y": "y", "covariates": ("a", "b", "c")}
    columns = {"y": "y", "a": "Region", "b": "Twice", "c": "Twice"}
    assert categorical_columns(["Region", "c", "a"], roles, columns) == ["a", "c"]
    assert categorical_columns([], roles, columns) == []
    for word in ("Twice", "d"):
        with pytest.raises(InvalidRequest) as caught:
            categorical_columns([word], roles, columns)
        assert (caught.value.field, set(caught.value.choices)) == ("options.categorical", set(columns))


def test_the_column_of_an_amount_is_no_category_unless_another_role_takes_its_codes() -> None:
    columns = {name: name for name in ("y", "w", "x")}
    with pytest.raises(InvalidRequest) as caught:
        categorical_columns(["x"], {"y": "y", "treatment": "w", "running": "x", "cutoff": 1.0}, columns)
    assert caught.value.detail.code == "analysis.role-takes-numbers"
    assert caught.value.detail.params["role"] == "running"
    roles = {"y": "y", "treatment": "w", "running": "x", "cutoff": 1.0, "cluster": ("x",)}
    assert categorical_columns(["x"], roles, columns) == ["x"]


@pytest.mark.parametrize(("columns", "more"), [(29, 0), (30, 0), (31, 1), (45, 15)])
def test_an_unknown_column_shows_thirty_others_and_counts_the_rest(columns: int, more: int) -> None:
    names = [f"c{number:02d}" for number in range(columns)]
    error = unknown_column("zzz", Message("analysis.in-categorical"), names, field="options.categorical")
    assert error.choices == tuple(names)
    assert [name for name in names if name in error.detail] == names[:30]
    assert (f"{more} more" in error.detail) == bool(more)


def test_exact_matches_are_by_mapped_covariates_and_the_others_are_choices() -> None:
    roles = {"y": "y", "treatment": "w", "covariates": ("age", "sex"), "propensity_covariates": ("sex", "place")}
    check_exact(Options(match_exact=["place", "age"]), roles)
    with pytest.raises(InvalidRequest, match="'y', which is not one of the covariates") as caught:
        check_exact(Options(match_exact=["y"]), roles)
    assert list(caught.value.choices) == ["age", "sex", "place"]
    assert caught.value.field == "options.match_exact"
    check_exact(Options(match_exact=["age"], covariates="auto"), {"y": "y", "treatment": "w"})


def test_a_header_of_the_file_names_its_column_wherever_a_request_names_columns() -> None:
    columns = {"y_2": "y ", "y": "y", "a b": "a\nb", "x": " x", "c": "c", "twice": "t ", "twice_2": "t "}
    roles = {"y": "y ", "treatment": "a\nb", "covariates": ("x", " x", "c", "t "), "cutoff": 1.0}
    options = Options(
        match_exact=[" x", "c"], yes_no=["a\nb"], period_formats={"y ": "year"},
        drop_rows=[{"column": " x", "values": ["1"]}, {"rows": [1]}],
    )  # fmt: skip
    named, changed = by_names(roles, options, columns)
    assert named == {"y": "y_2", "treatment": "a b", "covariates": ("x", "c", "t "), "cutoff": 1.0}
    assert (changed.match_exact, changed.yes_no) == (["x", "c"], ["a b"])
    assert changed.period_formats == {"y_2": "year"}
    assert [drop.column for drop in changed.drop_rows or ()] == ["x", None]
    same = {"y": "y", "treatment": "c"}
    assert by_names(same, Options(), columns) == (same, Options())
    assert by_names(same, options, {"y": "y", "c": "c"}) == (same, options)
