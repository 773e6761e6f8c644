"""A request to an engine has the head that httpx would send."""

from collections.abc import AsyncIterator, Callable, MutableMapping

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.engine_request import EngineRequest, OutgoingFields, Target

NAMES = st.sampled_from(["traceparent", "X-Retry-Attempt", "x-one", "content-length"])
ASCII = st.sampled_from(["", "1", "a, b"])
VALUES = st.one_of(ASCII, st.just("é"))
CHANGES: dict[str, Callable[[MutableMapping[str, str], str, str], object]] = {
    "set": lambda fields, name, value: fields.__setitem__(name, value),
    "update": lambda fields, name, value: fields.update({name: value}),
    "drop": lambda fields, name, value: fields.pop(name, value) and None,
    "get": lambda fields, name, value: fields.get(name, value),
    "has": lambda fields, name, value: name in fields,
    "list": lambda fields, name, value: sorted(fields.items()),
}


@given(
    st.lists(st.tuples(NAMES, VALUES), max_size=4),
    st.lists(st.tuples(st.sampled_from(sorted(CHANGES)), NAMES, ASCII), max_size=6),
)
def test_fields_change_as_those_of_httpx(given: list[tuple[str, str]], changes: list[tuple[str, str, str]]) -> None:
    raw = [(name.lower().encode(), value.encode("latin1")) for name, value in given]
    ours, theirs = OutgoingFields(list(raw)), httpx.Headers(raw, encoding="latin1")
    for change, name, value in changes:
        assert CHANGES[change](ours, name, value) == CHANGES[change](theirs, name, value)
    assert len(ours) == len(theirs.keys())
    assert sorted(ours.raw) == sorted((name.lower(), value) for name, value in theirs.raw)


def test_a_field_that_is_not_there_cannot_be_deleted() -> None:
    fields = OutgoingFields([(b"a", b"1")])
    with pytest.raises(KeyError):
        del fields["b"]
    with pytest.raises(KeyError):
        fields["b"]


async def stream() -> AsyncIterator[bytes]:
    yield b"a"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("content", [b"", b"{}", None])
@pytest.mark.parametrize("headers", [[], [(b"content-length", b"2")]])
@pytest.mark.parametrize("url", ["http://engine/", "http://engine:8080/", "https://engine:8443/", "http://[::1]:80/"])
def test_the_head_is_that_of_httpx(
    method: str, content: bytes | None, headers: list[tuple[bytes, bytes]], url: str
) -> None:
    made = httpx.Request(method, url, headers=headers, content=stream() if content is None else content or None)
    request = EngineRequest(
        method=method,
        target=Target.of(made.url),
        headers=OutgoingFields(headers),
        content=stream() if content is None else content,
    )
    assert sorted(request.head_fields(made.url.netloc)) == sorted(made.headers.raw)


def test_a_target_is_written_as_httpx_writes_it_and_named_without_its_query() -> None:
    target = Target.of(httpx.URL("http://user:pw@engine/prefix").copy_with(raw_path=b'/prefix/a%2F"b?c=%20&d'))
    assert target == Target(raw=b"/prefix/a%2F%22b?c=%20&d", path='/prefix/a/"b', url="http://engine/prefix/a%2F%22b")


def test_the_exchange_id_is_found() -> None:
    target = Target(raw=b"/", path="/", url="")
    named = OutgoingFields([(b"x-one", b"1"), (b"x-cqox-exchange", b"0" * 32)])
    assert EngineRequest(method="GET", target=target, headers=named).exchange == b"0" * 32
    assert EngineRequest(method="GET", target=target, headers=OutgoingFields([])).exchange == b""
