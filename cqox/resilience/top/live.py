"""The view of `top`: one table, or one that is renewed until it is interrupted."""

import time
from collections.abc import Callable
from functools import partial
from typing import NoReturn

from rich.console import Console, RenderableType
from rich.live import Live

from cqox.resilience.top.exposition import NotMetrics, samples
from cqox.resilience.top.parts import PREFIX, PartRow, Reading, reading, rows
from cqox.resilience.top.scrape import Unreachable
from cqox.resilience.top.table import drawn

__all__ = ["View"]


class View:
    """Readings of one app and the table of the last one.

    A reading that fails leaves the table with the reason above it. After it no rate is shown until there are two
    readings again, as the process may be another one.
    """

    def __init__(
        self,
        fetch: Callable[[], str],
        *,
        address: str,
        interval: float,
        console: Console,
        sleep: Callable[[float], object] = time.sleep,
        now: Callable[[], float] = time.monotonic,
        clock: Callable[[], str] = lambda: time.strftime("%H:%M:%S"),
    ) -> None:
        """Make a view.

        Args:
            fetch: returns the text of the metrics, or raises `Unreachable`.
            address: shown above the table.
            interval: seconds between two readings.
            console: where the table goes.
            sleep: waits so many seconds.
            now: seconds of a monotonic clock.
            clock: the time of day, as it is shown.
        """
        self._fetch = fetch
        self._address = address
        self._interval = interval
        self._console = console
        self._sleep = sleep
        self._now = now
        self._clock = clock
        self._before: Reading | None = None
        self._rows: list[PartRow] = []
        self._read_at = ""
        self._problem = ""

    def once(self) -> None:
        """Print one table, whose rates are those of one interval.

        Raises:
            Unreachable: one of the two readings failed.
        """
        self._read()
        self._sleep(self._interval)
        self._read()
        self._console.print(self._table())

    def run(self) -> NoReturn:
        """Show the table until the process is interrupted.

        Raises:
            Unreachable: the first reading failed.
        """
        self._read()
        if not self._console.is_terminal:
            self._renew(self._console.print)
        live = Live(self._table(), console=self._console, screen=True, auto_refresh=False)
        try:
            # Not as a context manager: a signal while it starts would leave the terminal as it is then.
            live.start(refresh=True)
            self._renew(partial(live.update, refresh=True))
        finally:
            live.stop()

    def _renew(self, show: Callable[[RenderableType], object]) -> NoReturn:
        while True:
            show(self._table())
            self._sleep(self._interval)
            self._read_or_note()

    def _read(self) -> None:
        text = self._fetch()
        at = self._now()
        try:
            now = reading(samples(text, PREFIX), at)
        except NotMetrics as error:
            raise Unreachable(f"{self._address} answers with something else than metrics: {error}") from error
        self._rows = rows(self._before, now)
        self._before = now
        self._read_at = self._clock()
        self._problem = ""

    def _read_or_note(self) -> None:
        try:
            self._read()
        except Unreachable as error:
            self._before = None
            self._problem = f"{error}. The values are those of {self._read_at}."

    def _table(self) -> RenderableType:
        return drawn(self._rows, title=f"{self._address}  {self._clock()}", problem=self._problem)
