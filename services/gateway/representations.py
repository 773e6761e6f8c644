"""The representation of an engine's response that its client gets: header fields, entity tag and content coding.

An engine sends each body as it is. A client that has it already gets a 304 in place of it (RFC 9110, section 15.4.5),
one that accepts a content coding gets it compressed. Both are decided here, after the request was authenticated and
the engine has answered it.
"""

from collections.abc import Sequence
from dataclasses import replace
from http import HTTPStatus

from services.gateway.content_codings import Coding, compressed, is_compressible, preferred_coding
from services.gateway.engine_client import Headers, Reply, end_to_end
from services.gateway.entity_tags import named_tag, of_coding, of_digest
from services.gateway.response_contract import media_of
from services.http.request.digests import CONTENT_DIGEST, content_digest, sha256_of

__all__ = ["represented", "returned"]

_DIGEST = CONTENT_DIGEST.lower().encode()
_ETAG, _VARY = b"etag", b"vary"
_ACCEPT_ENCODING, _CONTENT_ENCODING = b"accept-encoding", b"content-encoding"

_RETURNED = frozenset(
    {
        b"allow",
        b"cache-control",
        b"content-digest",
        b"content-disposition",
        b"content-encoding",
        b"content-language",
        b"content-type",
        b"etag",
        b"location",
        b"preference-applied",
        b"ratelimit",
        b"ratelimit-policy",
        b"retry-after",
        b"upload-offset",
        b"vary",
        b"x-accel-buffering",
        b"x-trace-id",
        b"x-trace-url",
    }
)
"""Response header fields that are returned to the client; others belong to this hop or to an intermediary."""

_OF_UNMODIFIED = frozenset(
    {b"cache-control", b"etag", b"ratelimit", b"ratelimit-policy", b"vary", b"x-trace-id", b"x-trace-url"}
)
"""Those of a 304: the ones that a stored response is updated by, and what belongs to the request itself."""


def returned(headers: Headers) -> Headers:
    """Return the header fields of an engine's response that its client gets."""
    return tuple(field for field in end_to_end(headers) if field[0] in _RETURNED)


async def represented(
    reply: Reply, *, method: str, fields: Sequence[tuple[bytes, bytes]], conditional: bool = False
) -> Reply:
    """Return the response that a client gets.

    Args:
        reply: the engine's response to the request; to a HEAD, that to a GET.
        method: the client's method.
        fields: the client's header fields, names in lower case.
        conditional: whether the operation takes `If-None-Match`; its response has an entity tag then.
    """
    reply = replace(reply, headers=returned(reply.headers))
    if reply.status == HTTPStatus.OK:
        reply = await _selected(reply, fields, conditional=conditional)
    if method == "HEAD":
        # The digest covers the content that is sent (RFC 9530, appendix B.2), and a response to HEAD has none.
        reply = _with(reply, without=_DIGEST)
    return reply


async def _selected(reply: Reply, fields: Sequence[tuple[bytes, bytes]], *, conditional: bool) -> Reply:
    tag = _tag_of(reply) if conditional else ""
    coding = None
    # The tag of a version, such as that of an annotation, is sent back in `If-Match` and stays as it is.
    if (
        _is_plain(reply)
        and (conditional or not reply.header(_ETAG))
        and is_compressible(media_of(reply), len(reply.body))
    ):
        coding = preferred_coding(_joined(fields, _ACCEPT_ENCODING))
        reply = _with(reply, (_VARY, b"Accept-Encoding"))
    if tag:
        named = named_tag(_joined(fields, b"if-none-match"), tag)
        if named is not None:
            kept = _with(reply, (_ETAG, named.encode("latin1")), without=_ETAG).headers
            return replace(
                reply,
                status=HTTPStatus.NOT_MODIFIED,
                headers=tuple(field for field in kept if field[0] in _OF_UNMODIFIED),
                body=b"",
            )
        reply = _with(reply, (_ETAG, tag.encode("latin1")), without=_ETAG)
    return reply if coding is None else await _coded(reply, tag, coding)


async def _coded(reply: Reply, tag: str, coding: Coding) -> Reply:
    reply = replace(reply, body=await compressed(reply.body, coding))
    reply = _with(reply, (_CONTENT_ENCODING, coding.encode()), without=_CONTENT_ENCODING)
    if reply.header(_DIGEST):
        # It is the digest of the content as it is sent (RFC 9530, section 2).
        reply = _with(reply, (_DIGEST, content_digest(reply.body).encode()), without=_DIGEST)
    return _with(reply, (_ETAG, of_coding(tag, coding).encode("latin1")), without=_ETAG) if tag else reply


def _tag_of(reply: Reply) -> str:
    """Return the entity tag of a body: that of the engine, else its digest; empty where there is neither."""
    given = reply.header(_ETAG)
    if given:
        return given
    digest = sha256_of(reply.header(_DIGEST))
    return "" if digest is None else of_digest(digest)


def _is_plain(reply: Reply) -> bool:
    return reply.header(_CONTENT_ENCODING).lower() in ("", "identity")


def _with(reply: Reply, *added: tuple[bytes, bytes], without: bytes = b"") -> Reply:
    return replace(reply, headers=(*(field for field in reply.headers if field[0] != without), *added))


def _joined(fields: Sequence[tuple[bytes, bytes]], wanted: bytes) -> str:
    return ",".join([value.decode("latin1") for name, value in fields if name == wanted])
