from io import StringIO

from rich.console import Console

from cqox.api.estimates_table import _NEEDS_OTHERS, estimates_table, show_report
from cqox.contract.messages import template


def shown(*estimates):
    out = StringIO()
    report = {"estimates": list(estimates), "decision": None}
    show_report(Console(file=out, width=200), report)
    return out.getvalue()


def skipped(name, contrast, reason):
    return {"name": name, "contrast": contrast, "status": "skipped", "reason": reason}


def test_what_is_skipped_in_every_contrast_is_named_once():
    text = shown(*(skipped(name, of, "No instrument.") for of in ("b vs a", "c vs a") for name in ("iv", "wald")))
    assert "skipped: iv, wald. No instrument." in text
    assert text.count("iv") == 1


def test_what_is_skipped_in_one_contrast_alone_names_it():
    text = shown(skipped("ols", "b vs a", "Too few rows."), skipped("ols", "c vs a", "Another."))
    assert "skipped: ols (b vs a). Too few rows." in text
    assert "skipped: ols (c vs a). Another." in text


def test_a_warning_of_several_estimators_is_said_once_after_their_names():
    out = StringIO()
    warnings = ["aipw: Periods: pooled.", "ipw_ate: Periods: pooled.", "ipw_ate: Few rows."]
    show_report(Console(file=out, width=200), {"estimates": [], "decision": None, "warnings": warnings})
    assert "warning: aipw, ipw_ate: Periods: pooled." in out.getvalue()
    assert "warning: ipw_ate: Few rows." in out.getvalue()


def estimate(name: str, status: str = "ok", **about: object) -> dict[str, object]:
    number = {
        "estimate": 1.23456,
        "ci_lower": -0.5,
        "ci_upper": None,
        "standard_error": 0.5,
        "p_value": 0.01234,
        "n": 100,
    }
    return {"name": name, "estimand": "ATE", "status": status, **number, **about}


def test_the_table_has_one_row_for_each_number_and_marks_those_with_a_warning():
    out = StringIO()
    given = [estimate("a"), estimate("b", "warning"), estimate("c", "skipped"), estimate("d", "failed")]
    Console(file=out, width=200).print(estimates_table(given, alpha=0.1))
    heading, *rows = out.getvalue().splitlines()
    assert "90% interval" in heading
    assert "contrast" not in heading
    assert [row.split() for row in rows] == [
        ["a", "ATE", "1.235", "[-0.5,", "–]", "0.5", "0.012", "100"],
        ["b", "!", "ATE", "1.235", "[-0.5,", "–]", "0.5", "0.012", "100"],
    ]


def test_contrasts_have_a_column_where_there_are_any():
    out = StringIO()
    Console(file=out, width=200).print(estimates_table([estimate("a", contrast="x vs y"), estimate("b")]))
    heading, first, second = out.getvalue().splitlines()
    assert "contrast" in heading
    assert "x vs y" in first
    assert " vs " not in second


def test_a_finding_is_shown_with_the_flags_that_settle_or_accept_it():
    out = StringIO()
    remedy = {"at": "analyze", "parameters": {"drop_rows": [{"column": "shop", "values": ["合計"]}]}}
    finding = {
        "code": "totals-rows",
        "severity": "caps",
        "message": "1 row is a total.",
        "accepted": False,
        "remedy": remedy,
    }
    accepted = {**finding, "accepted": True, "remedy": {"at": "upload", "parameters": {"header_rows": "2"}}}
    report = {"estimates": [], "decision": None, "findings": [finding, accepted, {**accepted, "remedy": None}]}
    show_report(Console(file=out, width=200), report)
    assert out.getvalue().splitlines()[-6:] == [
        "finding totals-rows: 1 row is a total.",
        """  --option 'drop_rows=[{"column": "shop", "values": ["合計"]}]'""",
        "  --option accept=totals-rows",
        "finding totals-rows: 1 row is a total.",
        "  --read header_rows=2",
        "finding totals-rows: 1 row is a total.",
    ]


def test_a_remedy_of_the_mapping_is_shown_as_flags_of_its_roles():
    finding = {
        "code": "arms-differ", "severity": "caps", "accepted": False, "message": "They differ.", "columns": ["a"],
        "remedy": {"at": "analyze", "parameters": {"mapping": {"covariates": ["age", "income, net"], "unit_id": "id"}}},
    }  # fmt: skip
    out = StringIO()
    show_report(Console(file=out, width=200), {"estimates": [], "decision": None, "findings": [finding]})
    assert "--covariates 'age,\"income, net\"'" in out.getvalue()
    assert "--unit-id id" in out.getvalue()
    assert "mapping=" not in out.getvalue()


def report_of(*reasons: str | None, **options: object) -> dict[str, object]:
    """Return a report of estimators that were skipped, each with the code of its reason."""
    estimates = [skipped(f"e{number}", None, f"Reason {number}.") for number in range(len(reasons))]
    messages = {f"/estimates/{number}/reason": {"code": code, "params": {}} for number, code in enumerate(reasons)}
    return {"estimates": estimates, "decision": None, "options": options, "messages": messages}


def lines_of(report: dict[str, object], language: str = "en") -> list[str]:
    out = StringIO()
    show_report(Console(file=out, width=200), report, language=language)  # type: ignore[arg-type]
    return [line.rstrip() for line in out.getvalue().splitlines()[2:]]


def test_estimators_of_other_mappings_are_one_line_and_reasons_in_the_data_are_written_out():
    codes = ("estimators.missing-role", "estimators.needs-amount", "matching.no-clusters", None)
    assert lines_of(report_of(*codes)) == [
        "skipped: e2. Reason 2.",
        "skipped: e3. Reason 3.",
        "2 estimators need other roles or another kind of treatment; `cqox estimators` lists what each needs.",
    ]
    assert lines_of(report_of("estimators.missing-roles"))[0].startswith("1 estimator needs other roles")


def test_an_estimator_that_the_request_names_has_its_reason_in_full():
    report = report_of(*["estimators.missing-role"] * 3, estimators=["e0"], primary="e1")
    assert lines_of(report)[:2] == ["skipped: e0. Reason 0.", "skipped: e1. Reason 1."]
    assert lines_of(report)[2].startswith("1 estimator needs")


def test_folded_codes_are_those_of_the_catalog():
    assert all(template("en", code) for code in _NEEDS_OTHERS)


def test_labels_are_in_the_language_of_the_report():
    report = {**report_of(None, "estimators.missing-role"), "notes": ["a"], "warnings": ["b: c"], "errors": ["d"]}
    lines = lines_of(report, "ja")
    assert lines[0] == "適用外：e0。Reason 0."
    assert lines[1].startswith("1個の推定量には")
    assert lines[2:] == ["注記：a", "警告：b: c", "エラー：d"]
    heading = StringIO()
    Console(file=heading, width=200).print(estimates_table([estimate("a")], language="ja"))
    assert heading.getvalue().split()[:2] == ["推定量", "推定対象"]


def test_nothing_is_cut_off_at_eighty_columns():
    out = StringIO()
    given = [estimate("synthetic_control_augmented", "warning", p_value=1.2e-26, estimand="ATT of starting treatment")]
    Console(file=out, width=80).print(estimates_table(given))
    assert "…" not in out.getvalue()
    assert "synthetic_control_augmented !" in out.getvalue()
