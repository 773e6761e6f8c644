"""Do 95% intervals of interrupted series hold the truth where errors are autoregressive? 1,000 replications.

The seeds are 20240 + replication. Newey and West's standard error is run as well, to show why it is not the one that
is reported.
"""

import math
from dataclasses import replace

import numpy as np
import pytest

from cqox.estimators import Data, Plan, Settings, catalog, run
from tests.estimators.designs import EFFECT, series
from tests.validation import Validated, half_width, record

pytestmark = pytest.mark.slow

FIRST_SEED = 20_240
REPLICATIONS = 1_000


def monthly(data: Data) -> Data:
    """The series by months that a calendar knows, with a year in them."""
    month = np.arange(len(data.time_values))
    days = (np.datetime64("2001-01") + month).astype("datetime64[D]")
    year = 2 * np.sin(2 * np.pi * month / 12 + 1) + np.cos(4 * np.pi * month / 12)
    labels = tuple(str(day) for day in days)
    return replace(data, y=data.y + year[data.time], time_values=days.astype(float), time_labels=labels)


@pytest.mark.timeout(1_200)
@pytest.mark.parametrize(
    ("before", "after", "dependence", "seasons"),
    [
        (60, 40, 0.0, False),
        (60, 40, 0.3, False),
        (60, 40, 0.5, False),
        (60, 40, 0.7, False),
        (36, 24, 0.4, False),
        (60, 40, 0.4, True),
        (36, 24, 0.3, True),
    ],
)
def test_intervals_cover_under_autoregressive_errors(
    before: int, after: int, dependence: float, seasons: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = next(entry for entry in catalog() if entry.name == "interrupted_series")
    values, errors, classical, inside = [], [], [], 0
    for replication in range(REPLICATIONS):
        data = series(before, after, FIRST_SEED + replication, dependence=dependence)
        result = run(entry, Plan(monthly(data) if seasons else data, Settings(season_pairs=2 if seasons else None)))
        values.append(result.estimate)
        errors.append(result.standard_error)
        reported = result.diagnostics["standard_errors"]
        classical.append(next(error for name, error in reported.items() if name.startswith("Newey-West")))
        inside += result.ci_lower <= EFFECT <= result.ci_upper
    bias, sd, rate = float(np.mean(values)) - EFFECT, float(np.std(values, ddof=1)), inside / REPLICATIONS
    ratio, plain = float(np.mean(errors)) / sd, float(np.mean(classical)) / sd
    with capsys.disabled():
        print(
            f"\nAR {dependence}, {before}+{after}{' months' if seasons else ''}: coverage {rate:.3f}  "
            f"bias {bias:+.4f}  sd {sd:.4f}  se/sd {ratio:.3f}  Newey-West {plain:.3f}"
        )
    record(
        Validated(
            design=f"a series of {before} and {after} {'months with seasons' if seasons else 'periods'}, errors AR(1) "
            f"{dependence}",
            estimator="interrupted_series",
            replications=REPLICATIONS,
            rows=before + after,
            truth=EFFECT,
            bias=bias,
            sd=sd,
            se_ratio=ratio,
            coverage=rate,
            note=f"Newey-West by its automatic lag: se/sd {plain:.2f}",
        )
    )
    half = half_width(rate, REPLICATIONS)
    assert rate + half >= 0.93
    assert rate - half <= 0.97
    assert abs(bias) <= 3 * sd / math.sqrt(REPLICATIONS) + 0.02 * sd
    assert ratio == pytest.approx(1.0, abs=0.07)
