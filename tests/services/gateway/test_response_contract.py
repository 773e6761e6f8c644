import pytest

from cqox.contract import EXPORT_TYPES
from services.gateway.engine_client import Reply
from services.gateway.response_contract import expected, problem_of, violation
from services.http.contract.api import operation
from services.http.request.digests import content_digest

LONG = b"x" * 10_000


def reply(body: bytes = b'{"a": 1}', *, status: int = 200, kind: str = "application/json", **more) -> Reply:
    headers = ((b"content-type", kind.encode()),) if kind else ()
    if body and more.pop("digested", True):
        headers += ((b"content-digest", content_digest(body).encode()),)
    return Reply(status=status, headers=headers + more.pop("headers", ()), body=body, **more)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (reply(), ""),
        (reply(kind="application/json; charset=utf-8"), ""),
        (reply(b'{"a": 1}', framed=False), ""),
        (reply(b'{"a":', framed=False), "its JSON is truncated or malformed"),
        (reply(b'{"a": ["' + LONG + b'"]}', framed=False), ""),
        (reply(b'{"a": ["' + LONG + b'"}', framed=False), "its JSON is truncated or malformed"),
        (reply(b'{"a": ["' + LONG + b'"]}'), ""),
        (reply(b'{"a": ["' + LONG), "its JSON is truncated or malformed"),
        (reply(LONG + b'"]}'), "its JSON is truncated or malformed"),
        (reply(b"{not json"), "its JSON is truncated or malformed"),
        (reply(b""), "its JSON is truncated or malformed"),
        (reply(b"\xff\xfe"), "its JSON is truncated or malformed"),
        (reply(b"packed", headers=((b"content-encoding", b"gzip"),)), ""),
        (reply(b"<html>", kind="text/html"), "its Content-Type is text/html, but must be application/json"),
        (reply(kind=""), "it has no Content-Type, but must be application/json"),
        (reply(kind="text/event-stream"), "its Content-Type is text/event-stream, but must be application/json"),
        (reply(b"", status=204, kind=""), "it has the status 204, which is not in the API contract"),
        (reply(status=202), ""),
        (reply(digested=False), "its body has no Content-Digest"),
        (
            reply(digested=False, headers=((b"content-digest", b"md5=:AA==:"),)),
            "its body has no Content-Digest",
        ),
    ],
)
def test_an_analysis_is_json_and_whole(given, words):
    assert violation(given, expected(operation("analyze"), {}, events=False)) == words


def test_who_takes_events_may_get_them_or_json():
    contract = expected(operation("analyze"), {})
    assert violation(reply(b"data: x\n\n", kind="text/event-stream"), contract) == ""
    assert violation(reply(), contract) == ""


@pytest.mark.parametrize(("suffix", "kind"), [("svg", "image/svg+xml"), ("png", "image/png")])
def test_a_figure_is_of_the_type_that_its_name_says(suffix, kind):
    for name in ("read_figure", "read_shared_figure"):
        contract = expected(operation(name), {"suffix": suffix})
        assert violation(reply(b"\x89", kind=kind), contract) == ""
        assert violation(reply(), contract) == f"its Content-Type is application/json, but must be {kind}"


@pytest.mark.parametrize(("suffix", "kind"), EXPORT_TYPES.items())
def test_a_document_is_of_the_type_that_its_name_says(suffix, kind):
    for name in ("export_analysis", "export_shared"):
        contract = expected(operation(name), {"suffix": suffix})
        assert violation(reply(b"\x89", kind=kind), contract) == ""
        assert violation(reply(b"<html>", kind="image/png"), contract).startswith("its Content-Type is image/png")


def test_what_has_no_body_needs_no_type():
    assert violation(reply(b"", status=204, kind=""), expected(operation("delete_dataset"), {})) == ""


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"type": "draining"}', "draining"),
        (b'{"type": 1}', None),
        (b"[]", None),
        (b"slow", None),
        (b'{"type": "x", "detail": "' + bytes(2**17) + b'"}', None),
    ],
)
def test_a_problem_is_an_object_with_a_type(body, kind):
    assert problem_of(reply(body)).get("type") == kind
