"""Answers of engines that do not change, kept for five seconds.

A report and its figures have an id that is derived from their content, so that the only thing that can happen to them
is that they are deleted. A change through this gateway forgets everything at once; one through another gateway, a
finished erasure and the end of a retention time show here at most five seconds later. Who asks is established, counted
and recorded as for every request.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, NamedTuple, cast

from cqox import clock
from services.http.request.proxied import AnyRequest
from services.http.response.plain import AnyResponse, PlainResponse
from services.http.security.requester import principal_of
from services.http.server.app import ProxyHandler

__all__ = ["KEPT", "AnswerCache", "Question", "is_from_cache", "set_from_cache", "set_recorded"]

type Read = Callable[..., Awaitable[PlainResponse]]

KEPT = frozenset({"read_analysis", "read_figure"})
"""Operations whose answers are kept."""

_SECONDS = 5.0
_OVERHEAD_BYTES = 1024
"""Memory of an answer without its body, roughly: its question and its header fields."""

_SHARE = 8
"""An answer may take this part of the cache, so that a large one does not displace all others."""

_ASKED_WITH = (b"accept", b"accept-encoding", b"accept-language", b"if-none-match")
"""Request header fields that select an answer."""

_ASKED_OF_AN_ENGINE = frozenset({b"cache-control", b"pragma", b"traceparent", b"transfer-encoding"})
"""Request header fields that an engine has to see; who traces a request wants to find its trace in the report."""

_OF_THE_REQUEST = frozenset({"content-length", "ratelimit", "ratelimit-policy", "x-trace-id", "x-trace-url"})
_STATE, _RECORDED = "from_cache", "recorded_by_engine"


class Question(NamedTuple):
    """The parts of a request on which its answer depends."""

    tenant: str
    target: bytes
    fields: tuple[bytes, ...]

    @classmethod
    def of(cls, request: AnyRequest) -> "Question | None":
        """Return the question of a request; None where an engine has to answer it."""
        principal, scope = principal_of(request.scope), request.scope
        if principal is None or request.method != "GET":
            return None
        found: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            if name in _ASKED_OF_AN_ENGINE or (name == b"content-length" and value != b"0"):
                return None
            if name in _ASKED_WITH:
                found[name] = found[name] + b"," + value if name in found else value
        target = scope["raw_path"] + b"?" + scope["query_string"]
        return cls(principal.tenant, target, tuple(found.get(name, b"") for name in _ASKED_WITH))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    body: bytes
    status: int
    fields: tuple[tuple[str, str], ...]
    until: float
    size_bytes: int


class AnswerCache:
    """The answers of the last seconds; of too many the ones go first that were not asked for longest.

    Args:
        most_bytes: memory that they may take; 0 keeps none.
        records: whether this gateway records who gets them; if not, none is kept that the audit log of an engine has.
    """

    def __init__(self, most_bytes: int, *, records: bool = False) -> None:
        self._most_bytes = most_bytes
        self._records = records
        self._kept: OrderedDict[Question, _Kept] = OrderedDict()
        self._size_bytes = 0
        self._generation = 0

    def keeping(self, read: Read, admitted: Callable[[AnyRequest], AbstractContextManager[object]]) -> Read:
        """Return the handler of a reading that asks an engine only for what is not kept.

        Args:
            read: asks an engine.
            admitted: raises `DeadlineExceeded` in place of the block where the time of a request is over.
        """

        async def read_kept(request: AnyRequest, **parameters: str) -> PlainResponse:
            question = Question.of(request)
            if question is None:
                return await read(request, **parameters)
            with admitted(request):
                kept = self.find(question)
            if kept is not None:
                set_from_cache(request.scope)
                return kept
            asked, generation = clock.monotonic(), self._generation
            answer = await read(request, **parameters)
            # What an engine answers meanwhile may be from before a change.
            if generation == self._generation and (self._records or not _is_recorded(request.scope)):
                self.keep(question, answer, asked=asked)
            return answer

        return read_kept

    def forgetting(self, change: ProxyHandler) -> ProxyHandler:
        """Return the handler of a change that forgets everything before and after it."""

        async def change_and_forget(request: AnyRequest, **parameters: str) -> AnyResponse:
            self.forget()
            try:
                return await change(request, **parameters)
            finally:
                self.forget()

        return change_and_forget

    def find(self, question: Question) -> PlainResponse | None:
        """Return the answer with its `Age`; None where it is not known, or too old."""
        kept = self._kept.get(question)
        if kept is None:
            return None
        left = kept.until - clock.monotonic()
        if left <= 0:
            self._drop(question)
            return None
        self._kept.move_to_end(question)
        fields = (*kept.fields, ("age", str(int(_SECONDS - left))))
        return PlainResponse(kept.body, kept.status, fields, sized=kept.status != HTTPStatus.NOT_MODIFIED)

    def keep(self, question: Question, answer: PlainResponse, *, asked: float) -> None:
        """Keep a copy of an answer.

        Args:
            question: what was asked.
            answer: the answer as the client gets it, before fields of its request are added.
            asked: when the engine was asked, on the monotonic clock.
        """
        size_bytes = len(answer.body) + _OVERHEAD_BYTES
        if answer.status_code not in (HTTPStatus.OK, HTTPStatus.NOT_MODIFIED) or size_bytes * _SHARE > self._most_bytes:
            return
        self._drop(question)
        fields = tuple(field for field in answer.headers if field[0] not in _OF_THE_REQUEST)
        self._kept[question] = _Kept(
            body=answer.body, status=answer.status_code, fields=fields, until=asked + _SECONDS, size_bytes=size_bytes
        )
        self._size_bytes += size_bytes
        while self._size_bytes > self._most_bytes:
            self._drop(next(iter(self._kept)))

    def forget(self) -> None:
        """Forget everything, also what engines have been asked for and not answered yet."""
        self._generation += 1
        self._kept.clear()
        self._size_bytes = 0

    def _drop(self, question: Question) -> None:
        kept = self._kept.pop(question, None)
        if kept is not None:
            self._size_bytes -= kept.size_bytes


def set_from_cache(scope: Mapping[str, Any]) -> None:
    """Note that no engine has seen a request, so that none records it."""
    cast("dict[str, Any]", scope).setdefault("state", {})[_STATE] = True


def is_from_cache(scope: Mapping[str, Any]) -> bool:
    """Return whether a request was answered without an engine."""
    return bool(scope.get("state", {}).get(_STATE))


def set_recorded(scope: Mapping[str, Any]) -> None:
    """Note that an engine records a request in its audit log."""
    cast("dict[str, Any]", scope).setdefault("state", {})[_RECORDED] = True


def _is_recorded(scope: Mapping[str, Any]) -> bool:
    return bool(scope.get("state", {}).get(_RECORDED))
