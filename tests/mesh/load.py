"""Requests of several threads of one pod, bounded in number and time."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from tests.mesh.system import Mesh, Workload
from tests.waiting import PATIENCE_SECONDS

__all__ = ["Load", "under_load"]

type Request = Callable[[httpx.Client, int], httpx.Response]


@dataclass(eq=False)
class Load:
    """Requests and their answers.

    Attributes:
        statuses: number of answers by status; 0 stands for none.
        failures: the first answers that were no success.
        slowest: seconds of the slowest answer.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    slowest: float = 0.0
    stopped: bool = False
    _most: int = 0
    _asked: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def answered(self) -> int:
        """Number of requests that have ended."""
        return self.statuses.total()

    def stop_after(self, most: int) -> None:
        """Let all threads together ask this many times, and no more."""
        with self._lock:
            self._most = most

    def work(self, client: httpx.Client, request: Request) -> None:
        """Ask until it is stopped, or as many times as all threads may together."""
        while not self.stopped:
            with self._lock:
                if self._asked >= self._most:
                    return
                number = self._asked = self._asked + 1
            begun = time.monotonic()
            try:
                answer = request(client, number)
                status, text = answer.status_code, f"{answer.request.method} {answer.url}: {answer.text[:300]}"
            except httpx.TransportError as error:
                status, text = 0, repr(error)
            seconds = time.monotonic() - begun
            with self._lock:
                self.statuses[status] += 1
                self.slowest = max(self.slowest, seconds)
                if not 200 <= status < 300 and len(self.failures) < 5:
                    self.failures.append(f"request {number}: {status} after {seconds:.2f} s: {text}")


@contextmanager
def under_load(mesh: Mesh, client: Workload, request: Request, *, most: int, threads: int = 4) -> Iterator[Load]:
    """Send requests from the pod of a client meanwhile, and wait for all of them on leaving."""
    load = Load()
    load.stop_after(most)
    clients = [mesh.http(client) for _ in range(threads)]
    started = [client.pod.thread(lambda one=one: load.work(one, request)) for one in clients]  # type: ignore[misc]
    try:
        yield load
        for thread in started:
            thread.join(4 * PATIENCE_SECONDS)
    finally:
        load.stopped = True
        for thread in started:
            thread.join(PATIENCE_SECONDS)
