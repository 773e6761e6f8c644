"""Roles are guessed from names and kinds, conservatively, and the guess can be sent as it is."""

import json

import pytest

from cqox.contract import AnalyzeRequest, parse_model
from cqox.contract import Inference as InferenceModel
from cqox.datasets import Column, infer_roles

DEFAULTS = {
    "binary": ("int64", 2, 0, 1),
    "count": ("int64", 30, 0, 90),
    "real": ("float64", 480, -3.5, 4.5),
    "category": ("enum", 5, None, None),
    "date": ("date", 52, "2024-01-01", "2024-12-23"),
    "text": ("string", 470, None, None),
    "id": ("string", 500, None, None),
}


def column(spec: str, **changes) -> Column:
    name, _, kind = spec.partition(":")
    dtype, distinct, low, high = DEFAULTS[kind or "real"]
    levels = tuple("abcde") if kind == "category" else ("0", "1") if kind == "binary" else ()
    values = {"dtype": dtype, "count": 500, "missing": 0, "distinct": distinct, "minimum": low, "maximum": high}
    return Column(name=name, original_name=name, kind=kind or "real", **{**values, "levels": levels, **changes})


def infer(*specs):
    return infer_roles([item if isinstance(item, Column) else column(item) for item in specs])


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (
            ["id:id", "w:binary", "y", "x1", "x2:binary"],
            {"y": "y", "treatment": "w", "unit_id": "id", "covariates": ("x1", "x2")},
        ),
        (
            ["Outcome", "Treated:binary", "Age:count", "Sex:category"],
            {"y": "Outcome", "treatment": "Treated", "covariates": ("Age", "Sex")},
        ),
        (
            ["患者番号:id", "年齢:count", "性別:binary", "処置:binary", "結果:binary"],
            {"y": "結果", "treatment": "処置", "unit_id": "患者番号", "covariates": ("年齢", "性別")},
        ),
        (
            ["店舗ID:id", "年月:date", "売上", "前年売上", "クーポン配布:binary", "都道府県:category"],
            {
                "y": "売上",
                "treatment": "クーポン配布",
                "unit_id": "店舗ID",
                "time": "年月",
                "covariates": ("都道府県", "前年売上"),
            },
        ),
        (
            ["county_id:id", "year:count", "first.treat:count", "treat:binary", "outcome"],
            {"y": "outcome", "treatment": "treat", "unit_id": "county_id", "time": "year", "cohort": "first.treat"},
        ),
        (
            ["unit:id", "t:count", "post:binary", "treated:binary", "y"],
            {"y": "y", "treatment": "treated", "unit_id": "unit", "time": "t", "post": "post"},
        ),
        (
            ["user_id:id", "variant:binary", "converted:binary", "country:category"],
            {"y": "converted", "treatment": "variant", "unit_id": "user_id", "covariates": ("country",)},
        ),
        (
            ["介入", "アウトカム", "ｼﾞｯｹﾝ"],
            {"y": "アウトカム", "treatment": "介入", "covariates": ("ｼﾞｯｹﾝ",)},
        ),
    ],
)
def test_names_in_english_and_japanese_are_understood(columns, expected):
    assert infer(*columns).mapping == expected


def test_the_order_of_the_columns_does_not_matter():
    names = ["id:id", "w:binary", "y", "年:count"]
    assert infer(*names).mapping == infer(*reversed(names)).mapping


@pytest.mark.parametrize(
    "name",
    [
        "score_after", "post_score", "followup_visits", "bp_follow_up", "PostTest", "endline_income", "介入後血圧",
        "来店後アンケート", "後_点数", "事後満足度合い", "血圧(後)", "追跡調査",
    ],
)  # fmt: skip
def test_a_covariate_measured_after_the_treatment_is_shown_with_a_warning_and_not_mapped(name):
    inference = infer("y", "w:binary", "x", column(f"{name}:category"))
    assert inference.mapping["covariates"] == ("x",)
    warned = [found for found in inference.candidates["covariates"] if found.column == name]
    assert len(warned) == 1
    assert "after the treatment" in warned[0].reasons[0]
    assert any(name in note for note in inference.notes)


@pytest.mark.parametrize(
    "name", ["前後差なし", "午後来訪", "posture", "postal_area", "afternoon", "直後以外でない前日"]
)
def test_a_name_that_only_looks_late_is_a_covariate(name):
    assert name in infer("y", "w:binary", name).mapping["covariates"]


def test_a_mark_or_an_empty_cell_may_be_the_treatment_and_plays_no_other_role():
    mark = column("キャンペーン:category", levels=("○",), distinct=1, missing=181)
    guess = infer("店舗:id", "週:category", mark, "売上")
    assert (guess.mapping["treatment"], guess.mapping["y"]) == ("キャンペーン", "売上")
    assert "a mark or is empty" in str(guess.candidates["treatment"][0].reasons[-1])
    constant = column("キャンペーン:category", levels=("全店",), distinct=1, missing=181)
    assert "treatment" not in infer("店舗:id", "週:category", constant, "売上").mapping
    assert "y" not in infer("w:binary", column("sales:category", levels=("x",), distinct=1, missing=9)).mapping


