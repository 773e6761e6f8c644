"""Analyses, uploads and stored reports with encryption at rest, against the same without, in one run.

Two engines on loopback, one with `CQOX_KEYS=file`. A data set of 100,000 rows with ten covariates is uploaded to both,
and analysed with another seed each time, so that no answer comes from a cache. The two take turns. Target: an analysis
takes at most 1.05 times as long.
"""

import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from benchmarks._history import Ratio, record, versions
from benchmarks.gateway import ANALYZE, free_port, wait

_ROWS = 100_000
_COVARIATES = 10
_ROUNDS = 24
_UPLOADS = 5
_READINGS = 40


def main() -> None:
    """Print the times of both, and their ratios."""
    print(f"\nEncryption at rest: {_ROWS:,} rows, {_COVARIATES} covariates, engines on loopback, in turn")
    with tempfile.TemporaryDirectory() as folder, _engines(Path(folder)) as engines:
        uploads, ids = _uploads(engines)
        _say("An upload with its reading", uploads)
        _say("An analysis with all estimators", _analyses(engines, ids, []), target=1.05)
        _say("A difference in means", _analyses(engines, ids, ["difference_in_means"]), target=1.05)
        _say("A listing of stored reports", _readings(engines, ids))


def _uploads(engines: tuple[httpx.Client, httpx.Client]) -> tuple[tuple[list[float], list[float]], str]:
    taken: tuple[list[float], list[float]] = ([], [])
    for number in range(_UPLOADS + 1):
        content = _table(number)
        for side in _turns(number):
            began = time.perf_counter()
            answer = engines[side].post("/api/datasets", params={"name": "t.csv"}, content=content).raise_for_status()
            if number:
                taken[side].append(time.perf_counter() - began)
    return taken, answer.json()["dataset_id"]


def _analyses(
    engines: tuple[httpx.Client, httpx.Client], dataset_id: str, estimators: list[str]
) -> tuple[list[float], list[float]]:
    mapping = {"y": "y", "treatment": "w", "covariates": [f"x{number}" for number in range(_COVARIATES)]}

    def ask(engine: httpx.Client, number: int) -> None:
        options = {"seed": 1000 * len(estimators) + number, **({"estimators": estimators} if estimators else {})}
        body = {"dataset_id": dataset_id, "mapping": mapping, "options": options}
        answer = engine.post(ANALYZE, json=body).raise_for_status()
        assert answer.json()["provenance"]["cache"] == "miss"

    return _in_turn(engines, ask, _ROUNDS)


def _readings(engines: tuple[httpx.Client, httpx.Client], dataset_id: str) -> tuple[list[float], list[float]]:
    """Read the pages of a listing, which come from the store each time."""

    def ask(engine: httpx.Client, number: int) -> None:
        engine.get("/api/analyses", params={"dataset_id": dataset_id}).raise_for_status()

    return _in_turn(engines, ask, _READINGS)


def _in_turn(
    engines: tuple[httpx.Client, httpx.Client], ask: Callable[[httpx.Client, int], None], rounds: int
) -> tuple[list[float], list[float]]:
    taken: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + 1):
        for side in _turns(number):
            began = time.perf_counter()
            ask(engines[side], number)
            if number:
                taken[side].append(time.perf_counter() - began)
    return taken


def _turns(number: int) -> tuple[int, int]:
    # Each is first in every other round.
    return (0, 1) if number % 2 else (1, 0)


def _say(what: str, taken: tuple[list[float], list[float]], *, target: float | None = None) -> None:
    plain, sealed = taken
    ratios = sorted(one / other for one, other in zip(sealed, plain, strict=True))
    ratio = statistics.median(ratios)
    aim = f"; target at most {target:g}" if target else ""
    print(
        f"    {what:<34}plain {statistics.median(plain) * 1e3:8.1f} ms   "
        f"encrypted {statistics.median(sealed) * 1e3:8.1f} ms   "
        f"ratio {ratio:.3f} (from {ratios[0]:.2f} to {ratios[-1]:.2f}){aim}"
    )
    record(
        Ratio(
            case=f"{what} with encryption at rest, {_ROWS:,} rows",
            ratio=ratio,
            better="lower",
            unit="s",
            ours=statistics.median(sealed),
            theirs=statistics.median(plain),
            peer="CQOx without encryption",
            peer_version=versions("cqox"),
            threads=1,
            peer_threads=1,
        )
    )


def _table(seed: int) -> bytes:
    rng = random.Random(seed)
    names = ["y", "w", *(f"x{number}" for number in range(_COVARIATES))]
    lines = [",".join(names)]
    for _ in range(_ROWS):
        xs = [rng.gauss(0, 1) for _ in range(_COVARIATES)]
        w = int(rng.random() < 0.5)
        y = 1 + 0.5 * w + sum(xs) / 4 + rng.gauss(0, 1)
        lines.append(",".join([f"{y:.4f}", str(w), *(f"{x:.4f}" for x in xs)]))
    return ("\n".join(lines) + "\n").encode()


@contextmanager
def _engines(folder: Path) -> Iterator[tuple[httpx.Client, httpx.Client]]:
    with _engine(folder / "plain", CQOX_KEYS="none") as plain, _engine(folder / "sealed", CQOX_KEYS="file") as sealed:
        yield plain, sealed


@contextmanager
def _engine(folder: Path, **variables: str) -> Iterator[httpx.Client]:
    port = free_port()
    environment = {
        **os.environ,
        "CQOX_DATA_DIR": str(folder),
        "CQOX_LOG_LEVEL": "error",
        "CQOX_ENGINE_PORT": str(port),
        **variables,
    }
    process = subprocess.Popen([sys.executable, "-m", "services.engine"], env=environment)
    try:
        wait(port, "/health/ready", 200)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120, trust_env=False) as client:
            yield client
    finally:
        process.terminate()
        process.wait(40)
