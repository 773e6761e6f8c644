import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cqox.analysis.preview import preview
from cqox.analysis.run import analyze
from cqox.contract import AnalyzeRequest, Preview, parse_model
from cqox.contract.messages import codes, translate_document
from cqox.datasets import Limits, ReadOptions, read_table, sample_names, sample_path, write_parquet
from cqox.errors import InvalidRequest, UnusableData
from cqox.estimators import catalog
from tests.studies.catalog import STUDIES
from tests.studies.study import Study

SAMPLES = {
    "test": {"y": "y", "treatment": "w", "unit_id": "id", "covariates": ["x1", "x2", "x3", "x4"]},
    "mini_retail": {"y": "売上", "treatment": "キャンペーン", "unit_id": "店舗ID", "time": "週"},
}


def asked(mapping: Mapping[str, object], **options: object) -> AnalyzeRequest:
    return parse_model(AnalyzeRequest, {"dataset_id": "t", "mapping": dict(mapping), "options": options})


def shown(path: Path, mapping: Mapping[str, object], **options: object) -> dict[str, object]:
    found = json.loads(json.dumps(preview(path, asked(mapping, **options), threads=1), allow_nan=False))
    Preview.model_validate({"dataset_id": "t", **found})
    return found


def stored(folder: Path, source: Path) -> Path:
    path = folder / "t.parquet"
    write_parquet(read_table(source, name="t", limits=Limits(), options=ReadOptions()), path)
    return path


def table(folder: Path, **columns: object) -> Path:
    rows = zip(*columns.values(), strict=True)
    lines = [",".join(columns), *(",".join("" if cell is None else str(cell) for cell in row) for row in rows)]
    source = folder / "t.csv"
    source.write_text("\n".join(lines))
    return stored(folder, source)


def trial(folder: Path, rows: int = 200) -> Path:
    number = np.arange(rows)
    return table(
        folder, y=[None if each % 20 == 0 else each * 37 % 11 for each in number.tolist()],
        w=(number * 7 % 3 == 0).astype(int).tolist(),
        x=[None if each % 25 == 0 else each * 13 % 40 for each in number.tolist()],
        arm=["abc"[each % 3] for each in number.tolist()], weight=[int(each % 10 > 0) for each in number.tolist()],
    )  # fmt: skip


def assert_agrees(path: Path, mapping: Mapping[str, object], options: Mapping[str, object]) -> None:
    """A preview says what the report of the same request says."""
    early = shown(path, mapping, **options)
    report = json.loads(json.dumps(analyze(path, asked(mapping, **options), threads=1, on_step=lambda _: None).report))
    main = early["contrasts"][early["main"]]
    assert main["primary"] == report["decision"]["primary"]
    assert main["primary_rule"] == report["decision"]["primary_rule"]
    assert (early["mapping"], early["options"]) == (report["mapping"], report["options"])
    assert early["findings"] == report["findings"]
    assert set(early["notes"]) <= set(report["notes"])
    if report["identification"] is not None:
        assert main["design"] == report["identification"]["design"]
    estimates = {(each["name"], each["contrast"]): each for each in report["estimates"]}
    for contrast in early["contrasts"]:
        chosen = estimates[contrast["primary"], contrast["contrast"]]
        assert contrast["rows"]["kept"] == chosen["n"]
        assert contrast["rows"]["kept"] + contrast["rows"]["dropped"] == contrast["rows"]["read"]
        assert contrast["statement"]
        for planned in contrast["estimators"]:
            made = estimates[planned["name"], contrast["contrast"]]
            assert planned["runs"] or (made["status"], made["reason"]) == ("skipped", planned["reason"])


def test_every_sample_is_previewed_here() -> None:
    assert set(SAMPLES) == set(sample_names())


@pytest.mark.parametrize("name", SAMPLES)
def test_a_preview_says_of_a_sample_what_its_report_says(name: str, tmp_path: Path) -> None:
    assert_agrees(stored(tmp_path, sample_path(name)), SAMPLES[name], {})


_FAMILIES = {study.family: study for study in reversed(STUDIES)}


@pytest.mark.parametrize("study", _FAMILIES.values(), ids=_FAMILIES.keys())
def test_a_preview_says_of_every_design_what_its_report_says(study: Study, tmp_path: Path) -> None:
    source = tmp_path / "study.csv"
    study.generate(np.random.default_rng(3)).write_csv(source)
    assert_agrees(stored(tmp_path, source), study.mapping, study.options)


