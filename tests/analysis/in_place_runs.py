"""Analyses of files where they are."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl

from cqox.analysis.run import Finished, analyze_in_place
from cqox.contract import AnalyzeRequest, parse_model

ROWS = 6_000
MAPPING: dict[str, object] = {"y": "y", "treatment": "t", "covariates": ["x0", "x1", "region", "flag", "at"]}


def sales() -> pl.DataFrame:
    """Rows with columns of every kind."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(ROWS, 2))
    region = np.array(["north", "南", "it's"])[rng.integers(0, 3, ROWS)]
    region[17] = "rare"
    treated = rng.random(ROWS) < 1 / (1 + np.exp(-0.5 * x[:, 0]))
    y = treated + x[:, 0] + 0.4 * (region == "南") + rng.normal(size=ROWS)
    x[::97, 1] = np.nan
    return pl.DataFrame(
        {
            "y": y,
            "t": treated.astype(int),
            "region": region,
            "x0": x[:, 0],
            "x1": pl.Series(x[:, 1]).fill_nan(None),
            "flag": rng.random(ROWS) < 0.3,
            "at": pl.Series(1_600_000_000_000_000 + rng.integers(0, 10**13, ROWS)).cast(pl.Datetime("us")),
            "unit": np.arange(ROWS) // 2 - 500,
            "id": np.arange(ROWS) * 3,
            "Y": rng.normal(size=ROWS),
        }
    )


def request(mapping: Mapping[str, object], **options: object) -> AnalyzeRequest:
    return parse_model(AnalyzeRequest, {"dataset_id": "d", "mapping": mapping, "options": options})


def in_files(folder: Path, mapping: Mapping[str, object], *, key: str | None = None, **options: object) -> Finished:
    files = sorted(str(path) for path in folder.iterdir() if path.suffix == ".parquet")
    place: dict[str, object] = {"source": "lake", "table": "t", "files": files, "key": key, "snapshot": "s1"}
    return analyze_in_place(place, request(mapping, **options), folder, threads=2, on_step=lambda _: None)
