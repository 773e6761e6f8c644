import hashlib
import json
from dataclasses import replace

import pytest

from cqox.analysis import answer as answers
from cqox.analysis.answer import Answer
from cqox.storage import StoredReport

REPORT = StoredReport(
    analysis_id="a1",
    dataset_id="d1",
    created_at="2026-01-01T00:00:00.000000+00:00",
    status="ok",
    verdict="go",
    primary="aipw",
    estimate=1.0,
    report='{"analysis_id":"a1","name":"売上"}'.encode(),
    provenance=b'{"seed":0,"rows":10}',
    figures=b"{}",
    digest="x",
)


@pytest.mark.parametrize(("hit", "word"), [(True, "hit"), (False, "miss")])
def test_the_report_goes_out_as_it_is_kept_and_its_provenance_says_how_it_was_come_by(hit: bool, word: str) -> None:
    answer = Answer.of(REPORT, hit=hit, stored=False, trace_id=None)
    assert (answer.analysis_id, answer.hit, answer.stored) == ("a1", hit, False)
    assert answer.body.startswith(REPORT.report[:-1])
    assert json.loads(answer.body) == {
        "analysis_id": "a1",
        "name": "売上",
        "provenance": {"seed": 0, "rows": 10, "cache": word, "trace_id": None, "stored": False},
    }


def test_the_sha256_is_that_of_the_whole_body_whatever_was_answered_before() -> None:
    others = [REPORT, replace(REPORT, provenance=b'{"seed":1}'), replace(REPORT, report=b'{"a":1}', digest="y")]
    for report in others * 2:
        for trace_id in (None, "0" * 32):
            answer = Answer.of(report, hit=True, stored=True, trace_id=trace_id)
            assert answer.sha256 == hashlib.sha256(answer.body).digest()


def test_what_is_kept_of_reports_that_were_answered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "_MAX_BEGINNINGS", 3)
    monkeypatch.setattr(answers, "_beginnings", answers._PrefixHashes())
    for number in range(10):
        report = replace(REPORT, analysis_id=f"a{number}")
        assert Answer.of(report, hit=True, stored=True, trace_id=None).sha256
    assert len(answers._beginnings._hashed) == 3
