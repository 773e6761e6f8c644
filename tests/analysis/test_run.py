import json
from dataclasses import replace
from pathlib import Path

import pytest

from cqox.analysis import opened
from cqox.analysis import run as run_module
from cqox.analysis.run import analyze
from cqox.analysis.steps import STEPS
from cqox.contract import AnalyzeRequest, EstimateEvent, parse_model
from cqox.contract.messages import codes
from cqox.datasets import Limits, ReadOptions, read_table, sample_path, write_parquet
from cqox.datasets.parquet_store import messages_file
from cqox.errors import InvalidRequest, UnusableData
from cqox.estimators import catalog


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rows = ["id,y,w,age,region"]
    for number in range(240):
        w, age = number * 7 % 3 == 0, 20 + number * 13 % 40
        rows.append(f"{number},{2.5 * w + age / 10 + number * 31 % 7},{int(w)},{age},{'NSE'[number % 3]}")
    source = tmp_path / "t.csv"
    source.write_text("\n".join(rows))
    write_parquet(read_table(source, name="t", limits=Limits(), options=ReadOptions()), tmp_path / "t.parquet")
    return tmp_path / "t.parquet"


@pytest.fixture
def infinite(tmp_path: Path) -> Path:
    source = tmp_path / "i.csv"
    source.write_text("y,w,x\n1,0,3\n2,1,Infinity\n3,0,5\n5,1,-inf\n4,0,2\n")
    write_parquet(read_table(source, name="i", limits=Limits(), options=ReadOptions()), tmp_path / "i.parquet")
    return tmp_path / "i.parquet"


def test_a_mapped_column_that_holds_infinity_is_refused_by_name_and_others_do_no_harm(infinite: Path) -> None:
    with pytest.raises(UnusableData, match="'x' has infinite values in 2 rows"):
        run(infinite, {"y": "y", "treatment": "w", "covariates": ["x"]})
    finished, _ = run(infinite, {"y": "y", "treatment": "w"})
    assert finished.rows_used == 5


def run(table: Path, mapping: dict[str, object], **options: object):
    progress: list[dict[str, object]] = []
    request = parse_model(AnalyzeRequest, {"dataset_id": "t", "mapping": mapping, "options": options})
    return analyze(table, request, threads=1, on_step=progress.append), progress


def noted(finished, code: str) -> list[dict[str, object]]:
    """Parameters of the notes of this code."""
    found = finished.report["messages"].items()
    return [known["params"] for where, known in found if where.startswith("/notes/") and known["code"] == code]


def test_a_report_holds_json_values_alone_and_one_estimate_for_each_estimator(table: Path) -> None:
    finished, _ = run(table, {"y": "y", "treatment": "w", "covariates": ["age", "region"]})
    json.dumps(finished.report, allow_nan=False)
    json.dumps(finished.specs, allow_nan=False)
    assert [estimate["name"] for estimate in finished.report["estimates"]] == [entry.name for entry in catalog()]
    assert (finished.rows, finished.rows_used) == (240, 240)


def test_every_step_is_reported_in_order_with_each_estimate_as_it_comes(table: Path) -> None:
    _, progress = run(table, {"y": "y", "treatment": "w"})
    steps = [step["step"] for step in progress]
    assert steps[0] == "read"
    assert steps[-1] == "figures"
    assert {step for step in steps if not step.startswith("estimate.")} == {*STEPS} - {"sums"}
    assert steps.index("estimate.difference_in_means") < steps.index("diagnostics")
    difference = next(step for step in progress if step["step"] == "estimate.difference_in_means")
    assert difference["status"] == "ok"
    assert isinstance(difference["estimate"], float)


def test_the_event_of_an_estimate_has_the_numbers_of_the_report_and_counts_to_the_end(table: Path) -> None:
    finished, progress = run(table, {"y": "y", "treatment": "region", "covariates": ["age"]})
    results = [step["result"] for step in progress if "result" in step]
    estimates = finished.report["estimates"]
    assert len(results) == len(estimates) == 2 * len(catalog())
    for result, estimate in zip(results, estimates, strict=True):
        own = {name: value for name, value in result.items() if name not in ("done", "planned")}
        assert own == {name: estimate[name] for name in own}
    assert [result["done"] for result in results] == list(range(1, len(estimates) + 1))
    assert {result["planned"] for result in results} == {len(estimates)}
    EstimateEvent.model_validate({**results[0], "label": "difference"})


