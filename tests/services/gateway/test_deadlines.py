import json
import time
from collections.abc import Iterator

import pytest
from structlog.contextvars import clear_contextvars

from cqox.contract.messages import Message, collect_messages
from cqox.errors import DeadlineExceeded
from services.gateway.deadlines import Granted, granted
from services.gateway.engine_client import Reply
from services.http.response.error_details import ServiceDeadlineExceeded

HEADER = b"x-request-timeout-ms"


@pytest.fixture(autouse=True)
def own_context() -> Iterator[None]:
    """Keep what is bound to the log out of the tests that follow."""
    yield
    clear_contextvars()


def late(**members: object) -> Reply:
    body = {"type": "deadline-exceeded", "detail": "deadline of 2 s exceeded", "request_id": "r", **members}
    return Reply(status=504, headers=((b"x-engine", b"one"),), body=json.dumps(body).encode())


def over(seconds: float = 2.0) -> Granted:
    return Granted(seconds=seconds, most=120.0, since=time.monotonic() - seconds)


@pytest.mark.parametrize(
    ("value", "seconds", "ignored"),
    [
        (None, 120.0, ""),
        (b"2000", 2.0, ""),
        (b" 2000 , 90", 0.09, ""),
        (b"999999", 120.0, ""),
        (b"abc", 120.0, "abc"),
        (b"-5", 120.0, "-5"),
        (b"1.5", 120.0, "1.5"),
        (b"1000, soon", 1.0, "soon"),
        (b"", 120.0, "nothing"),
        (b"x" * 500, 120.0, "x" * 40),
    ],
)
def test_an_invalid_value_is_ignored_and_kept_for_the_detail(value: bytes | None, seconds: float, ignored: str) -> None:
    found = granted([] if value is None else [(HEADER, value)], most=120.0)
    assert (found.seconds, found.ignored) == (seconds, ignored)


def test_the_detail_distinguishes_the_clients_deadline_from_the_services_limit() -> None:
    asked = Granted(seconds=2.0, most=120.0)
    assert asked.detail == (
        "The deadline of 2 s has passed. The request asked for no more: X-Request-Timeout-Ms may say up to 120000 here."
    )
    longest = Granted(seconds=30.0, most=30.0, ignored="soon", otherwise=Message("problems.in-the-background"))
    assert longest.detail == (
        "The deadline of 30 s has passed. No request of this kind is granted more: X-Request-Timeout-Ms may say up to "
        "30000 here. X-Request-Timeout-Ms was 'soon', which is no whole number of milliseconds, and was ignored. "
        "With 'Prefer: respond-async' an analysis runs in the background, where it may take longer."
    )


def test_a_deadline_that_passes_in_the_gateway_is_raised_with_the_detail() -> None:
    with pytest.raises(ServiceDeadlineExceeded) as caught, over().translate():
        raise DeadlineExceeded(2.0)
    assert str(caught.value) == over().detail
    assert caught.value.seconds == 2.0
    with pytest.raises(KeyError), over().translate():
        raise KeyError


def test_an_engines_deadline_problem_gets_the_same_detail_and_nothing_else_changes() -> None:
    engines = {"/detail": {"code": "problems.deadline-exceeded", "params": {}}, "/title": {"code": "t", "params": {}}}
    reply = over().annotate(late(messages=engines), "en")
    messages = {**engines, **collect_messages({"detail": over().detail})}
    assert json.loads(reply.body) == {**json.loads(late().body), "detail": over().detail, "messages": messages}
    assert (reply.status, reply.headers) == (504, late().headers)


@pytest.mark.parametrize("messages", [["not", "a map"], "text", None])
def test_messages_of_another_form_are_replaced(messages: object) -> None:
    problem = json.loads(over().annotate(late(messages=messages), "en").body)
    assert problem["messages"] == collect_messages({"detail": over().detail})


def test_the_detail_is_in_the_language_of_the_request() -> None:
    problem = json.loads(over().annotate(late(), "ja").body)
    assert problem["detail"] == over().detail.in_language("ja")
    assert problem["messages"]["/detail"]["code"] == "problems.deadline-asked"


@pytest.mark.parametrize(
    "reply",
    [
        late(type="attempt-timeout"),
        Reply(status=504, headers=(), body=b"no JSON"),
        Reply(status=504, headers=(), body=b"[1]"),
        Reply(status=200, headers=(), body=late().body),
    ],
)
def test_every_other_reply_stays_unchanged(reply: Reply) -> None:
    assert over().annotate(reply, "ja") is reply


def test_a_shorter_deadline_of_the_engines_own_stays_as_it_said() -> None:
    reply = late()
    assert Granted(seconds=60.0, most=120.0).annotate(reply, "ja") is reply


def test_what_the_request_has_waited_already_is_not_left() -> None:
    given = granted([(HEADER, b"2000")], most=120.0, spent=1.5)
    assert given.seconds == 2.0
    assert 0.0 < given.left <= 0.5
    assert granted([(HEADER, b"2000")], most=120.0, spent=3.0).left == 0.0
