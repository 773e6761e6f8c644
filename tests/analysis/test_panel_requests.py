"""Panels with few treated units and interrupted series, all the way from a table to a report."""

import json
from pathlib import Path

import numpy as np
import pytest

from cqox.analysis.run import Finished, analyze
from cqox.contract import AnalyzeRequest, parse_model
from cqox.datasets import Limits, ReadOptions, read_table, write_parquet
from tests.estimators.designs import factor_panel, series


def analyzed(folder: Path, lines: list[str], mapping: dict[str, object], **options: object) -> Finished:
    source = folder / "table.csv"
    source.write_text("\n".join(lines), encoding="utf-8")
    write_parquet(read_table(source, name="t", limits=Limits(), options=ReadOptions()), folder / "t.parquet")
    request = parse_model(AnalyzeRequest, {"dataset_id": "t", "mapping": mapping, "options": options})
    finished = analyze(folder / "t.parquet", request, threads=1, on_step=lambda _: None)
    json.dumps([finished.report, finished.specs], allow_nan=False)
    return finished


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    data = factor_panel(treated=1)
    lines = ["県,年度,売上,施策,price"]
    for unit, time, y, t in zip(data.unit, data.time, data.y, data.treatment, strict=True):
        lines.append(f"県{unit:02d},{1990 + time},{y:.6f},{t:.0f},{time * 7 % 11 + time / 3:.3f}")
    mapping = {"y": "売上", "unit_id": "県", "time": "年度", "treatment": "施策"}
    return analyzed(tmp_path_factory.mktemp("states"), lines, mapping)


def test_one_treated_unit_is_decided_by_synthetic_differences(states: Finished):
    decision = states.report["decision"]
    assert decision["primary"] == "synthetic_did"
    assert "few treated units" in decision["primary_rule"]
    assert states.report["gates"]["donor_fit"]["status"] == "pass"
    assert "synthetic_control" in states.specs
    assert not any("covariates" in note for note in states.report["notes"])


def test_a_random_start_is_noted_as_unused_by_a_synthetic_control(tmp_path: Path):
    data = factor_panel(treated=1)
    lines = ["unit,time,y,treated"]
    for unit, time, y, t in zip(data.unit, data.time, data.y, data.treatment, strict=True):
        lines.append(f"u{unit},{time},{y:.6f},{t:.0f}")
    mapping: dict[str, object] = {"y": "y", "unit_id": "unit", "time": "time", "treatment": "treated"}
    chosen = ["synthetic_did", "did_2x2_block"]
    report = analyzed(tmp_path, lines, mapping, estimators=chosen, assignment="randomized").report
    assert report["decision"]["primary"] == "synthetic_did"
    assert any("for options.primary: did_2x2_block." in note for note in report["notes"])


def test_its_donors_have_their_names(states: Finished):
    estimate = next(row for row in states.report["estimates"] if row["name"] == "synthetic_control")
    donors = [row["unit"] for row in estimate["diagnostics"]["donor_weights"]]
    assert donors
    assert all(name.startswith("県") and name != "県00" for name in donors)
    assert estimate["standard_error"] is None
    assert estimate["ci_lower"] < 2 < estimate["ci_upper"]


@pytest.mark.parametrize("how", [{"intervention_time": 61}, {"post": "after"}])
def test_a_series_alone_is_decided_by_its_own_trend(tmp_path: Path, how: dict[str, object]):
    data = series(dependence=0.2)
    lines = ["week,sales,after,price"]
    lines += [
        f"{1 + time},{y:.6f},{int(time >= 60)},{time * 7 % 11 + time / 3:.3f}"
        for time, y in zip(data.time, data.y, strict=True)
    ]
    finished = analyzed(tmp_path, lines, {"y": "sales", "time": "week", **how})
    assert finished.report["decision"]["primary"] == "interrupted_series"
    estimate = next(row for row in finished.report["estimates"] if row["name"] == "interrupted_series")
    assert estimate["estimate"] == pytest.approx(2.0, abs=1.5)
    assert "interrupted_series" in finished.specs
    assert any("Candidate covariates: price" in note for note in finished.report["notes"])


def cohorts(first: dict[str, str], periods: list[str], *, twice: bool = False) -> list[str]:
    """Ten units each of so many first treated periods over these periods, with an effect of 2."""
    rng = np.random.default_rng(0)
    lines = ["unit,when,first,sales"]
    for group, start in first.items():
        for unit in range(10):
            for place, period in enumerate(periods):
                after = start in periods and place >= periods.index(start)
                lines.append(f"{group}{unit},{period},{start},{place + 2 * after + rng.normal() / 5:.4f}")
    return [*lines, *lines[1:4]] if twice else lines


STAGGERED = {"y": "sales", "unit_id": "unit", "time": "when", "cohort": "first"}
MONTHS = ["200310", "200311", "200312", "200401", "200402", "200403"]


def study(finished: Finished) -> dict[str, object]:
    return next(row for row in finished.report["estimates"] if row["name"] == "did_callaway_santanna")


def test_a_cohort_may_say_never_in_words(tmp_path: Path):
    years = [str(year) for year in range(2001, 2007)]
    found = analyzed(tmp_path, cohorts({"a": "2003", "b": "2005", "c": "never"}, years), STAGGERED)
    assert study(found)["estimate"] == pytest.approx(2, abs=0.3)
    assert "cohort 'first': 'never' (60 rows) means never treated." in found.report["notes"]


