"""Files and analyses that the clients of the simulation ask for, each with answers that are recorded once."""

from collections.abc import Mapping
from random import Random

__all__ = ["ANALYSES", "FIGURES", "FILES", "JOBS", "OWN_ANALYSES", "OWN_FILES"]


def _file(seed: int, rows: int) -> bytes:
    """Return a trial as CSV: y is 2 higher with treatment."""
    draw = Random(seed)
    lines = ["y,w,x1,x2"]
    for _ in range(rows):
        w, x1, x2 = draw.randrange(2), draw.gauss(0, 1), draw.gauss(0, 1)
        lines.append(f"{2 * w + x1 + draw.gauss(0, 1):.4f},{w},{x1:.4f},{x2:.4f}")
    return "\n".join(lines).encode() + b"\n"


FILES: dict[str, bytes] = {f"trial-{number}.csv": _file(number, 60 + 20 * number) for number in range(3)}
"""Files to upload, by name."""

_MAPPING = {"y": "y", "treatment": "w", "covariates": ["x1", "x2"]}


def _analysis(dataset: str, seed: int, estimator: str) -> Mapping[str, object]:
    return {"dataset": dataset, "mapping": _MAPPING, "options": {"seed": seed, "estimators": [estimator]}}


ANALYSES = [
    _analysis(dataset, seed, estimator)
    for dataset in ("test", *FILES)
    for seed, estimator in ((1, "ols_adjustment"), (2, "aipw"))
]
"""Analyses: `dataset` is a built-in data set or the name of a file; the rest is the request."""

JOBS = [_analysis(dataset, 3, "ipw_ate") for dataset in ("test", *FILES)]
"""Analyses that are asked for in the background."""

OWN_FILES: dict[str, bytes] = {f"own-{number}.csv": _file(10 + number, 50 + 10 * number) for number in range(4)}
"""Files of one client each, which uploads and deletes them, by name."""

OWN_ANALYSES = {name: _analysis(name, 5, "difference_in_means") for name in OWN_FILES}
"""The analysis of each of those files."""

FIGURES = 1
"""Number of figures of an analysis that are drawn."""