def test_only_the_estimators_asked_for_run_and_the_primary_with_them(table: Path) -> None:
    finished, _ = run(
        table, {"y": "y", "treatment": "w", "covariates": ["age"]}, estimators=["ols_adjustment"], primary="aipw"
    )
    assert [estimate["name"] for estimate in finished.report["estimates"]] == ["ols_adjustment", "aipw"]
    assert finished.report["decision"]["primary"] == "aipw"


def test_an_estimator_that_does_not_exist_is_named_with_those_that_do(table: Path) -> None:
    with pytest.raises(InvalidRequest) as caught:
        run(table, {"y": "y", "treatment": "w"}, estimators=["aipww"])
    assert caught.value.choices[0] == "aipw"


def test_columns_that_could_be_adjusted_for_are_named_and_used_only_when_asked(table: Path) -> None:
    silent, _ = run(table, {"y": "y", "treatment": "w", "unit_id": "id"})
    assert "age" in " ".join(silent.report["notes"])
    assert "covariates" not in silent.report["mapping"]
    asked, _ = run(table, {"y": "y", "treatment": "w", "unit_id": "id"}, covariates="auto")
    assert set(asked.report["mapping"]["covariates"]) >= {"age", "region"}
    assert "id" not in asked.report["mapping"]["covariates"]


def sample(folder: Path) -> Path:
    write_parquet(read_table(sample_path("test"), name="test"), folder / "s.parquet")
    return folder / "s.parquet"


def test_a_request_that_leaves_out_what_the_arms_differ_by_is_never_go(tmp_path: Path) -> None:
    for assignment in ("unknown", "randomized", "unconfounded"):
        finished, _ = run(sample(tmp_path), {"y": "y", "treatment": "w"}, assignment=assignment)
        (finding,) = finished.report["findings"]
        assert (finding["code"], finding["columns"]) == ("arms-differ", ["x1", "x2", "x4"])
        assert all(name in finding["message"] for name in ("x1", "x2", "x3", "x4"))
        assert finding["message"] in finished.report["decision"]["reasons"]
        assert finished.report["decision"]["verdict"] == "CANARY"


def test_what_a_finding_proposes_can_be_sent_as_it_is(tmp_path: Path) -> None:
    table, mapping = sample(tmp_path), {"y": "y", "treatment": "w"}
    (finding,) = run(table, mapping)[0].report["findings"]
    remedied, _ = run(table, {**mapping, **finding["remedy"]["parameters"]["mapping"]}, assignment="unconfounded")
    assert remedied.report["findings"] == []
    assert remedied.report["decision"]["verdict"] == "GO"
    accepted, _ = run(table, mapping, assignment="randomized", accept=["arms-differ"])
    assert [each["accepted"] for each in accepted.report["findings"]] == [True]
    named, _ = run(table, mapping, post_treatment=["x1", "x2", "x4"])
    assert named.report["findings"] == []


