import base64
import hashlib
from dataclasses import replace

import pytest

from cqox.analysis.answer import Answer
from services.engine.answers import json_answer, json_bytes, no_content, report_answer
from tests.services.engine.handled import app_of

BODY = b'{"verdict":"GO"}'
REPORT = Answer(
    analysis_id="a", digest="d" * 64, body=BODY, sha256=hashlib.sha256(BODY).digest(), hit=False, stored=True
)


@pytest.mark.trio
async def test_json_is_compact_and_keeps_its_characters() -> None:
    answer = json_answer({"a": [1, None], "b": "あ"}, 202)
    assert (answer.status_code, answer.content_type) == (202, "application/json")
    assert await answer.get_data() == '{"a":[1,null],"b":"あ"}'.encode()
    assert await json_bytes(b"[ ]").get_data() == b"[ ]"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [float("-inf")]])
def test_a_number_that_json_does_not_have_is_an_error(value: object) -> None:
    with pytest.raises(ValueError, match="JSON"):
        json_answer(value)


@pytest.mark.trio
async def test_an_empty_answer_has_no_type() -> None:
    answer = no_content()
    assert (answer.status_code, await answer.get_data()) == (204, b"")
    assert "Content-Type" not in answer.headers


@pytest.mark.trio
async def test_the_digest_of_a_report_is_of_the_content_that_is_sent() -> None:
    async def read_analysis(analysis_id: str):
        return report_answer(REPORT)

    client = app_of({"read_analysis": read_analysis}).test_client()
    got = await client.get("/api/analyses/a")
    assert await got.get_data() == BODY
    digest = base64.b64encode(hashlib.sha256(BODY).digest()).decode()
    assert got.headers["Content-Digest"] == f"sha-256=:{digest}:"
    assert "Content-Digest" not in (await client.head("/api/analyses/a")).headers


@pytest.mark.trio
async def test_a_report_that_is_read_has_a_weak_tag_of_its_content_and_language() -> None:
    reports = {"a": REPORT, "b": replace(REPORT, stored=False), "c": replace(REPORT, sha256=bytes(32), body=b"{}")}

    async def read_analysis(analysis_id: str):
        return report_answer(reports[analysis_id])

    async def analyze():
        return report_answer(REPORT)

    client = app_of({"read_analysis": read_analysis, "analyze": analyze}).test_client()
    tags = {name: (await client.get(f"/api/analyses/{name}")).headers["ETag"] for name in reports}
    assert tags == {"a": f'W/"{"d" * 32}-en"', "b": f'W/"{"d" * 32}-en-computed"', "c": f'W/"{"d" * 32}-en"'}
    japanese = await client.get("/api/analyses/a?lang=ja")
    assert japanese.headers["ETag"] == f'W/"{"d" * 32}-ja"'
    assert "ETag" not in (await client.post("/api/analyze/comprehensive")).headers
