"""Rates at which gates and ledger of a cutoff withhold GO from good studies, and notice bad ones.

400 replications of 1,000 rows; the score is normal, the outcome a sine of it with an effect of about five standard
errors. Seeds are 50160 + replication. Gates warn at 1%, so that each may warn in 1% of good studies but for the normal
approximation, and together they leave at least 90% of them GO.
"""

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from cqox.estimators import Data, Settings, Vector
from tests.diagnostics.looking import Judgement, judged
from tests.validation import Validated, half_width, record

pytestmark = pytest.mark.slow

FIRST_SEED, REPLICATIONS, ROWS = 50_160, 400, 1_000
RD = ("rd_local_linear", "rd_fuzzy", "rd_density_test")
GATES = ("manipulation", "covariate_continuity", "placebo_cutoffs", "polynomial_order", "bandwidth_sensitivity")
SHARP = ("no_manipulation", "continuity")
FUZZY = (*SHARP, "exclusion", "monotonicity")

type Rng = np.random.Generator


def data_of(score: Vector, x: Vector, y: Vector, treatment: Vector | None = None) -> Data:
    names = {"y": ("y",), "running": ("s",), "covariates": ("a", "b"), "propensity_covariates": ("a", "b")}
    return Data(
        n=len(y), y=y, running=score, cutoff=0.0, covariates=x, propensity_covariates=x, treatment=treatment,
        treatment_kind="none" if treatment is None else "binary", row_key=np.arange(len(y), dtype=np.uint64),
        names=names if treatment is None else {**names, "treatment": ("t",)},
    )  # fmt: skip


def drawn(rng: Rng) -> tuple[Vector, Vector, Vector]:
    """A score, two covariates that follow it, and an outcome without an effect."""
    score = rng.normal(0.2, 1.0, ROWS)
    x = rng.standard_normal((ROWS, 2)) + 0.3 * score[:, None]
    return score, x, np.sin(score) + 0.3 * x[:, 0] + 0.5 * rng.standard_normal(ROWS)


def sharp(rng: Rng) -> Data:
    score, x, y = drawn(rng)
    return data_of(score, x, y + 0.6 * (score >= 0))


def fuzzy(rng: Rng) -> Data:
    score, x, y = drawn(rng)
    treated = (rng.random(ROWS) < 0.1 + 0.7 * (score >= 0)).astype(float)
    return data_of(score, x, y + 0.9 * treated, treated)


def manipulated(rng: Rng) -> Data:
    """Most of those near below with a high residual move above: a jump of about 1.5 times the mean density."""
    score, x, y = drawn(rng)
    close = (score < 0) & (score > -0.5) & (y > np.sin(score) - 0.35)
    return data_of(np.where(close, -score, score), x, y)


def covariate(rng: Rng) -> Data:
    """A covariate that matters jumps, and the treatment has no effect."""
    score, x, y = drawn(rng)
    jump = 1.2 * (score >= 0)
    x[:, 0] += jump
    return data_of(score, x, y + 0.8 * jump)


def step(rng: Rng) -> Data:
    """The outcome also jumps at one of the placebo cutoffs; between two of them a step is rarely found."""
    score, x, y = drawn(rng)
    return data_of(score, x, y + 1.2 * (score >= np.quantile(score[score >= 0], 0.6)))


def bend(rng: Rng) -> Data:
    """A steep bend at the cutoff, without a jump, at a bandwidth that is far too wide."""
    score, x, y = drawn(rng)
    return data_of(score, x, y + np.tanh(4 * score))


def weak(rng: Rng) -> Data:
    """The treatment hardly jumps."""
    score, x, y = drawn(rng)
    treated = (rng.random(ROWS) < 0.4 + 0.06 * (score >= 0)).astype(float)
    return data_of(score, x, y + 0.9 * treated, treated)


FALSE = {manipulated: "no_manipulation", covariate: "continuity", step: "continuity", bend: "continuity"}
"""The assumption that is false in a bad study, and so is not declared."""


def judgements(draw: Callable[[Rng], Data], **settings: object) -> list[Judgement]:
    found = []
    for replication in range(REPLICATIONS):
        data = draw(np.random.default_rng(FIRST_SEED + replication))
        assumes = [name for name in (SHARP if data.treatment is None else FUZZY) if name != FALSE.get(draw)]
        found.append(judged(data, only=RD, settings=Settings(**settings), assignment="unknown", assumes=assumes))
    return found


def shares(found: list[Judgement]) -> tuple[dict[str, float], float]:
    """Share of the judgements that each gate does not pass, and the share of GO."""
    fired = Counter(name for each in found for name in GATES if each.gates[name].status in ("warn", "fail"))
    go = sum(each.decision.verdict == "GO" for each in found)
    return {name: fired[name] / len(found) for name in GATES}, go / len(found)


def written(design: str, estimator: str, fired: dict[str, float], go: float) -> None:
    note = "; ".join([f"GO {go:.3f}", *(f"{name} fires {share:.3f}" for name, share in fired.items())])
    print(design, note)
    record(Validated(design=design, estimator=estimator, replications=REPLICATIONS, rows=ROWS, note=note))


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("draw", [sharp, fuzzy])
def test_good_studies_at_a_cutoff_are_rarely_withheld_from_go(draw: Callable[[Rng], Data]) -> None:
    fired, go = shares(judgements(draw))
    written(f"Cutoff: good {draw.__name__} design", f"gates of {RD[draw is fuzzy]}", fired, go)
    assert max(fired.values()) <= 0.03 + half_width(0.01, REPLICATIONS), fired
    assert go >= 0.9 - half_width(0.9, REPLICATIONS)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("draw", "gate", "power"),
    [
        (manipulated, "manipulation", 0.9),
        (covariate, "covariate_continuity", 0.9),
        (step, "placebo_cutoffs", 0.6),
        (bend, "polynomial_order", 0.9),
        (weak, None, None),
    ],
)
def test_bad_studies_at_a_cutoff_are_noticed(
    draw: Callable[[Rng], Data], gate: str | None, power: float | None
) -> None:
    fired, go = shares(judgements(draw, **({"rd_bandwidth": 1.5} if draw is bend else {})))
    written(f"Cutoff: {draw.__name__}", f"gates of {RD[draw is weak]}", fired, go)
    if gate is not None and power is not None:
        assert fired[gate] >= power, fired
    if draw is not step:
        assert go <= 0.05
