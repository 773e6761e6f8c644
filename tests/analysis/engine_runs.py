"""Analyses of one table in memory and by an engine."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from cqox.analysis.run import Finished, analyze
from cqox.contract import AnalyzeRequest, parse_model
from cqox.datasets import Limits, ReadOptions, read_table, write_parquet

ROWS = 6_000


def run(path: Path, mapping: dict[str, object], **options: object) -> Finished:
    request = parse_model(AnalyzeRequest, {"dataset_id": "d", "mapping": mapping, "options": options})
    return analyze(path, request, threads=2, on_step=lambda _: None)


def both(path: Path, mapping: dict[str, object], **options: object) -> tuple[Finished, Finished]:
    return run(path, mapping, engine="memory", **options), run(path, mapping, engine="duckdb", **options)


def sampled(estimate: dict[str, object]) -> list[str]:
    notes = estimate["diagnostics"].get("notes") or []
    return [note for note in notes if note.startswith("Computed from a sample of")]


def stored(folder: Path, **columns: object) -> Path:
    rng = np.random.default_rng(8)
    x = rng.normal(size=ROWS)
    treated = (rng.random(ROWS) < 1 / (1 + np.exp(-0.5 * x))).astype(int)
    base = {"y": treated + x + rng.normal(size=ROWS), "t": treated, "x": x, "unit": np.arange(ROWS) // 2}
    pl.DataFrame({**base, **columns}).write_csv(folder / "s.csv")
    write_parquet(read_table(folder / "s.csv", name="s", limits=Limits(), options=ReadOptions()), folder / "s.parquet")
    return folder / "s.parquet"


STORED: dict[str, object] = {"y": "y", "treatment": "t", "covariates": ["x"], "unit_id": "unit"}


def same_estimate(memory: Finished, engine: Finished) -> None:
    left, right = (each.report["estimates"][0] for each in (engine, memory))
    assert not sampled(left)
    assert left["estimate"] == pytest.approx(right["estimate"], rel=1e-9)
    assert left["standard_error"] == pytest.approx(right["standard_error"], rel=1e-9)
