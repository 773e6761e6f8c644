import json
from pathlib import Path

import numpy as np
import pytest

from cqox.analysis.run import Finished, analyze
from cqox.contract import AnalyzeRequest, parse_model
from cqox.datasets import Limits, ReadOptions, read_table, write_parquet
from cqox.errors import InvalidRequest


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(1)
    score = rng.normal(50, 10, 1500).round(2)
    passed = score >= 55
    took = rng.random(1500) < np.where(passed, 0.9, 0.1)
    wage = 20 + 0.1 * score + 3 * took + rng.standard_normal(1500)
    folder = tmp_path_factory.mktemp("rd")
    lines = ["点数,合格,受講,賃金"]
    lines += [f"{s},{int(p)},{int(t)},{w:.4f}" for s, p, t, w in zip(score, passed, took, wage, strict=True)]
    (folder / "t.csv").write_text("\n".join(lines), encoding="utf-8")
    table = read_table(folder / "t.csv", name="t", limits=Limits(), options=ReadOptions())
    write_parquet(table, folder / "t.parquet")
    return folder / "t.parquet"


def run(table: Path, mapping: dict[str, object], **options: object) -> Finished:
    request = parse_model(AnalyzeRequest, {"dataset_id": "t", "mapping": mapping, "options": options})
    finished = analyze(table, request, threads=1, on_step=lambda _: None)
    json.dumps(finished.report, allow_nan=False)
    json.dumps(finished.specs, allow_nan=False)
    return finished


def test_a_score_and_its_cutoff_alone_give_the_density_test_and_say_that_there_is_no_effect(table: Path) -> None:
    finished = run(table, {"running": "点数", "cutoff": 55})
    report = finished.report
    by_name = {each["name"]: each for each in report["estimates"]}
    assert by_name["rd_density_test"]["status"] == "ok"
    assert 0 < by_name["rd_density_test"]["p_value"] < 1
    others = [each for name, each in by_name.items() if name != "rd_density_test"]
    assert all(each["status"] == "skipped" and each["reason"] for each in others)
    assert report["status"] == "ok"
    assert report["decision"]["verdict"] == "HOLD"
    assert report["decision"]["primary"] is None
    assert "No effect was estimated" in report["decision"]["reasons"][0]
    assert report["gates"]["manipulation"]["status"] == "pass"
    assert set(finished.specs) == {"score_density"}
    assert finished.rows_used == 1500


def test_an_outcome_makes_it_a_sharp_discontinuity_that_decides(table: Path) -> None:
    finished = run(table, {"y": "賃金", "running": "点数", "cutoff": 55})
    assert finished.report["decision"]["primary"] == "rd_local_linear"
    assert {"discontinuity", "score_density", "forest"} <= set(finished.specs)


def test_a_treatment_decides_between_sharp_and_fuzzy(table: Path) -> None:
    sharp = run(table, {"y": "賃金", "treatment": "合格", "running": "点数", "cutoff": 55})
    fuzzy = run(table, {"y": "賃金", "treatment": "受講", "running": "点数", "cutoff": 55})
    assert sharp.report["decision"]["primary"] == "rd_local_linear"
    assert fuzzy.report["decision"]["primary"] == "rd_fuzzy"
    found = next(each for each in fuzzy.report["estimates"] if each["name"] == "rd_fuzzy")
    assert found["ci_lower"] < 3 < found["ci_upper"]


def test_a_bandwidth_can_be_asked_for(table: Path) -> None:
    report = run(table, {"y": "賃金", "running": "点数", "cutoff": 55}, rd_bandwidth=4).report
    found = next(each for each in report["estimates"] if each["name"] == "rd_local_linear")
    assert found["diagnostics"]["h"] == pytest.approx(4)
    with pytest.raises(InvalidRequest):
        run(table, {"y": "賃金", "running": "点数", "cutoff": 55}, rd_bandwidth=0)


def test_a_cutoff_beyond_the_score_is_reported(table: Path) -> None:
    report = run(table, {"y": "賃金", "running": "点数", "cutoff": 500}).report
    found = next(each for each in report["estimates"] if each["name"] == "rd_local_linear")
    assert "No row has '点数' at or above the cutoff 500" in found["reason"]
    assert report["gates"]["manipulation"]["status"] == "not_applicable"


def test_all_rows_another_order_and_another_kernel_can_be_asked_for(table: Path) -> None:
    mapping = {"y": "賃金", "running": "点数", "cutoff": 55}
    report = run(table, mapping, rd_bandwidth="all", rd_order=2).report
    found = next(each for each in report["estimates"] if each["name"] == "rd_local_linear")
    assert (sum(found["diagnostics"]["N_h"]), found["diagnostics"]["order"]) == (1500, 2)
    report = run(table, mapping, rd_kernel="uniform", rd_bias_bandwidth=9).report
    found = next(each for each in report["estimates"] if each["name"] == "rd_local_linear")
    assert (found["diagnostics"]["kernel"], found["diagnostics"]["b"]) == ("uniform", pytest.approx(9))
    for wrong in ({"rd_bandwidth": "every"}, {"rd_order": 9}, {"rd_kernel": "gaussian"}, {"rd_bias_bandwidth": 0}):
        with pytest.raises(InvalidRequest):
            run(table, mapping, **wrong)