def test_reports_and_previews_agree_on_levels_weights_gaps_and_rows_left_out(tmp_path: Path) -> None:
    path = trial(tmp_path)
    mapping = {"y": "y", "treatment": "arm", "covariates": ["x"], "weights": "weight"}
    options = {"drop_rows": [{"rows": [1, 2, 3]}], "reference_level": "b"}
    assert_agrees(path, mapping, options)
    contrast = shown(path, mapping, **options)["contrasts"][0]
    assert contrast["contrast"] == "a vs b"
    found = {(each["code"], each["role"]): each["rows"] for each in contrast["rows"]["reasons"]}
    assert found["dropped_by_options", None] == 3
    assert {"other_levels", "zero_weight", "missing_value"} == {code for code, _ in found} - {"dropped_by_options"}


def test_rows_arms_and_power_of_a_trial(tmp_path: Path) -> None:
    found = shown(trial(tmp_path), {"y": "y", "treatment": "w", "covariates": ["x"]}, assignment="randomized",
                  minimum_effect=0.1)  # fmt: skip
    (contrast,) = found["contrasts"]
    assert contrast["rows"]["read"] == 200
    assert [(each["columns"], each["rows"], each["alone"]) for each in contrast["rows"]["reasons"]] == [
        (["y"], 10, 8), (["x"], 8, 6),
    ]  # fmt: skip
    assert contrast["rows"]["kept"] == sum(arm["rows"] for arm in contrast["arms"]) == 184
    assert [arm["treated"] for arm in contrast["arms"]] == [False, True]
    assert contrast["statement"].startswith("A trial with 33")
    power = contrast["power"]
    assert power["effect"] > 0.1
    assert power["minimum_detectable"] is False
    assert 0 < power["minimum_power"] < 0.8
    assert power["relative"] == pytest.approx(power["effect"] / power["baseline"])


def test_sentences_are_translated_by_their_pointers(tmp_path: Path) -> None:
    found = shown(trial(tmp_path), {"y": "y", "treatment": "w"})
    assert {"/contrasts/0/statement", "/contrasts/0/power/headline", "/contrasts/0/rows/reasons/0/message"} <= set(
        found["messages"]
    )
    translate_document(found, found["messages"], "ja")
    assert "比較である" in found["contrasts"][0]["statement"]


def test_every_sentence_of_a_preview_has_a_japanese_one() -> None:
    own = [code for code in codes("en") if code.startswith("preview.")]
    assert own == [code for code in codes("ja") if code.startswith("preview.")]


@pytest.mark.parametrize(
    ("mapping", "options", "error"),
    [
        ({"y": "yy", "treatment": "w"}, {}, InvalidRequest),
        ({"y": "y", "treatment": "w"}, {"assumes": ["no_such"]}, InvalidRequest),
        ({"y": "y", "treatment": "w"}, {"primary": "rd_density_test"}, InvalidRequest),
        ({"y": "y", "treatment": "same"}, {}, UnusableData),
    ],
)
def test_what_the_analysis_refuses_a_preview_refuses_with_the_same_words(
    tmp_path: Path, mapping: dict[str, str], options: dict[str, object], error: type[Exception]
) -> None:
    path = table(tmp_path, y=[1, 2, 4, 3], w=[0, 1, 0, 1], same=[1, 1, 1, 1])
    with pytest.raises(error) as refused:
        shown(path, mapping, **options)
    with pytest.raises(error) as later:
        analyze(path, asked(mapping, **options), threads=1, on_step=lambda _: None)
    assert (str(refused.value), refused.value.field) == (str(later.value), later.value.field)


def test_nothing_is_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> object:
        raise AssertionError("an estimator ran")

    monkeypatch.setattr("cqox.estimators.estimator.Estimator.run", fail)
    assert (
        shown(trial(tmp_path), {"y": "y", "treatment": "w", "covariates": ["x"]})["contrasts"][0]["primary"] == "aipw"
    )


def test_a_rule_that_raises_is_the_reason_of_its_estimator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(plan: object) -> None:
        raise MemoryError

    entries = tuple(replace(entry, rule=broken) if entry.name == "aipw" else entry for entry in catalog())
    monkeypatch.setattr("cqox.analysis.chosen.catalog", lambda: entries)
    found = shown(trial(tmp_path), {"y": "y", "treatment": "w", "covariates": ["x"]})["contrasts"][0]
    planned = next(each for each in found["estimators"] if each["name"] == "aipw")
    assert (planned["runs"], "memory" in planned["reason"]) == (False, True)
