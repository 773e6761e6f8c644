"""The verdict in a terminal: headline first, gates by what to do, what does not apply folded away."""

from io import StringIO

from rich.console import Console

from cqox.api.verdict_text import show_verdict

REPORT = {
    "decision": {
        "verdict": "CANARY", "headline": "The treatment raised sales.", "primary": "aipw", "reasons": ["All is above."],
    },
    "identification": {
        "statement": "The estimate is the effect if so.",
        "assumptions": [
            {"name": "unconfounded", "statement": "It is random.", "status": "untested", "caps": True,
             "evidence": ["p = .3."], "remedy": "Declare it."},
            {"name": "no_interference", "statement": "No spillover.", "status": "untested", "caps": False,
             "evidence": [], "remedy": "Map edges."},
        ],
    },
    "gates": {
        "overlap": {"status": "fail", "rule": "Rule.", "reason": "Too few overlap."},
        "balance": {"status": "warn", "rule": "Rule.", "reason": "It differs."},
        "clusters": {"status": "pass", "rule": "Rule."},
        "arm_rows": {"status": "pass", "rule": "Rule."},
        "donor_fit": {"status": "not_applicable", "rule": "Rule.", "reason": "No donors."},
    },
}  # fmt: skip


def shown(report: dict[str, object], language: str = "en") -> str:
    out = StringIO()
    show_verdict(Console(file=out, width=200), report, language=language)  # type: ignore[arg-type]
    return out.getvalue()


def test_the_headline_comes_before_the_verdict_and_that_before_the_rest() -> None:
    text = shown(REPORT)
    parts = ["raised sales", "Verdict: CANARY on aipw", "untested unconfounded", "Gates", "stop"]
    places = [text.index(part) for part in parts]
    assert places == sorted(places)


def test_the_rule_that_chose_the_primary_follows_the_verdict() -> None:
    decision = REPORT["decision"] | {"primary_rule": "Chosen by its design."}
    text = shown({**REPORT, "decision": decision})
    assert text.index("on aipw") < text.index("Chosen by its design.") < text.index("All is above.")


def test_gates_stand_in_groups_and_what_does_not_apply_is_counted() -> None:
    text = shown(REPORT)
    assert "overlap: Too few overlap." in text
    assert "pass clusters, arm_rows" in text
    assert "1 gate not applicable" in text
    assert "No donors" not in text


def test_a_remedy_is_shown_where_it_would_change_the_verdict() -> None:
    text = shown(REPORT)
    assert "→ Declare it." in text
    assert "Map edges" not in text


def test_headings_are_in_the_language_asked_for() -> None:
    assert "判定：CANARY（aipwによる）" in shown(REPORT, "ja")


def test_a_report_of_an_older_version_is_shown_without_a_ledger() -> None:
    text = shown({"decision": {"verdict": "HOLD", "primary": None, "reasons": ["No."]}, "gates": {}})
    assert "Verdict: HOLD" in text
    assert "Assumptions" not in text
