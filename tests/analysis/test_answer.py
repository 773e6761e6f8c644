import json

import pytest

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
