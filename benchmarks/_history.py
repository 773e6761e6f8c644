"""History of the measured ratios: `benchmarks/history.jsonl`, one line each, and `docs/speed-history.md` made from it.

Lines are only appended. Names of machines are never recorded.
"""

import contextlib
import datetime
import importlib.metadata
import json
import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).parent.parent
FILE = ROOT / "benchmarks" / "history.jsonl"
MEASURED = "measured"
"""Source of a line that a run appended; every other source is the page that the figure was read from."""

_MEASURING = ("cqox", "cqox_assets", "services", "benchmarks/*.py", "requirements*.lock", "pyproject.toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """One measured ratio.

    Attributes:
        case: its name, unique within the benchmark.
        ratio: of ours to the peer's, or of the peer's to ours, as the benchmark prints it.
        better: which direction of the ratio is an improvement.
        unit: of the two figures.
        ours: our figure.
        theirs: the peer's figure.
        peer: what ours is compared with.
        peer_version: its version; None if unknown.
        threads: how many threads our side may use; None if unknown.
        peer_threads: how many the peer may use; None if unknown.
    """

    case: str
    ratio: float
    better: Literal["higher", "lower"]
    unit: str
    ours: float
    theirs: float
    peer: str
    peer_version: str | None
    threads: int | None
    peer_threads: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line(Ratio):
    """One line of the history: a ratio and the run that it belongs to.

    Attributes:
        date: of the run in UTC, ISO 8601.
        version: the release that the code is, or is to become.
        commit: of the measured code; None if unknown or if the code differed from its commit.
        source: `MEASURED`, or the page that the figure was read from.
        cpus: how many CPUs the run could use; None if unknown.
        benchmark: module of the benchmark.
    """

    date: str
    version: str
    commit: str | None
    source: str
    cpus: int | None
    benchmark: str


_RATIOS: ContextVar[list[Ratio] | None] = ContextVar("ratios", default=None)


def record(ratio: Ratio) -> None:
    """Keep a ratio for the history; without effect outside `appended`."""
    kept = _RATIOS.get()
    if kept is not None:
        kept.append(ratio)


@contextlib.contextmanager
def appended(benchmark: str, file: Path = FILE) -> Iterator[None]:
    """Append the ratios that are recorded in the block to the history after the block succeeds."""
    ratios: list[Ratio] = []
    token = _RATIOS.set(ratios)
    try:
        yield
    finally:
        _RATIOS.reset(token)
    run = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "version": version(),
        "commit": _commit(),
        "source": MEASURED,
        "cpus": cpus(),
        "benchmark": benchmark,
    }
    with file.open("a", encoding="utf-8") as history:
        history.writelines(text_of(Line(**run, **asdict(ratio))) for ratio in ratios)


def text_of(line: Line) -> str:
    """Return a line of the file."""
    rounded = {key: float(f"{value:.4g}") if type(value) is float else value for key, value in asdict(line).items()}
    order = [*Line.__annotations__, *Ratio.__annotations__]
    return json.dumps({key: rounded[key] for key in order}, ensure_ascii=False) + "\n"


def lines(file: Path = FILE) -> list[Line]:
    """Return the history, oldest first."""
    return [Line(**json.loads(text)) for text in file.read_text(encoding="utf-8").splitlines()]


def cpus() -> int:
    """Return how many CPUs this process may use, which is how many threads our estimators are given."""
    return len(os.sched_getaffinity(0))


def blas_threads() -> int:
    """Return how many threads BLAS may use."""
    return int(os.environ.get("OPENBLAS_NUM_THREADS", cpus()))


def versions(*distributions: str) -> str:
    """Return the version of a distribution, or several with their names."""
    found = [importlib.metadata.version(name) for name in distributions]
    return found[0] if len(found) == 1 else ", ".join(map(" ".join, zip(distributions, found, strict=True)))


def version() -> str:
    """Return the newest version of the changelog, which names a release before its code is released."""
    found = re.search(r"^## (\d\S*) - ", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    return found[1]


def _commit() -> str | None:
    try:
        changed = _git("status", "--porcelain", "--", *_MEASURING)
        return None if changed else _git("rev-parse", "--short=12", "HEAD")
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


def by_release(history: Iterable[Line]) -> dict[str, dict[tuple[str, str], Line]]:
    """Return the last line of each case by version, oldest version first."""
    found: dict[str, dict[tuple[str, str], Line]] = {}
    for line in history:
        found.setdefault(line.version, {})[line.benchmark, line.case] = line
    return dict(sorted(found.items(), key=lambda item: _sortable(item[0])))


def _sortable(version: str) -> Sequence[int]:
    return [int(number) for number in re.findall(r"\d+", version)]
