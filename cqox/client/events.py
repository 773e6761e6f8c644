"""Server-Sent Events of a job (WHATWG HTML, section 9.2), parsed as they arrive."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from cqox.contract.messages import Message
from cqox.errors import AnswerNotUnderstood

__all__ = ["EventParser", "JobEvent"]

_MOST_BYTES = 2**25
"""Largest event that is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEvent:
    """An event of a job.

    Attributes:
        number: from 1 on, for `Last-Event-ID`; 0 where the server gives none.
        event: `step`, `estimate`, or how the job ended: `succeeded`, `failed`, `cancelled`, `interrupted`.
        body: its data; of `estimate` a `cqox.contract.EstimateEvent`, of `failed` a problem.
    """

    number: int
    event: str
    body: Mapping[str, JsonValue]

    @property
    def is_last(self) -> bool:
        """True if the job has ended."""
        return self.event in ("succeeded", "failed", "cancelled", "interrupted")


class EventParser:
    """Parser of an event stream that arrives in pieces of any size."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> list[JobEvent]:
        """Return the events that these bytes complete.

        Raises:
            AnswerNotUnderstood: the bytes are no event stream of a job.
        """
        # A carriage return may come apart from its line feed.
        text = self._held + data
        ended = text.endswith(b"\r")
        text = (text[:-1] if ended else text).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *blocks, held = text.split(b"\n\n")
        self._held = held + b"\r" * ended
        if len(self._held) > _MOST_BYTES:
            raise AnswerNotUnderstood(Message("client.event-too-large", most=_MOST_BYTES))
        return [event for event in map(_event, blocks) if event is not None]


def _event(block: bytes) -> JobEvent | None:
    """Return the event of a block; None for comments, which are signs of life, and for events without data."""
    fields: dict[str, list[str]] = {}
    for line in block.decode(errors="replace").split("\n"):
        name, _, value = line.partition(":")
        if name:
            fields.setdefault(name, []).append(value.removeprefix(" "))
    if "data" not in fields:
        return None
    number = fields.get("id", [""])[-1]
    try:
        body = json.loads("\n".join(fields["data"]))
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise AnswerNotUnderstood(Message("client.event-without-json"))
    return JobEvent(
        number=int(number) if number.isascii() and number.isdigit() else 0,
        event=fields.get("event", ["message"])[-1],
        body=body,
    )
