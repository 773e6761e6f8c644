"""Analyses of many designs and outcomes, so that every panel about analyses has something to show."""

from collections.abc import Iterator

import httpx
import numpy as np

__all__ = ["analyze_variously"]

_ROWS = 240


def analyze_variously(client: httpx.Client) -> None:
    """Upload data sets and analyse them: trials, biased studies, a panel, one that gives no number, and repetitions.

    Raises:
        httpx.HTTPStatusError: an upload was refused; what becomes of an analysis is up to the data.
    """
    for name, columns, mapping, options in _studies(np.random.default_rng(7)):
        uploaded = client.post("/api/datasets", params={"name": name}, content=_csv(columns)).raise_for_status().json()
        body = {"dataset_id": uploaded["dataset_id"], "mapping": mapping, "options": options}
        # The second time it is answered by the report of the first one.
        for _ in range(2):
            client.post("/api/analyze/comprehensive", json=body)


def _csv(columns: dict[str, np.ndarray]) -> bytes:
    lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    return "\n".join(lines).encode()


def _studies(
    rng: np.random.Generator,
) -> Iterator[tuple[str, dict[str, np.ndarray], dict[str, object], dict[str, object]]]:
    treatment = np.arange(_ROWS) % 2
    x = np.round(rng.normal(size=_ROWS), 3)
    mapping: dict[str, object] = {"y": "y", "treatment": "treatment", "covariates": ["x"]}
    randomized = {"assignment": "randomized", "better": "higher", "minimum_effect": 0.2}
    # Two uploads of a trial with the same columns: a question of each, and a baseline that moves between them.
    for month, base in (("april", 10.0), ("may", 12.0)):
        y = np.round(base + treatment + x + rng.normal(size=_ROWS), 3)
        trial = {"treatment": treatment, "y": y, "x": x}
        yield f"trial-{month}.csv", trial, mapping, {**randomized, "refute": 40}
    yield f"trial-{month}.csv", trial, mapping, {**randomized, "minimum_effect": 1.0, "refute": 5}
    yield f"trial-{month}.csv", trial, mapping, {**randomized, "minimum_effect": 3.0}
    # Who is treated depends on a covariate so much that hardly anybody can be compared.
    chosen = (x + rng.normal(scale=0.2, size=_ROWS) > 0).astype(int)
    biased = {"treatment": chosen, "y": np.round(3 * x + chosen + rng.normal(size=_ROWS), 3), "x": x}
    yield "biased.csv", biased, mapping, {"assignment": "unconfounded", "better": "higher", "refute": 40}
    yield "biased.csv", biased, mapping, {"assignment": "randomized", "better": "higher"}
    # The same, without the covariate in the mapping.
    yield "biased.csv", biased, {"y": "y", "treatment": "treatment"}, {"assignment": "randomized", "better": "higher"}
    # Nobody can be compared with the one row that is treated.
    single = {"treatment": (np.arange(_ROWS) == 0).astype(int), "y": np.round(rng.normal(size=_ROWS), 3), "x": x}
    yield "single.csv", single, mapping, randomized
    # Units over time, with trends that part before the treatment.
    unit, week = np.repeat(np.arange(40), 12), np.tile(np.arange(12), 40)
    treated = (unit % 2 == 0) & (week >= 6)
    sales = np.round(unit + week * (1 + (unit % 2 == 0)) + 2.0 * treated + rng.normal(size=unit.size), 3)
    yield (
        "weeks.csv",
        {"unit": unit, "week": week, "treatment": treated.astype(int), "sales": sales},
        {"y": "sales", "treatment": "treatment", "unit_id": "unit", "time": "week"},
        {"assignment": "unconfounded", "better": "higher", "minimum_effect": 0.5},
    )
