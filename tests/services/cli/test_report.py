from io import StringIO

from rich.console import Console

from services.cli.report import show_report


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
