import io
import json

import httpx
import pytest
from rich.console import Console

from services.cli.demo import Demonstration, show

ESTIMATE = {
    "name": "aipw",
    "estimand": "ATE",
    "status": "ok",
    "estimate": 2.0501,
    "ci_lower": 1.95,
    "ci_upper": 2.15,
    "standard_error": 0.051,
    "p_value": 1e-20,
    "n": 1500,
    "reason": None,
}
REPORT = {
    "analysis_id": "abc",
    "estimates": [
        ESTIMATE,
        {**ESTIMATE, "name": "ipw", "status": "warning", "p_value": None},
        {**ESTIMATE, "name": "twfe", "status": "skipped", "reason": "It needs [time]."},
        {**ESTIMATE, "name": "did", "status": "skipped", "reason": "It needs [time]."},
        {**ESTIMATE, "name": "iv", "status": "failed", "reason": "It broke."},
    ],
    "decision": {"verdict": "GO", "primary": "aipw", "reasons": ["All of it is above 0."]},
    "figures": {"forest": "/api/analyses/abc/figures/forest.svg"},
}


def shown(status: int, answer: dict) -> tuple[bool, str]:
    text = io.StringIO()
    console = Console(file=text, width=120)
    well = show(console, Demonstration(gateway_url="http://127.0.0.1:1", status=status, answer=answer))
    return well, text.getvalue()


def test_a_report_is_shown_with_intervals_reasons_decision_and_where_to_look_next():
    well, text = shown(200, REPORT)
    assert well
    row = next(line for line in text.splitlines() if line.startswith("aipw"))
    assert row.split() == ["aipw", "ATE", "2.05", "[1.95,", "2.15]", "0.051", "1e-20", "1500"]
    assert next(line for line in text.splitlines() if line.startswith("ipw !"))
    assert "skipped: twfe, did. It needs [time]." in text
    assert "failed: iv. It broke." in text
    assert "Verdict: GO on aipw" in text
    assert "http://127.0.0.1:1/api/analyses/abc/figures/forest.svg" in text


def test_a_problem_is_shown_as_one():
    well, text = shown(422, {"detail": "The treatment [w] is constant."})
    assert not well
    assert "answered 422: The treatment [w] is constant." in text


@pytest.mark.trio
async def test_the_demonstration_asks_for_the_example_of_the_documentation():
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append((request.method, request.url.path, json.loads(request.content)["dataset_id"]))
        return httpx.Response(200, json=REPORT)

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        demonstration = await Demonstration.run(client, "http://gateway")
    assert asked == [("POST", "/api/analyze/comprehensive", "test")]
    assert demonstration.answer["analysis_id"] == "abc"
