"""Steady requests of clients that check certificates, and a record of how each ended."""

import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count

import httpx

from tests.alerts.system import in_thread
from tests.e2e.engines import asking

__all__ = ["Answered", "Clients", "Tally", "tally", "well_again"]

_EVERY_SECONDS = 0.4
_DEADLINE_SECONDS = 15.0
_KINDS = ("analyze", "list", "analyze", "data sets", "upload")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """One request.

    Attributes:
        kind: what was asked.
        began: seconds of the monotonic clock when it was sent.
        ended: the same when it was answered or failed.
        said: the status of the answer, or the name of the error.
    """

    kind: str
    began: float
    ended: float
    said: str

    @property
    def is_good(self) -> bool:
        return self.said.startswith("2")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Requests that began within a span.

    Attributes:
        sent: how many there were.
        good: those with a status of 2xx.
        failures: number of the others by what they said.
    """

    sent: int
    good: int
    failures: dict[str, int]


@dataclass
class Clients:
    """Clients of one gateway, each request on a connection of its own.

    Attributes:
        url: address of the gateway.
        trust: whom they trust.
        answered: what they got, in the order in which it ended.
    """

    url: str
    trust: ssl.SSLContext
    answered: list[Answered] = field(default_factory=list)

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Ask five times in two seconds, without waiting for answers, until the end."""
        done = threading.Event()

        def ask_on() -> None:
            numbers = count(1)
            while not done.wait(_EVERY_SECONDS):
                threading.Thread(target=self._ask, args=(next(numbers),), daemon=True).start()

        with in_thread(ask_on, done):
            yield

    def _ask(self, number: int) -> None:
        kind, began = _KINDS[number % len(_KINDS)], time.monotonic()
        try:
            with httpx.Client(
                base_url=self.url, verify=self.trust, timeout=_DEADLINE_SECONDS, trust_env=False
            ) as client:
                said = str(_answer(client, kind).status_code)
        except httpx.ConnectError as error:
            said = "certificate" if "certificate" in str(error).lower() else type(error).__name__
        except httpx.TransportError as error:
            said = type(error).__name__
        self.answered.append(Answered(kind=kind, began=began, ended=time.monotonic(), said=said))


def _answer(client: httpx.Client, kind: str) -> httpx.Response:
    match kind:
        case "analyze":
            return client.post("/api/analyze/comprehensive", json=asking(time.monotonic_ns() % 2**31))
        case "upload":
            content = b"a,b\n1,2\n3,4\n" + b"5,6\n" * (time.monotonic_ns() % 97)
            return client.post("/api/datasets", params={"name": "game-day.csv"}, content=content)
        case "list":
            return client.get("/api/analyses")
        case _:
            return client.get("/api/datasets")


def tally(answered: Sequence[Answered], begin: float, end: float) -> Tally:
    """Return how requests ended that began within a span of the monotonic clock."""
    within = [each for each in answered if begin <= each.began < end]
    failures: dict[str, int] = {}
    for each in within:
        if not each.is_good:
            failures[each.said] = failures.get(each.said, 0) + 1
    ordered = dict(sorted(failures.items(), key=lambda pair: (-pair[1], pair[0])))
    return Tally(sent=len(within), good=sum(each.is_good for each in within), failures=ordered)


def well_again(answered: Sequence[Answered], mended: float) -> float:
    """Return the seconds from the mend to the last time at which a request was sent or waited for that failed."""
    return max((each.ended - mended for each in answered if not each.is_good and each.ended > mended), default=0.0)
