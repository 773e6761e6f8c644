import gzip
import hashlib

import pytest

from services.gateway.engine_client import Headers, Reply
from services.gateway.representations import represented, returned
from services.http.request.digests import content_digest

pytestmark = pytest.mark.trio

BODY = b'{"estimates":[' + b"1," * 1000 + b"1]}"
TAG = f'"{hashlib.sha256(BODY).hexdigest()[:32]}"'
GZIP = (b"accept-encoding", b"gzip")


def reply(*headers: tuple[str, str], status: int = 200, body: bytes = BODY, media: str = "application/json") -> Reply:
    own = {"content-type": media, "content-digest": content_digest(body), "x-trace-id": "t"}
    fields: Headers = tuple((name.encode(), value.encode()) for name, value in (*own.items(), *headers))
    return Reply(status=status, headers=fields, body=body)


async def asked(
    answer: Reply, *fields: tuple[bytes, bytes], method: str = "GET", conditional: bool = True
) -> tuple[Reply, dict[str, str]]:
    found = await represented(answer, method=method, fields=fields, conditional=conditional)
    names = [name for name, _ in found.headers]
    assert len(names) == len(set(names)) or names.count(b"vary") > 1
    return found, {name.decode(): value.decode() for name, value in found.headers}


async def test_a_body_is_sent_as_it_is_with_a_tag_and_what_it_depends_on() -> None:
    found, headers = await asked(reply())
    assert (found.status, found.body, headers["etag"]) == (200, BODY, TAG)
    assert headers["content-digest"] == content_digest(BODY)
    assert headers["vary"] == "Accept-Encoding"
    assert "content-encoding" not in headers


async def test_a_client_that_accepts_a_coding_gets_it_with_its_own_tag_and_digest() -> None:
    found, headers = await asked(reply(), GZIP)
    assert gzip.decompress(found.body) == BODY
    assert (headers["content-encoding"], headers["etag"]) == ("gzip", TAG[:-1] + '-gzip"')
    assert headers["content-digest"] == content_digest(found.body)
    assert headers["vary"] == "Accept-Encoding"


async def test_values_of_a_repeated_field_count_together() -> None:
    _, headers = await asked(reply(), (b"accept-encoding", b"br"), (b"x", b"zstd"), GZIP)
    assert headers["content-encoding"] == "gzip"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("fields", [(), (GZIP,)])
async def test_a_client_that_has_it_gets_no_content(method: str, fields: tuple[tuple[bytes, bytes], ...]) -> None:
    kept = (("cache-control", "no-store"), ("content-language", "en"), ("vary", "Accept-Language"))
    for named in (TAG, f'"other", W/{TAG}', TAG[:-1] + '-gzip"', TAG[:-1] + '-zstd"'):
        found, headers = await asked(reply(*kept), (b"if-none-match", named.encode()), *fields, method=method)
        assert (found.status, found.body) == (304, b"")
        assert headers == {
            "cache-control": "no-store",
            "etag": named.rpartition(" ")[2],
            "vary": "Accept-Encoding",
            "x-trace-id": "t",
        }
        assert [value for name, value in found.headers if name == b"vary"] == [b"Accept-Language", b"Accept-Encoding"]


async def test_a_client_that_has_something_else_gets_all() -> None:
    found, headers = await asked(reply(), (b"if-none-match", b'"other"'))
    assert (found.status, found.body, headers["etag"]) == (200, BODY, TAG)


async def test_the_tag_of_the_engine_is_kept_and_a_weak_one_is_that_of_every_coding() -> None:
    tag = ("etag", 'W/"a-en"')
    assert (await asked(reply(tag)))[1]["etag"] == 'W/"a-en"'
    assert (await asked(reply(tag), GZIP))[1]["etag"] == 'W/"a-en"'
    found, headers = await asked(reply(tag), GZIP, (b"if-none-match", b'W/"a-en"'))
    assert (found.status, headers["etag"]) == (304, 'W/"a-en"')


async def test_an_operation_without_conditions_has_no_tag_and_answers_in_full() -> None:
    found, headers = await asked(reply(), (b"if-none-match", TAG.encode()), conditional=False)
    assert (found.status, found.body) == (200, BODY)
    assert "etag" not in headers
    assert (await asked(reply(), GZIP, conditional=False))[1]["content-encoding"] == "gzip"


async def test_the_version_of_what_is_changed_by_if_match_stays_as_it_is() -> None:
    found, headers = await asked(reply(("etag", '"v"')), GZIP, conditional=False)
    assert (found.body, headers["etag"]) == (BODY, '"v"')
    assert not headers.keys() & {"content-encoding", "vary"}


@pytest.mark.parametrize(
    "answer",
    [
        reply(body=b"{}"),
        reply(media="image/png"),
        reply(status=201),
        reply(status=404, media="application/problem+json"),
        reply(("content-encoding", "br")),
    ],
)
async def test_what_is_small_or_compressed_or_holds_a_secret_is_sent_as_it_is(answer: Reply) -> None:
    found, headers = await asked(answer, GZIP)
    assert found.body == answer.body
    assert headers.get("content-encoding", "") == answer.header(b"content-encoding")
    assert "vary" not in headers


async def test_a_head_has_the_fields_of_the_get_but_no_digest_of_content() -> None:
    got, headers = await asked(reply(), GZIP)
    head, without = await asked(reply(), GZIP, method="HEAD")
    assert (len(head.body), without) == (
        len(got.body),
        {name: value for name, value in headers.items() if name != "content-digest"},
    )


async def test_only_known_fields_are_returned_and_none_of_the_hop() -> None:
    given: Headers = ((b"etag", b'"a"'), (b"connection", b"vary"), (b"vary", b"x"), (b"x-inner", b"y"), (b"date", b"z"))
    assert returned(given) == ((b"etag", b'"a"'),)
