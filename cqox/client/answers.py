"""Answers of a server: checked, parsed, or raised as the error that they describe."""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from importlib.metadata import PackageNotFoundError, version

import httpx
from pydantic import BaseModel, JsonValue, ValidationError

from cqox.client.address import Server
from cqox.client.failures import Refused
from cqox.client.problems import is_problem, is_retryable_problem, problem_error
from cqox.contract.bounds import shortened
from cqox.contract.messages import Message
from cqox.errors import AnswerNotUnderstood, CqoxError, InvalidRequest, RateLimited, ServerUnreachable
from cqox.resilience.retry.retry_after import retry_after_of

__all__ = ["Answer", "checked", "parsed", "refusal", "version_of_client"]

_SHA256 = re.compile(r"(?:^|,)[ \t]*sha-256=:([A-Za-z0-9+/=]{44}):[ \t]*(?=[,;]|$)")
_OF_PROXIES = (HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT)
_NOT_ALLOWED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.PROXY_AUTHENTICATION_REQUIRED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A complete success.

    Attributes:
        server: who gave it.
        path: what was asked for.
        status: the HTTP status.
        media: type of the body without parameters, in lower case.
        body: the decoded bytes.
    """

    server: Server
    path: str
    status: int
    media: str
    body: bytes

    def json(self) -> dict[str, JsonValue]:
        """Return the body as a JSON object.

        Raises:
            AnswerNotUnderstood: it is none.
        """
        try:
            value = json.loads(self.body)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise AnswerNotUnderstood(
                Message(
                    "client.no-json",
                    url=self.server.url,
                    path=self.path,
                    media=self.media or "?",
                    excerpt=_excerpt(self.body),
                )
            )
        return value

    def model[M: BaseModel](self, model: type[M]) -> M:
        """Return the body as a model; see `parsed`."""
        return parsed(model, self.json(), self.server)


def checked(response: httpx.Response, server: Server, path: str, *, sent: bytes | None = None) -> Answer:
    """Return a response that was read completely, if it is a success.

    Args:
        response: the response, with its content decoded.
        server: who gave it.
        path: what was asked for.
        sent: the content as it was sent, in its content coding; None where there is no coding, or it is not known.

    Raises:
        Refused: it is an error, or its body is damaged.
    """
    if not response.is_success:
        raise refusal(response, server, path)
    body = response.content
    if not _is_intact(response, body if sent is None else sent, decoded=sent is None):
        raise Refused(ServerUnreachable(Message("client.damaged", url=server.url)), response, retryable=True)
    return Answer(server=server, path=path, status=response.status_code, media=_media(response), body=body)


def refusal(response: httpx.Response, server: Server, path: str) -> Refused:
    """Return the error of a response that is no success; its body was read."""
    retry_after = retry_after_of(Refused(CqoxError(), response)) or 0.0
    try:
        body: JsonValue = json.loads(response.content)
    except ValueError:
        body = None
    if isinstance(body, dict) and is_problem(body):
        if body["type"] == "no-such-path":
            missing = Message("client.no-such-path", url=server.url, path=path, version=version_of_client())
            return Refused(AnswerNotUnderstood(missing), response)
        retryable = is_retryable_problem(body)
        return Refused(problem_error(body, retry_after=retry_after), response, retryable=retryable)
    return _without_problem(response, server, path, retry_after)


def parsed[M: BaseModel](model: type[M], document: Mapping[str, JsonValue], server: Server) -> M:
    """Return a document as a model; members that this version does not know are ignored.

    Raises:
        AnswerNotUnderstood: it does not fit; the first reason is named.
    """
    try:
        return model.model_validate(document, extra="ignore")
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise AnswerNotUnderstood(
            Message(
                "client.other-version",
                url=server.url,
                version=version_of_client(),
                where=".".join(map(str, first["loc"])) or model.__name__,
                reason=first["msg"],
            )
        ) from error


@cache
def version_of_client() -> str:
    """Return the version of the installed package."""
    try:
        return version("cqox")
    except PackageNotFoundError:
        return "?"


def _without_problem(response: httpx.Response, server: Server, path: str, retry_after: float) -> Refused:
    """Return the error of a response that no service of CQOx has written."""
    status, url, excerpt = response.status_code, server.url, _excerpt(response.content)
    if response.has_redirect_location:
        location = shortened(response.headers.get("Location", "").partition("?")[0])
        return Refused(InvalidRequest(Message("client.redirect", url=url, location=location), field="url"), response)
    if status in _NOT_ALLOWED:
        return Refused(InvalidRequest(Message("client.not-allowed", url=url, status=status), field="token"), response)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Refused(RateLimited(url, retry_after=retry_after), response, retryable=True)
    if status in _OF_PROXIES:
        reason = Message("client.answer-of-proxy", url=url, status=status, excerpt=excerpt)
        return Refused(ServerUnreachable(reason), response, retryable=True, outage=True)
    reason = Message("client.no-server", url=url, path=path, status=status, excerpt=excerpt)
    return Refused(AnswerNotUnderstood(reason), response)


def _is_intact(response: httpx.Response, content: bytes, *, decoded: bool) -> bool:
    """Return whether content matches its `Content-Digest`, which is that of the content as it was sent (RFC 9530).

    Args:
        response: the response.
        content: its content.
        decoded: whether a content coding was removed from it, if there was one.
    """
    announced = _SHA256.search(response.headers.get("Content-Digest", ""))
    if announced is None or (decoded and response.headers.get("Content-Encoding", "identity") != "identity"):
        return True
    return base64.b64encode(hashlib.sha256(content).digest()).decode() == announced[1]


def _media(response: httpx.Response) -> str:
    return str(response.headers.get("Content-Type", "")).partition(";")[0].strip().lower()


def _excerpt(body: bytes) -> str:
    """Return the beginning of a body as one line of text, of a page without its tags."""
    text = re.sub(r"<(script|style)\b.*?</\1>|<[^>]*>", " ", body[:4000].decode(errors="replace"), flags=re.DOTALL)
    return shortened(" ".join("".join(each if each.isprintable() else " " for each in text).split()))