def test_a_trial_is_go(tmp_path: Path) -> None:
    rows = ((n, n // 2) for n in range(400))
    lines = [f"{n % 2 + n * 31 % 7 / 7},{n % 2},{20 + half * 17 % 41},{'NSE'[half % 3]}" for n, half in rows]
    lines = ["y,w,age,region", *lines]
    finished, _ = run(kept(tmp_path, lines), {"y": "y", "treatment": "w"}, assignment="randomized")
    assert finished.report["decision"]["verdict"] == "GO"
    assert finished.report["findings"] == []


def test_the_headline_claims_no_effect_of_arms_that_do_not_overlap(tmp_path: Path) -> None:
    lines = [f"{n / 50 + n * 31 % 7 / 7},{int(n > 250 or n % 50 == 0)},{n}" for n in range(400)]
    table = kept(tmp_path, ["y,w,age", *lines])
    finished, _ = run(table, {"y": "y", "treatment": "w", "covariates": ["age"]}, assignment="unconfounded")
    assert finished.report["gates"]["overlap"]["status"] == "fail"
    assert (
        "It is not to be read as an effect, since these gates fail: overlap" in finished.report["decision"]["headline"]
    )


def test_the_headline_names_a_finding_that_keeps_the_verdict_at_canary(tmp_path: Path) -> None:
    lines = [f"{n % 2 + n * 0.6180339887 % 1:.6f},{n % 2},{20 + n // 2 * 17 % 41}" for n in range(400)]
    finished, _ = run(
        kept(tmp_path, ["y,w,age", *lines, *lines[:40]]), {"y": "y", "treatment": "w"}, assignment="randomized"
    )
    assert [each["code"] for each in finished.report["findings"] if each["severity"] == "caps"] == ["duplicate-rows"]
    assert finished.report["decision"]["headline"].endswith("may change this: duplicate-rows.")


def test_a_column_named_as_after_treatment_must_exist(table: Path) -> None:
    with pytest.raises(InvalidRequest, match="post_treatment") as caught:
        run(table, {"y": "y", "treatment": "w"}, post_treatment=["agee"])
    assert caught.value.choices[0] == "age"


def kept(folder: Path, lines: list[str]) -> Path:
    (folder / "k.csv").write_text("\n".join(lines), encoding="utf-8")
    table = read_table(folder / "k.csv", name="k", limits=Limits(), options=ReadOptions())
    write_parquet(table, folder / "k.parquet")
    return folder / "k.parquet"


def test_what_reading_made_of_a_mapped_column_is_in_the_report(tmp_path: Path) -> None:
    lines = ["rate,w,other", *(f"{3 + number % 7}%,{number % 2},{number}%" for number in range(60))]
    finished, _ = run(kept(tmp_path, lines), {"y": "rate", "treatment": "w"})
    progress = [note for note in finished.report["notes"] if "Percentages" in note]
    assert progress == ["'rate': Percentages were read as fractions: 5% is 0.05."]
    where = f"/notes/{finished.report['notes'].index(progress[0])}"
    assert finished.report["messages"][where]["params"]["note"]["code"] == "datasets.note-percentages"


def test_how_cells_were_parsed_is_in_the_report_and_other_notes_on_columns_are_not(tmp_path: Path) -> None:
    lines = ["y,w,x", *(f"{number % 7} kg,{number % 2},{'NA' if number == 5 else number}" for number in range(60))]
    path = kept(tmp_path, lines)
    mapping = {"y": "y", "treatment": "w", "covariates": ["x"]}
    finished, _ = run(path, mapping)
    assert "'y': The unit 'kg' was removed." in finished.report["notes"]
    assert not any("Read as missing" in note for note in finished.report["notes"])
    messages_file(path).unlink()  # CQOx 0.1.0 stored no codes
    older, _ = run(path, mapping)
    assert {"'y': The unit 'kg' was removed.", "'x': Read as missing: 'NA' (1)."} < set(older.report["notes"])


def test_every_note_on_parsing_has_a_sentence() -> None:
    assert set(codes("en")) >= opened._OF_VALUES


def test_rows_of_weight_0_are_no_missing_data(tmp_path: Path) -> None:
    lines = ["y,w,s", *(f"{number * 31 % 7 + number % 2},{number % 2},{number % 5 // 3}" for number in range(100))]
    finished, _ = run(kept(tmp_path, lines), {"y": "y", "treatment": "w", "weights": "s"})
    assert finished.report["gates"]["missingness"]["status"] == "pass"
    assert finished.rows_used == 40
    assert "60 rows have weight 0 and are excluded." in finished.report["notes"]


def test_a_column_that_is_constant_within_units_is_not_named_as_a_covariate_of_a_panel(tmp_path: Path) -> None:
    lines = ["id,t,w,start,age,y"]
    for unit in range(40):
        start = 4 + unit % 3 if unit % 2 else 9
        for t in range(1, 9):
            lines.append(f"{unit},{t},{int(t >= start)},{start},{unit * 7 % 11 + t},{(unit * 13 + t * 29) % 17 / 3}")
    table = kept(tmp_path, lines)
    panel, _ = run(table, {"y": "y", "treatment": "w", "unit_id": "id", "time": "t"})
    (hint,) = noted(panel, "analysis.candidate-covariates")
    assert "start" not in hint["columns"]
    assert "age" in hint["columns"]


def test_what_is_left_out_of_the_covariates_is_named_with_the_reason_whether_hinted_at_or_asked_for(
    tmp_path: Path,
) -> None:
    lines = ["y,w,x,again,flat"]
    for number in range(120):
        w, x = number * 7 % 3 == 0, number * 13 % 40 / 3
        y = 1 + w + x / 4 + number * 31 % 7
        lines.append(f"{y},{int(w)},{x},{y * 1000},7")
    table = kept(tmp_path, lines)
    hinted, _ = run(table, {"y": "y", "treatment": "w"})
    (hint,) = noted(hinted, "analysis.candidate-covariates")
    assert hint == {"columns": ["x"]}
    left = noted(hinted, "analysis.not-suggested")
    assert [note["reason"]["code"] for note in left] == ["analysis.constant", "analysis.redundant-with-outcome"]
    assert [column if isinstance(column, str) else column["text"] for note in left for column in note["columns"]] == [
        "flat", "again (correlation 1)"
    ]  # fmt: skip
    asked, _ = run(table, {"y": "y", "treatment": "w"}, covariates="auto")
    assert asked.report["mapping"]["covariates"] == ["x"]
    assert noted(asked, "analysis.not-taken") == left


def test_asking_for_covariates_where_there_are_none_is_answered(tmp_path: Path) -> None:
    lines = ["y,w,flat", *(f"{number * 31 % 7 + number % 2},{number % 2},7" for number in range(60))]
    finished, _ = run(kept(tmp_path, lines), {"y": "y", "treatment": "w"}, covariates="auto")
    assert "covariates" not in finished.report["mapping"]
    assert noted(finished, "analysis.no-covariate-taken") == [{}]


def test_who_reads_the_decision_alone_learns_of_a_refuter_that_contradicts_the_primary(tmp_path: Path) -> None:
    lines = ["y,w,x", *(f"{n * 37 % 101},{n * 7 % 13 % 2},{n * 13 % 40}" for n in range(300))]
    table, mapping = kept(tmp_path, lines), {"y": "y", "treatment": "w", "covariates": ["x"]}
    asked, _ = run(table, mapping, estimators=["ols_adjustment"], refute=40)
    assert asked.report["diagnostics"]["refutations"]["placebo_treatment"]["stands"] is False
    assert asked.report["gates"]["refutation"]["status"] == "warn"
    reasons = asked.report["decision"]["reasons"]
    assert any("The gate refutation warns" in reason and "placebo_treatment" in reason for reason in reasons)
    silent, _ = run(table, mapping, estimators=["ols_adjustment"])
    assert "refutation" not in silent.report["gates"]


def test_an_effect_that_is_there_passes_the_gate_on_refutations(table: Path) -> None:
    asked, _ = run(table, {"y": "y", "treatment": "w", "covariates": ["age"]}, estimators=["ols_adjustment"], refute=40)
    assert asked.report["gates"]["refutation"]["status"] == "pass"


def test_a_design_that_cannot_be_refuted_by_shuffling_says_so_in_the_gate(tmp_path: Path) -> None:
    lines = ["id,t,w,y"]
    for unit in range(40):
        for t in range(1, 7):
            lines.append(
                f"{unit},{t},{int(unit % 2 and t > 3)},{unit + t + 2 * (unit % 2 and t > 3) + unit * t % 5 / 7}"
            )
    panel, _ = run(kept(tmp_path, lines), {"y": "y", "treatment": "w", "unit_id": "id", "time": "t"}, refute=10)
    gate = panel.report["gates"]["refutation"]
    assert gate["status"] == "not_applicable"
    assert "depends on its design" in gate["reason"]


def test_aliases_are_reported_back(table: Path) -> None:
    finished, _ = run(table, {"outcome": "y", "T": "w"})
    assert "'outcome' is read as the role 'y'." in finished.report["notes"]


def test_an_estimator_that_raises_is_failed_and_the_others_stand(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(plan: object) -> object:
        raise ZeroDivisionError("by hand")

    entries = tuple(replace(entry, compute=broken) if entry.name == "ols_adjustment" else entry for entry in catalog())
    monkeypatch.setattr("cqox.analysis.chosen.catalog", lambda: entries)
    finished, _ = run(table, {"y": "y", "treatment": "w", "covariates": ["age"]})
    found = {estimate["name"]: estimate for estimate in finished.report["estimates"]}
    assert found["ols_adjustment"]["status"] == "failed"
    assert found["ols_adjustment"]["estimate"] is None
    assert "by hand" in found["ols_adjustment"]["reason"]
    assert found["difference_in_means"]["status"] == "ok"
    assert finished.report["errors"] == ["ols_adjustment: ZeroDivisionError: by hand"]


def test_a_skipped_estimate_has_a_reason_and_no_number(table: Path) -> None:
    finished, _ = run(table, {"y": "y", "treatment": "w"})
    skipped = [estimate for estimate in finished.report["estimates"] if estimate["status"] == "skipped"]
    assert skipped
    assert all(estimate["reason"] and estimate["estimate"] is None for estimate in skipped)


def test_a_table_larger_than_memory_gives_the_same_report(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mapping = {"y": "y", "treatment": "w", "covariates": ["age", "region"]}
    within, _ = run(table, mapping)
    monkeypatch.setattr("cqox.analysis.opened._MOST_CELLS", 0)
    monkeypatch.setattr("cqox.estimators.numerics.array_store._SMALLEST", 8)
    beyond, _ = run(table, mapping)
    for left, right in zip(within.report["estimates"], beyond.report["estimates"], strict=True):
        assert {**left, "seconds": None} == {**right, "seconds": None}
    assert beyond.report["diagnostics"] == within.report["diagnostics"]
    assert [path.name for path in table.parent.iterdir() if path.name.startswith("cqox-array")] == []


def test_a_rule_that_raises_ends_its_own_estimator_alone(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(plan: object) -> str | None:
        raise MemoryError

    entries = tuple(replace(entry, rule=broken) if entry.name == "aipw" else entry for entry in catalog())
    monkeypatch.setattr("cqox.analysis.chosen.catalog", lambda: entries)
    finished, _ = run(table, {"y": "y", "treatment": "w", "covariates": ["age"]})
    estimates = {estimate["name"]: estimate for estimate in finished.report["estimates"]}
    assert estimates["aipw"]["status"] == "failed"
    assert "memory" in estimates["aipw"]["reason"]
    assert finished.report["decision"]["primary"] == "ipwra"
    assert estimates["ols_adjustment"]["status"] == "ok"


def test_an_estimate_that_overflows_has_failed_and_the_others_stand(
    table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overflowing = run_module.run

    def run_once(estimator, plan):
        found = overflowing(estimator, plan)
        return replace(found, standard_error=float("inf")) if found.name == "ols_adjustment" else found

    monkeypatch.setattr(run_module, "run", run_once)
    finished, progress = run(table, {"y": "y", "treatment": "w", "covariates": ["age"]})
    json.dumps([finished.report, finished.specs, progress], allow_nan=False)
    statuses = {estimate["name"]: estimate["status"] for estimate in finished.report["estimates"]}
    assert (statuses["ols_adjustment"], statuses["aipw"]) == ("failed", "ok")
    (error,) = [found for where, found in finished.report["messages"].items() if where.startswith("/errors/")]
    assert (error["code"], error["params"]["estimator"]) == ("analysis.of-estimator", "ols_adjustment")
    assert error["params"]["text"]["code"] == "analysis.computation-overflowed"


def test_what_is_not_finite_anywhere_in_a_report_is_null_and_a_warning_names_it(
    table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    diagnose = run_module.judge.diagnose

    def diagnose_badly(*arguments, **keywords):
        return {**diagnose(*arguments, **keywords), "outcome": {"sd": float("inf"), "mean": 1.0}}

    monkeypatch.setattr(run_module.judge, "diagnose", diagnose_badly)
    finished, _ = run(table, {"y": "y", "treatment": "w"})
    json.dumps([finished.report, finished.specs], allow_nan=False)
    assert finished.report["diagnostics"]["outcome"] == {"sd": None, "mean": 1.0}
    assert (
        "These values are not finite and were replaced by null: diagnostics.outcome.sd." in finished.report["warnings"]
    )
