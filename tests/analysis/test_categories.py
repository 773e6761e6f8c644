"""Codes against the same data as words, and against statsmodels' C(...)."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

from cqox.analysis.prepare import prepare
from cqox.analysis.run import analyze
from cqox.contract import AnalyzeRequest, Options, parse_model
from cqox.datasets import Limits, ReadOptions, describe, load_columns, read_table, write_parquet
from cqox.errors import InvalidRequest

ROWS = 600
MAPPING = {"y": "y", "treatment": "w", "unit_id": "id", "covariates": ["x", "region", "icd code"]}
CATEGORICAL = ["region", "icd code"]

type Table = Callable[[pd.DataFrame], Path]


@pytest.fixture
def table(tmp_path: Path) -> Table:
    def kept(frame: pd.DataFrame) -> Path:
        source, path = tmp_path / "t.csv", tmp_path / "t.parquet"
        frame.to_csv(source, index=False)
        write_parquet(read_table(source, name="t", limits=Limits(), options=ReadOptions()), path)
        return path

    return kept


@pytest.fixture(scope="module")
def codes() -> pd.DataFrame:
    """A treatment that is commoner where outcomes are better, by regions whose numbers mean nothing."""
    random = np.random.default_rng(20_240_701)
    region, icd = random.integers(1, 9, ROWS), random.integers(10, 22, ROWS)
    better = np.array([3.0, -2.0, 1.0, 5.0, -4.0, 2.0, 0.5, 1.5])[region - 1]
    x = random.normal(size=ROWS)
    w = (random.random(ROWS) < 1 / (1 + np.exp(-0.4 * x - 0.3 * better))).astype(int)
    y = 2 * w + x + better + (icd == 15) + random.normal(size=ROWS)
    return pd.DataFrame({"id": range(ROWS), "y": y, "w": w, "x": x, "region": region, "icd\ncode": icd})


def report(path: Path, mapping: dict[str, object], **options: object) -> dict[str, object]:
    request = parse_model(AnalyzeRequest, {"dataset_id": "t", "mapping": mapping, "options": options})
    return analyze(path, request, threads=1, on_step=lambda _: None).report


def comparable(found: dict[str, object]) -> str:
    kept = {name: found[name] for name in ("estimates", "gates", "decision", "diagnostics")}
    for estimate in kept["estimates"]:
        del estimate["seconds"]
    return json.dumps(kept)


@pytest.mark.parametrize("missing", ["listwise", "indicator"])
def test_codes_give_every_number_that_the_same_data_give_as_words(
    table: Table, codes: pd.DataFrame, missing: str
) -> None:
    gaps = codes.astype({"region": "Int64"})
    gaps.loc[gaps.index % 50 == 3, "region"] = pd.NA
    found = report(table(gaps), MAPPING, categorical=CATEGORICAL, missing=missing)
    words = gaps.assign(
        region=("r" + gaps["region"].astype("string")), **{"icd\ncode": "c" + gaps["icd\ncode"].astype(str)}
    )
    expected = report(table(words), MAPPING, missing=missing)
    assert found["options"]["categorical"] == CATEGORICAL
    assert found["notes"][0] == (
        "As requested by options.categorical, region, icd code enter as levels, not as amounts."
    )
    assert found["notes"][1:] == expected["notes"]
    assert comparable(found).replace("region=", "region=r").replace("code=", "code=c") == comparable(expected)


def test_codes_in_a_propensity_model_of_its_own_are_levels_too(table: Table, codes: pd.DataFrame) -> None:
    mapping = {**MAPPING, "covariates": ["x"], "propensity_covariates": ["x", "region"]}
    chosen = ["ipw_ate", "aipw", "psm_att"]
    found = report(table(codes), mapping, categorical=["region"], estimators=chosen)
    words = codes.assign(region="r" + codes["region"].astype(str))
    expected = report(table(words), mapping, estimators=chosen)
    assert comparable(found).replace("region=", "region=r") == comparable(expected)


def test_a_declaration_moves_no_row_to_another_fold(table: Table, codes: pd.DataFrame) -> None:
    path = table(codes)
    columns = {column.name: column for column in describe(path).columns}
    roles = {"y": "y", "treatment": "w", "covariates": ("x", "region")}
    frame = load_columns(path, ["y", "w", "x", "region"])
    plain, declared = (
        prepare(frame, columns, roles, Options(categorical=asked)).contrasts[0].data for asked in (None, ["region"])
    )
    assert (plain.covariates.shape[1], declared.covariates.shape[1]) == (2, 8)
    np.testing.assert_array_equal(plain.row_key, declared.row_key)


def test_codes_agree_with_statsmodels_and_as_amounts_they_do_not_adjust(table: Table, codes: pd.DataFrame) -> None:
    fitted = smf.ols("y ~ w + x + C(region) + C(icd)", codes.rename(columns={"icd\ncode": "icd"})).fit(cov_type="HC1")
    path = table(codes)

    def ols(**options: object) -> dict[str, float]:
        return report(path, MAPPING, estimators=["ols_adjustment"], se="HC1", **options)["estimates"][0]

    found = ols(categorical=CATEGORICAL)
    assert found["estimate"] == pytest.approx(fitted.params["w"], rel=1e-12)
    assert found["standard_error"] == pytest.approx(fitted.bse["w"], rel=1e-12)
    assert abs(found["estimate"] - 2.0) < 0.3
    assert ols()["estimate"] > 3.0


def test_a_treatment_of_codes_is_compared_by_its_levels(table: Table, codes: pd.DataFrame) -> None:
    mapping = {"y": "y", "treatment": "region", "covariates": ["x"]}
    found = report(table(codes), mapping, categorical=["region"], estimators=["difference_in_means"], reference_level=2)
    assert [one["contrast"] for one in found["estimates"]] == [f"{code} vs 2" for code in (1, 3, 4, 5, 6, 7, 8)]


def test_codes_declared_as_an_instrument_are_a_column_for_each_level(table: Table, codes: pd.DataFrame) -> None:
    mapping = {"y": "y", "treatment": "w", "instrument": "region"}
    chosen = ["iv_2sls"]
    found = report(table(codes), mapping, categorical=["region"], estimators=chosen)
    words = codes.assign(region="r" + codes["region"].astype(str))
    assert comparable(found).replace("region=", "region=r") == comparable(
        report(table(words), mapping, estimators=chosen)
    )


def test_a_column_is_named_by_its_header_in_the_file_too(table: Table, codes: pd.DataFrame) -> None:
    found = report(table(codes), MAPPING, categorical=["icd\ncode"], estimators=["ols_adjustment"])
    assert found["notes"][0] == "As requested by options.categorical, icd code enters as levels, not as an amount."


def test_a_column_that_there_is_not_is_named_with_the_nearest(table: Table, codes: pd.DataFrame) -> None:
    with pytest.raises(
        InvalidRequest, match=r"no column 'regions' \(in options.categorical\). Did you mean region"
    ) as it:
        report(table(codes), MAPPING, categorical=["x", "regions"])
    assert it.value.field == "options.categorical"
    assert sorted(it.value.choices) == ["icd code", "id", "region", "w", "x", "y"]


@pytest.mark.parametrize(("role", "column"), [("y", "y"), ("running", "icd code"), ("weights", "icd code")])
def test_a_column_of_an_amount_is_no_category(table: Table, codes: pd.DataFrame, role: str, column: str) -> None:
    mapping = {"y": "y", "treatment": "w", role: column} | ({"cutoff": 15} if role == "running" else {})
    with pytest.raises(
        InvalidRequest, match=rf"'{column}' is mapped as {role}, which takes numbers and no categories. Remove it"
    ):
        report(table(codes), mapping, categorical=[column])


def test_a_column_without_a_role_is_reported_and_one_that_is_codes_anyhow_is_not(
    table: Table, codes: pd.DataFrame
) -> None:
    mapping = {"y": "y", "treatment": "w", "cluster": "region"}
    found = report(table(codes), mapping, categorical=["region", "icd code"], estimators=["difference_in_means"])
    plain = report(table(codes), mapping, estimators=["difference_in_means"])
    assert found["notes"][0] == "options.categorical names columns without a role, on which it has no effect: icd code."
    assert (found["notes"][1:], comparable(found)) == (plain["notes"], comparable(plain))


def test_covariates_that_look_like_codes_are_reported_and_left_as_they_are(table: Table, codes: pd.DataFrame) -> None:
    path = table(codes)
    chosen = ["ols_adjustment"]
    assert report(path, MAPPING, estimators=chosen)["notes"][0] == (
        "By their names and whole numbers, these covariates appear to be category codes, but they enter as amounts: "
        '["region", "icd code"]. List those that are codes in options.categorical.'
    )
    assert ': ["region"]. List' in report(path, MAPPING, estimators=chosen, categorical=["icd code"])["notes"][1]


def test_what_is_no_amount_or_different_in_most_rows_does_not_look_like_codes(
    table: Table, codes: pd.DataFrame
) -> None:
    plain = codes.assign(region=codes["region"] + 0.5, **{"icd\ncode": range(ROWS)})
    notes = report(table(plain), MAPPING, estimators=["ols_adjustment"])["notes"]
    assert not [note for note in notes if "codes" in note]
    two = codes.assign(region=codes["region"] > 4, **{"icd\ncode": codes["icd\ncode"] % 2})
    assert not [note for note in report(table(two), MAPPING, estimators=["ols_adjustment"])["notes"] if "codes" in note]
