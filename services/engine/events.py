"""Server-Sent Events of jobs: numbered messages, and keep-alive comments in between."""

import json
from collections.abc import AsyncGenerator, Mapping, Sequence

import trio
from quart import Response

from cqox.analysis.jobs import Job
from cqox.errors import InvalidRequest
from services.engine.listeners import Listener
from services.http.response.checksums import CHECKSUM, EACH_EVENT, with_checks
from services.http.response.problems import describe

__all__ = ["event_stream", "last_seen"]

_SIGN_OF_LIFE_SECONDS = 15.0
_MOST_DIGITS = 18


def event_stream(
    job: Job,
    *,
    after: int = 0,
    request_id: str,
    exchange: str | None = None,
    report: Sequence[bytes] = (),
    owned: bool = False,
    listener: Listener | None = None,
) -> Response:
    """Return the messages of a job as an event stream that ends with the job.

    Args:
        job: the job.
        after: number of the last message that the client has received; capped at the latest message.
        request_id: the request id in the log.
        exchange: the gateway's exchange id, for the checksum of each event; None where there is no gateway.
        report: holds the report once the job has succeeded; it is sent as the last event.
        owned: whether the job belongs to this client alone, and is cancelled when it disconnects.
        listener: counted until the stream ends.
    """

    async def stream() -> AsyncGenerator[bytes]:
        seen = min(after, len(job.messages))
        try:
            while True:
                more = True
                with trio.move_on_after(_SIGN_OF_LIFE_SECONDS) as pause:
                    more = await job.wait_beyond(seen)
                if pause.cancelled_caught:
                    yield b": still at it\n\n"
                    continue
                if not more:
                    break
                for message in job.messages[seen:]:
                    seen = message.number
                    yield _event(
                        message.event, _message_body(job, message.event, message.body, request_id), number=seen
                    )
            if report:
                yield b"event: report\ndata: " + report[0] + b"\n\n"
        finally:
            if owned:
                job.cancel()
            if listener is not None:
                listener.leave()

    events = stream() if exchange is None else with_checks(stream(), exchange)
    answer = Response(events, 200, content_type="text/event-stream")
    if exchange is not None:
        answer.headers[CHECKSUM] = EACH_EVENT
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["X-Accel-Buffering"] = "no"
    return answer


def last_seen(header: str | None) -> int:
    """Return the number in `Last-Event-ID`, 0 where the header is absent.

    Raises:
        InvalidRequest: it is not an event number.
    """
    if not header:
        return 0
    if not header.isascii() or not header.isdigit():
        raise InvalidRequest(f"Last-Event-ID is the number of an event, not '{header[:50]}'.", field="Last-Event-ID")
    # No job has as many events as the largest number that is parsed here.
    digits = header.lstrip("0")
    return int(digits or "0") if len(digits) <= _MOST_DIGITS else 10**_MOST_DIGITS


def _message_body(job: Job, event: str, body: Mapping[str, object], request_id: str) -> Mapping[str, object]:
    if event == "failed" and job.failure is not None:
        return describe(job.failure, instance=f"/api/jobs/{job.job_id}", request_id=request_id)
    if event == "succeeded" and job.outcome is not None:
        return {**body, "report": f"/api/analyses/{job.outcome.analysis_id}"}
    return body


def _event(name: str, body: Mapping[str, object], *, number: int) -> bytes:
    data = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return f"id: {number}\nevent: {name}\ndata: {data}\n\n".encode()
