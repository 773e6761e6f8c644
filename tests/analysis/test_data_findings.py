"""Findings from the upload of a file to its report: each remedy, sent as it is, settles its finding and the number."""

import json
from pathlib import Path

import numpy as np
import pytest

from cqox.analysis.work import perform
from cqox.analysis.workers import Reply
from cqox.analysis.written import read
from cqox.contract import AnalyzeRequest
from cqox.errors import UnusableData

RNG = np.random.default_rng(0)
SHOPS = [(f"S{number}", number % 2, round(100 + 47 * (number % 2) + RNG.normal(0, 5), 2)) for number in range(40)]
EFFECT = np.mean([y for _, w, y in SHOPS if w]) - np.mean([y for _, w, y in SHOPS if not w])
ROWS = "".join(f"{shop},{w},{y}\n" for shop, w, y in SHOPS)
TRIAL = {"y": "y", "treatment": "w", "unit_id": "shop"}


def uploaded(folder: Path, text: str, **options: object) -> dict[str, object]:
    (folder / "t.csv").write_text(text, encoding="utf-8")
    task = {"path": str(folder / "t.csv"), "folder": str(folder), "name": "t", "options": options}
    answer, _ = perform("ingest", task, lambda _: None)
    return answer


def analyzed(folder: Path, mapping: dict[str, object], **options: object) -> dict[str, object]:
    request = {"dataset_id": "t", "mapping": mapping, "options": options}
    AnalyzeRequest.model_validate(request)
    task = {"path": str(folder / "table.parquet"), "request": request}
    body, payload = perform("analyze", task, lambda _: None)
    return json.loads(read(Reply(body=body, payload=payload)).report)


def codes(report: dict[str, object]) -> dict[str, str]:
    return {finding["code"]: finding["severity"] for finding in report["findings"]}


def number(report: dict[str, object], name: str = "difference_in_means") -> float:
    return next(each["estimate"] for each in report["estimates"] if each["name"] == name)


def test_a_row_of_totals_moves_an_estimate_until_it_is_dropped(tmp_path: Path) -> None:
    (finding,) = uploaded(tmp_path, f"shop,w,y\n{ROWS}合計,1,{sum(y for _, _, y in SHOPS):.2f}\n")["findings"]
    before = analyzed(tmp_path, TRIAL, assignment="randomized")
    assert number(before) > 5 * EFFECT
    assert before["decision"]["verdict"] == "CANARY"
    assert finding["message"] in before["decision"]["reasons"]
    after = analyzed(
        tmp_path, TRIAL, assignment="randomized", assumes=["no_interference", "independent_units"],
        **finding["remedy"]["parameters"],
    )  # fmt: skip
    assert number(after) == pytest.approx(EFFECT)
    assert (after["findings"], after["decision"]["verdict"]) == ([], "GO")


def test_a_treatment_with_a_total_has_two_levels_again(tmp_path: Path) -> None:
    (finding,) = uploaded(tmp_path, f"shop,w,y\n{ROWS}合計,20,{sum(y for _, _, y in SHOPS):.2f}\n")["findings"]
    after = analyzed(tmp_path, TRIAL, **finding["remedy"]["parameters"])
    assert number(after) == pytest.approx(EFFECT)
    assert len({each["contrast"] for each in after["estimates"]}) == 1


def test_copies_no_longer_count_once_they_are_dropped(tmp_path: Path) -> None:
    (finding,) = uploaded(tmp_path, f"shop,w,y\n{ROWS}{ROWS}")["findings"]
    trial = {"y": "y", "treatment": "w"}
    doubled, single = analyzed(tmp_path, trial), analyzed(tmp_path, trial, **finding["remedy"]["parameters"])
    rows = [
        next(e["n"] for e in report["estimates"] if e["name"] == "difference_in_means") for report in (doubled, single)
    ]
    assert rows == [80, 40]
    assert (codes(doubled), codes(single)) == ({"duplicate-rows": "caps"}, {})


def panel(weeks: list[str]) -> str:
    rng = np.random.default_rng(1)
    return "shop,week,w,y\n" + "".join(
        f"S{shop},{week},{(w := int(shop % 2 and place >= 8))},{shop + 2 * place + 10 * w + rng.normal():.3f}\n"
        for shop in range(20)
        for place, week in enumerate(weeks)
    )


STARTED = {"y": "y", "treatment": "w", "unit_id": "shop", "time": "week"}


@pytest.mark.parametrize(
    "weeks", [[f"W{n}" for n in range(1, 17)], [f"第{n}週" for n in range(1, 17)], [f"S{n}" for n in range(1, 17)]]
)
def test_numbered_periods_are_in_order_unasked(tmp_path: Path, weeks: list[str]) -> None:
    uploaded(tmp_path, panel([f"{n}" for n in range(1, 17)]))
    expected = analyzed(tmp_path, STARTED)
    uploaded(tmp_path, panel(weeks))
    found = analyzed(tmp_path, STARTED)
    assert found["decision"]["primary"] == expected["decision"]["primary"] == "did_2x2_block"
    assert number(found, "did_2x2_block") == number(expected, "did_2x2_block")
    assert codes(found) == {"ordered-periods": "note"}
    assert "The periods of 'week' are read by the format 'number', from 1 to 16." in found["notes"]
    (remedy,) = [finding["remedy"]["parameters"] for finding in found["findings"]]
    assert analyzed(tmp_path, STARTED, **remedy)["findings"] == []


