import json

import pytest
from quart import Response

from cqox.contract.messages import Message, collect_messages
from services.http.request.digests import CONTENT_DIGEST, content_digest
from services.http.response.translation import translate_response, translated
from tests.services.http.request.test_language import asked

NOTE = Message("analysis.main-contrast", contrast="b - a")


def document(**more: object) -> dict[str, object]:
    inner = {"notes": [NOTE, "plain"], **more}
    return {**inner, "messages": collect_messages(inner)}


def response_of(value: object) -> Response:
    response = Response(json.dumps(value, separators=(",", ":")), 200, content_type="application/json")
    response.headers[CONTENT_DIGEST] = "sha-256=:of the English text:"
    return response


@pytest.mark.trio
async def test_sentences_are_in_the_language_of_the_request_and_the_digest_is_of_what_is_sent() -> None:
    response = response_of(document())
    await translate_response(asked(b"lang=ja"), response)
    body = await response.get_data(as_text=False)
    assert json.loads(body)["notes"] == [NOTE.in_language("ja"), "plain"]
    assert json.loads(body)["messages"] == document()["messages"]
    assert response.headers[CONTENT_DIGEST] == content_digest(body)
    assert (response.headers["Content-Language"], response.headers["Vary"]) == ("ja", "Accept-Language")


@pytest.mark.trio
async def test_english_responses_are_sent_as_they_are_stored() -> None:
    response = response_of(document())
    before = await response.get_data(as_text=False)
    await translate_response(asked(), response)
    assert await response.get_data(as_text=False) == before
    assert response.headers[CONTENT_DIGEST] == "sha-256=:of the English text:"
    assert response.headers["Content-Language"] == "en"


@pytest.mark.trio
@pytest.mark.parametrize("value", [[1], {"a": 1}, {"messages": 3}, {"a": '"messages":'}])
async def test_documents_without_messages_stay_as_they_are(value: object) -> None:
    response = response_of(value)
    await translate_response(asked(b"lang=ja"), response)
    assert json.loads(await response.get_data()) == value


@pytest.mark.trio
async def test_images_have_no_language() -> None:
    response = Response(b"<svg/>", 200, content_type="image/svg+xml")
    await translate_response(asked(b"lang=ja"), response)
    assert "Content-Language" not in response.headers


@pytest.mark.trio
async def test_the_problem_inside_a_job_and_large_documents_are_translated_too() -> None:
    body = json.dumps({"problem": document(), "fill": "x" * 100_000}).encode()
    assert json.loads(await translated(body, "ja"))["problem"]["notes"][0] == NOTE.in_language("ja")
    assert await translated(body, "en") is body