def test_ids_dates_free_text_and_constants_are_no_covariates():
    constant = column("country:category", distinct=1)
    many = column("municipality:category", distinct=1700)
    many = Column(**{**{name: getattr(many, name) for name in many.__slots__}, "levels": ()})
    inference = infer("y", "w:binary", "x", "code:id", "birthday:date", "comment:text", constant, many)
    assert inference.mapping["covariates"] == ("x",)
    for name in ("code", "birthday", "comment", "country", "municipality"):
        assert any(name in note for note in inference.notes)


def test_what_is_missing_is_said_and_columns_that_could_be_it_are_offered():
    inference = infer("a", "b:binary", "c:category")
    assert inference.missing == ("y", "treatment")
    assert [found.column for found in inference.candidates["y"]] == ["a", "b"]
    assert [found.column for found in inference.candidates["treatment"]] == ["b"]
    assert all(found.confidence < 0.5 for found in inference.candidates["y"])


def test_a_staggered_design_needs_no_treatment_column():
    inference = infer("unit:id", "year:count", "first_treat:count", "y")
    assert inference.missing == ()


def test_a_cohort_without_time_is_not_mapped():
    assert "cohort" not in infer("y", "w:binary", "cohort:count").mapping


def test_values_that_do_not_suit_a_role_outweigh_the_name():
    assert "treatment" not in infer("y", "treatment:text").mapping
    assert "y" not in infer("w:binary", "y:text").mapping
    assert "pscore" not in infer("y", "w:binary", column("pscore", minimum=-1.0, maximum=2.0)).candidates


@pytest.mark.parametrize("name", ["z:binary", "weights:count", "latitude", "cluster:id", "mediator", "cost:count"])
def test_a_role_that_changes_what_is_estimated_is_left_to_the_client(name):
    inference = infer("y", "w:binary", "x", name)
    plain = name.partition(":")[0]
    assert inference.mapping == {"y": "y", "treatment": "w", "covariates": ("x",)}
    assert any(plain in note and "Map them as appropriate" in note for note in inference.notes)


def test_an_instrument_that_says_so_is_mapped():
    assert infer("y", "w:binary", "instrument:binary").mapping["instrument"] == ("instrument",)
    assert infer("y", "w:binary", "操作変数:binary").mapping["instrument"] == ("操作変数",)


def test_a_second_outcome_is_no_covariate():
    inference = infer("売上", "利益", "w:binary", "x")
    assert inference.mapping["y"] == "売上"
    assert inference.mapping["covariates"] == ("x",)


def test_no_column_plays_two_roles_and_the_mapping_is_a_valid_request():
    names = ["id:id", "y", "outcome", "w:binary", "treated:binary", "year:count", "month:count", "x", "post:binary"]
    mapping = infer(*names).to_json()["mapping"]
    used = [name for given in mapping.values() for name in ([given] if isinstance(given, str) else given)]
    assert len(used) == len(set(used))
    request = parse_model(AnalyzeRequest, json.loads(json.dumps({"dataset_id": "d", "mapping": mapping})))
    roles, aliases = request.roles()
    assert set(roles) == set(mapping)
    assert aliases == {}


def test_whole_numbers_whose_names_are_of_codes_are_reported() -> None:
    codes = [column("region:count", distinct=8), column("都道府県コード:id", dtype="int64", distinct=47)]
    notes = " ".join(infer("y", "w:binary", "age:count", "store_id:id", *codes).notes)
    assert "may be category codes: region. They enter as amounts unless options.categorical names them." in notes
    assert "among the identifiers (possibly 都道府県コード) can be covariates" in notes
    plain = " ".join(infer("y", "w:binary", "age:count", column("region:count", distinct=400)).notes)
    assert "codes" not in plain


def test_the_answer_fits_the_contract():
    answer = infer("店舗ID:id", "y", "w:binary", "介入後:real", "x:category").to_json()
    InferenceModel.model_validate({"dataset_id": "d", **json.loads(json.dumps(answer, allow_nan=False))})


def test_no_columns_are_no_error():
    assert infer().missing == ("y", "treatment")


def test_the_latest_of_a_numbered_series_is_the_outcome_if_the_treatment_is_known_and_no_covariate(tmp_path) -> None:
    from cqox.datasets import Limits, ReadOptions, infer_roles, read_table

    rows = ["treat,age,re74,re75,re78"]
    rows += [
        f"{number % 2},{20 + number % 30},{number * 7 % 13}.5,{number * 5 % 11}.5,{number * 3 % 17}.5"
        for number in range(60)
    ]
    path = tmp_path / "nsw.csv"
    path.write_text("\n".join(rows))
    found = infer_roles(read_table(path, name="nsw", limits=Limits(), options=ReadOptions()).columns)
    assert found.missing == ()
    assert found.mapping["y"] == "re78"
    assert any("'re78' was mapped as the outcome" in note for note in found.notes)
    assert set(found.mapping["covariates"]) == {"age", "re74", "re75"}