def test_months_in_six_digits_make_steps_of_months(tmp_path: Path):
    found = analyzed(tmp_path, cohorts({"a": "200312", "b": "200402", "c": "0"}, MONTHS), STAGGERED)
    events = [row["event"] for row in study(found)["diagnostics"]["dynamic"]["averages"]]
    assert events == list(range(-3, 4))
    assert any("read as months" in note for note in found.report["notes"])


def test_rows_that_repeat_leave_nothing_to_decide_on(tmp_path: Path):
    found = analyzed(tmp_path, cohorts({"a": "200312", "b": "200402", "c": "0"}, MONTHS, twice=True), STAGGERED)
    assert study(found)["status"] == "skipped"
    gate = found.report["gates"]["design"]
    assert gate["status"] == "fail"
    assert "'cohort'" in gate["reason"]
    assert found.report["decision"]["verdict"] == "HOLD"


def test_a_cohort_may_say_never_by_infinity(tmp_path: Path):
    years = [str(year) for year in range(2001, 2007)]
    found = analyzed(tmp_path, cohorts({"a": "2003", "b": "2005", "c": "inf"}, years), STAGGERED)
    assert study(found)["estimate"] == pytest.approx(2, abs=0.3)
    assert "cohort 'first': infinity (60 rows) means never treated." in found.report["notes"]


def surveys(*, ids: bool = False) -> list[str]:
    """People of forty states asked once each in six years; states start treatment, with an effect of 2."""
    rng = np.random.default_rng(1)
    lines = ["year,first,age,sales,state,treated,after" + (",person" if ids else "")]
    for person in range(3_000):
        state, year = int(rng.integers(0, 40)), int(rng.integers(2001, 2007))
        first = (0, 2003, 2005)[state % 3]
        effect = 2.0 if first and year >= first else 0.0
        age = rng.normal()
        value = year - 2001 + (first == 2003) + age + effect + rng.normal()
        csv_row = f"{year},{first},{age:.4f},{value:.4f},s{state},{int(effect > 0)},{int(year >= 2003)}"
        lines.append(csv_row + (f",p{person}" if ids else ""))
    return lines


@pytest.mark.parametrize("ids", [False, True])
def test_people_asked_once_each_are_compared_as_repeated_cross_sections(tmp_path: Path, ids: bool):
    mapping = {"y": "sales", "time": "year", "cohort": "first", "covariates": ["age"], "cluster": "state"}
    found = analyzed(tmp_path, surveys(ids=ids), {**mapping, **({"unit_id": "person"} if ids else {})})
    csv_row = study(found)
    assert csv_row["estimate"] == pytest.approx(2, abs=0.25)
    assert csv_row["se_method"] == "CRV1 (influence function)"
    assert csv_row["diagnostics"]["design"] == "repeated cross-sections"
    decision, gates = found.report["decision"], found.report["gates"]
    assert decision["primary"] == "did_callaway_santanna"
    assert gates["design"]["status"] == "pass"
    assert gates["pre_trends"]["status"] == "pass"
    assert decision["verdict"] in ("GO", "CANARY")
    assert found.report["diagnostics"]["event_study"]["pre_trends"]["leads"] == [-3, -2, -1]
    assert [row["lead"] for row in found.report["diagnostics"]["pre_trends"]["leads"]] == [-1, -2, -3]
    assert {"event_study", "event_means", "forest"} <= set(found.specs)
    assert any("repeated cross-sections" in note for note in found.report["notes"])


def test_states_whose_people_start_treatment_together_need_no_cohort(tmp_path: Path):
    mapping = {"y": "sales", "time": "year", "treatment": "treated", "cluster": "state"}
    found = analyzed(tmp_path, surveys(), mapping)
    assert study(found)["estimate"] == pytest.approx(2, abs=0.3)
    assert found.report["decision"]["primary"] == "did_callaway_santanna"
    groups = [group["label"] for group in found.report["diagnostics"]["event_means"]["groups"]]
    assert groups == ["treated from 2003", "treated from 2005", "never treated"]
    alone = analyzed(tmp_path, surveys(), {"y": "sales", "time": "year", "treatment": "treated"})
    assert study(alone)["status"] == "skipped"
    assert "map 'cohort'" in study(alone)["reason"]


def test_two_groups_asked_in_many_years_have_a_test_of_their_trends_before(tmp_path: Path):
    lines = surveys()
    head, rest = lines[0], [line for line in lines[1:] if line.split(",")[1] != "2005"]
    group = [head + ",group", *(f"{line},{int(line.split(',')[1] == '2003')}" for line in rest)]
    found = analyzed(tmp_path, group, {"y": "sales", "time": "year", "treatment": "group", "post": "after"})
    assert found.report["decision"]["primary"] == "did_2x2"
    assert study(found)["estimate"] == pytest.approx(2, abs=0.3)
    gate = found.report["gates"]["pre_trends"]
    assert gate["status"] in ("pass", "warn")
    assert gate["value"] == found.report["diagnostics"]["pre_trends"]["p_value"]