def test_days_of_two_readings_sort_wrong_until_their_format_is_named(tmp_path: Path) -> None:
    (finding,) = uploaded(tmp_path, panel([f"4/{n}" for n in range(1, 17)]))["findings"]
    before = analyzed(tmp_path, STARTED)
    assert codes(before) == {"ambiguous-periods": "caps"}
    assert before["decision"]["primary"] != "did_2x2_block"
    after = analyzed(tmp_path, STARTED, **finding["remedy"]["parameters"])
    assert (after["findings"], after["decision"]["primary"]) == ([], "did_2x2_block")


def test_days_in_several_styles_are_in_order_once_their_format_is_named(tmp_path: Path) -> None:
    days = [f"2024-01-{n:02}" if n % 2 else f"令和6年1月{n}日" for n in range(1, 17)]
    (finding,) = uploaded(tmp_path, panel(days))["findings"]
    after = analyzed(tmp_path, STARTED, **finding["remedy"]["parameters"])
    assert (after["findings"], after["decision"]["primary"]) == ([], "did_2x2_block")


def test_a_mark_and_empty_cells_are_a_treatment_once_said(tmp_path: Path) -> None:
    rows = "".join(f"{shop},{'○' if w else ''},{y}\n" for shop, w, y in SHOPS)
    (finding,) = uploaded(tmp_path, f"shop,w,y\n{rows}")["findings"]
    with pytest.raises(UnusableData) as refused:
        analyzed(tmp_path, TRIAL)
    assert finding["message"] in str(refused.value.detail)
    after = analyzed(tmp_path, TRIAL, **finding["remedy"]["parameters"])
    assert number(after) == pytest.approx(EFFECT)
    assert after["findings"] == []


def test_an_empty_covariate_leaves_no_rows_until_its_gaps_are_marked(tmp_path: Path) -> None:
    rows = "".join(f"{shop},{w},{y},{RNG.normal() if place < 15 else ''}\n" for place, (shop, w, y) in enumerate(SHOPS))
    assert uploaded(tmp_path, f"shop,w,y,x\n{rows}")["findings"] == []
    mapping = {**TRIAL, "covariates": ["x"]}
    before = analyzed(tmp_path, mapping)
    (finding,) = before["findings"]
    assert codes(before) == {"mostly-empty-covariate": "caps"}
    assert before["decision"]["verdict"] != "GO"
    after = analyzed(tmp_path, mapping, **finding["remedy"]["parameters"])
    assert after["findings"] == []
    primary = next(each for each in after["estimates"] if each["name"] == after["decision"]["primary"])
    assert primary["n"] == 40


def test_the_outcome_in_other_units_is_found_among_the_covariates(tmp_path: Path) -> None:
    rows = "".join(f"{shop},{w},{y},{y / 1000:.5f}\n" for shop, w, y in SHOPS)
    uploaded(tmp_path, f"shop,w,y,thousands\n{rows}")
    assert codes(analyzed(tmp_path, {**TRIAL, "covariates": ["thousands"]})) == {"outcome-as-covariate": "caps"}
    assert codes(analyzed(tmp_path, TRIAL)) == {}


def test_a_finding_on_columns_without_a_role_is_a_note(tmp_path: Path) -> None:
    rows = "".join(f"{shop},{w},{y},{'✓' if w else ''},4/{place % 9 + 8}\n" for place, (shop, w, y) in enumerate(SHOPS))
    found = uploaded(tmp_path, f"shop,w,y,flag,day\n{rows}")["findings"]
    assert [finding["severity"] for finding in found] == ["caps", "caps"]
    assert codes(analyzed(tmp_path, TRIAL)) == {"ambiguous-periods": "note", "yes-or-blank": "note"}


def test_an_accepted_finding_caps_nothing_and_an_absent_one_is_noted(tmp_path: Path) -> None:
    (finding,) = uploaded(tmp_path, f"shop,w,y\n{ROWS}合計,1,{sum(y for _, _, y in SHOPS):.2f}\n")["findings"]
    report = analyzed(tmp_path, TRIAL, accept=["totals-rows", "wide-panel"])
    assert [each["accepted"] for each in report["findings"]] == [True]
    assert finding["message"] not in report["decision"]["reasons"]
    assert "The finding 'wide-panel' was accepted, but these data do not have it." in report["notes"]


def test_roles_and_stored_tables_carry_the_findings_with_their_codes(tmp_path: Path) -> None:
    answer = uploaded(tmp_path, f"shop,w,y\n{ROWS}合計,1,{sum(y for _, _, y in SHOPS):.2f}\n")
    inferred, _ = perform("infer", {"path": str(tmp_path / "table.parquet")}, lambda _: None)
    assert inferred["findings"] == answer["findings"]
    for document in (answer, inferred, analyzed(tmp_path, TRIAL)):
        assert document["messages"]["/findings/0/message"]["code"] == "findings.totals-rows"


def test_a_table_stored_without_findings_has_none(tmp_path: Path) -> None:
    uploaded(tmp_path, f"shop,w,y\n{ROWS}合計,1,{sum(y for _, _, y in SHOPS):.2f}\n")
    (tmp_path / "table.parquet.findings.json").unlink()
    assert analyzed(tmp_path, TRIAL)["findings"] == []
