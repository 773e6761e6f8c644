"""The report: everything that a run showed, on one page and as JSON."""

import json
import re
from dataclasses import replace
from pathlib import Path

from cqox.chaos.experiments.probing import Result
from cqox.chaos.experiments.records import Second
from cqox.chaos.experiments.report import as_html, as_json, write_report
from cqox.chaos.experiments.runner import Outcome
from tests.chaos.experiments.scripted import experiment

SECOND = Second(sent=4, good=3, failures={503: 1}, median=0.1, slowest=0.2)
HELD = Outcome(
    experiment=experiment(),
    held=True,
    results=(Result(phase="during", probe="goodput: at_least 0.9", holds=True, found="0.95 of <4>"),),
    recovery_seconds=1.25,
    faults=((1.0, 1.5),),
    seconds=(SECOND, SECOND),
    reports=7,
    jobs={"succeeded": 2},
    notes=("Packets pass a router.",),
    duration=20.0,
)
LOST = replace(HELD, held=False, violations=("job x was acknowledged and has not ended: 404",), recovery_seconds=None)
SKIPPED = Outcome(experiment=experiment(), held=False, skipped="there is no vault")


def test_the_page_needs_nothing_else_and_has_both_languages() -> None:
    page = as_html([HELD, LOST, SKIPPED])
    assert not re.search(r"(src|href)=\"(?!#)", page)
    for text in (
        "1 of 3 experiments held.",
        "3 件の実験のうち 1 件が成立した。",
        "エンジンを強制終了する",
        "1.2 s",
        "not within the limit",
    ):
        assert text in page
    for text in ("job x was acknowledged", "there is no vault", "Packets pass a router.", "prefers-color-scheme: dark"):
        assert text in page
    # What comes from elsewhere is no markup.
    assert "0.95 of &lt;4&gt;" in page
    assert "An engine &lt;is&gt; killed" in page
    assert page.count("<svg") == 2


def test_the_files_hold_what_was_found(tmp_path: Path) -> None:
    write_report([HELD, LOST], tmp_path / "new")
    found = json.loads((tmp_path / "new" / "report.json").read_text(encoding="utf-8"))
    assert found == as_json([HELD, LOST])
    assert (found[0]["recovery_seconds"], found[1]["lost"]) == (1.25, list(LOST.violations))
    assert found[0]["seconds"][0] == {"sent": 4, "good": 3, "failures": {"503": 1}, "median": 0.1, "slowest": 0.2}
    assert found[0]["faults"] == [{"kind": "process-kill", "target": "engine", "mode": "one", "seconds": 0.5}]
    assert "<svg" in (tmp_path / "new" / "report.html").read_text(encoding="utf-8")
