"""Do verdicts on series and synthetic controls hold in simulated studies? The share of GO, by design.

Assumptions are declared only where they are true. The gate `precision` is left out: it is no part of what is tested
here, and scales by the outcome's deviation.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from cqox import diagnostics as judge
from cqox.estimators import Data
from tests.diagnostics.looking import judged
from tests.estimators.designs import factor_panel, row_keys
from tests.validation import Validated, record

pytestmark = pytest.mark.slow

REPLICATIONS = 200
SERIES = ("interrupted_series", "interrupted_series_forecast")
SYNTHETIC = ("synthetic_control", "synthetic_did")


def errors(rng: np.random.Generator, before: int, after: int, dependence: float, louder: float) -> np.ndarray:
    shocks = rng.standard_normal(before + after + 200)
    for place in range(1, len(shocks)):
        shocks[place] += dependence * shocks[place - 1]
    found = shocks[200:] * np.sqrt(1 - dependence**2)
    found[before:] *= louder
    return found


def study(
    seed: int, before: int = 60, after: int = 24, *, dependence: float = 0.3, louder: float = 1.0, effect: float = 0.0,
    event: float = 0.0, curve: float = 0.0, control: bool = False,
) -> Data:  # fmt: skip
    """A series with errors of standard deviation 1; the event moves the control series as well."""
    rng, time = np.random.default_rng(10_000 + seed), np.arange(before + after)
    post = (time >= before).astype(float)
    y = 10 + 0.05 * time + errors(rng, before, after, dependence, louder)
    y += (effect + event) * post + curve * (time / before) ** 2
    data = Data(
        n=len(y), y=y, post=post, time=time, time_values=time.astype(float), row_key=row_keys(y, post),
        names={"y": ("y",), "time": ("time",), "post": ("post",)},
    )  # fmt: skip
    if not control:
        return data
    other = 5 + 0.5 * (errors(rng, before, after, dependence, 1.0) + event * post)
    return replace(data, proxy_outcome=other[:, None], names={**data.names, "proxy_outcome": ("other",)})


def donors(seed: int, count: int, effect: float, own: float = 0.0) -> Data:
    data = factor_panel(count, seed=900 + seed, treated=1, effect=effect, covariates=False)
    walk = np.random.default_rng(seed).standard_normal(30).cumsum()
    return replace(data, y=data.y + own * (data.unit == 0) * walk[data.time])


EVENT, TREND = "no_concurrent_event", "stable_trend"
STUDIES: tuple[tuple[str, Callable[[int], Data], tuple[str, ...], tuple[str, ...], bool], ...] = (
    ("a clear series", lambda seed: study(seed, effect=3.0), SERIES, (EVENT, TREND), True),
    ("a clear series, AR(1) .5, 36 and 12 periods", lambda seed: study(seed, 36, 12, dependence=0.5, effect=4.0),
     SERIES, (EVENT, TREND), True),
    ("a clear series with a control series", lambda seed: study(seed, effect=4.0, control=True), SERIES, (TREND,),
     True),
    ("a clear series with a control series, nothing declared",
     lambda seed: study(seed, dependence=0.0, effect=6.0, control=True), SERIES, (), True),
    ("no effect, AR(1) .8", lambda seed: study(seed, dependence=0.8), SERIES, (EVENT, TREND), False),
    ("no effect, the variance triples", lambda seed: study(seed, 40, 10, dependence=0.0, louder=3**0.5), SERIES,
     (EVENT, TREND), False),
    ("no effect, a curve before", lambda seed: study(seed, curve=4.0), SERIES, (EVENT,), False),
    ("no effect, a stronger curve", lambda seed: study(seed, curve=10.0), SERIES, (EVENT,), False),
    ("no effect, a concurrent event that a control series shows", lambda seed: study(seed, event=3.0, control=True),
     SERIES, (TREND,), False),
    ("a clear effect, 20 donors", lambda seed: donors(seed, 20, 3.0), SYNTHETIC, ("donor_match",), True),
    ("a clear effect, 40 donors", lambda seed: donors(seed, 40, 3.0), SYNTHETIC, ("donor_match",), True),
    ("no effect, donors that do not fit", lambda seed: donors(seed, 30, 0.0, own=1.0), SYNTHETIC, (), False),
)  # fmt: skip


@pytest.mark.timeout(3_000)
@pytest.mark.parametrize(("name", "make", "only", "assumes", "good"), STUDIES, ids=[row[0] for row in STUDIES])
def test_verdicts_hold(
    name: str, make: Callable[[int], Data], only: tuple[str, ...], assumes: tuple[str, ...], good: bool
) -> None:
    went = 0
    for seed in range(REPLICATIONS):
        found = judged(make(seed), only=only, assignment="unknown", assumes=list(assumes))
        gates = {gate: value for gate, value in found.gates.items() if gate != "precision"}
        decision = judge.decide(
            found.primary, found.estimates, gates, better="higher", minimum_effect=0.0, alpha=0.05,
            identification=found.identification,
        )  # fmt: skip
        went += decision.verdict == "GO"
    share = went / REPLICATIONS
    record(
        Validated(
            design=f"study: {name}", estimator=only[0], replications=REPLICATIONS, rows=make(0).n,
            note=f"GO {share:.3f} without the gate on precision",
        )
    )  # fmt: skip
    # Wilson's 99% interval must leave room for 80% of good studies, and for 5% of those without an effect.
    centre, half = wilson(share, REPLICATIONS)
    assert centre + half >= 0.8 if good else centre - half <= 0.05, share


def wilson(share: float, count: int) -> tuple[float, float]:
    """Centre and half width of the 99% interval of a share."""
    z = 2.576
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    return centre, z / (1 + z * z / count) * np.sqrt(share * (1 - share) / count + z * z / (4 * count**2))
