"""A comparison of two computations in one process, and what each of them takes."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks._history import Ratio, blas_threads, cpus, versions

__all__ = ["RUNS", "Race", "Spent", "ratio_of", "spent"]

RUNS = 5
_WARM = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Race:
    """One comparison.

    Attributes:
        what: its row in the table.
        peer: the library, or plain numpy.
        rows: of the data.
        target: the smallest accepted ratio of the peer's time to ours.
        ours: one run of ours.
        theirs: one run of the peer's.
        case: its name in the history, if `what` does not say enough.
        threads: how many threads ours may use; None for one for each CPU.
        peer_threads: how many threads the peer may use; None for those of BLAS.
    """

    what: str
    peer: str
    rows: int
    target: float
    ours: Callable[[], object]
    theirs: Callable[[], object]
    case: str | None = None
    threads: int | None = None
    peer_threads: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """Time of a run.

    Attributes:
        wall: seconds until it ends, the median of `RUNS`.
        cpu: CPU seconds of all threads, the mean of `RUNS`.
    """

    wall: float
    cpu: float


def spent(work: Callable[[], object]) -> Spent:
    """Return the time of a run, after warm-up runs of at least a fifth of a second."""
    warm = time.perf_counter() + _WARM
    work()
    while time.perf_counter() < warm:
        work()
    walls, began_cpu = [], time.process_time()
    for _ in range(RUNS):
        began = time.perf_counter()
        work()
        walls.append(time.perf_counter() - began)
    return Spent(wall=statistics.median(walls), cpu=(time.process_time() - began_cpu) / RUNS)


def ratio_of(race: Race, covariates: int, mine: Spent, theirs: Spent) -> Ratio:
    """Return the line of the history without its run."""
    width = f", {covariates} covariates" if covariates else ""
    plain = {"plain numpy": "numpy", "decode + Gram": "polars"}
    return Ratio(
        case=f"{race.case or race.what}, {race.rows:,} rows{width}", ratio=theirs.wall / mine.wall, better="higher",
        unit="ms", ours=mine.wall * 1e3, theirs=theirs.wall * 1e3, peer=race.peer,
        peer_version=versions(plain.get(race.peer, race.peer)), threads=race.threads or cpus(),
        peer_threads=race.peer_threads or blas_threads(),
    )  # fmt: skip
