"""The answer of a power calculation."""

from dataclasses import dataclass, fields
from typing import Literal

from cqox.contract.messages import Language, Message
from cqox.planning.arguments import Unknown

__all__ = ["Assigned", "PowerReport"]

type Assigned = Literal["row", "cluster", "unit", "pair"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerReport:
    """Sample size, smallest detectable effect or power of a planned study, with what it was computed from.

    Attributes:
        unknown: which of `effect`, `n` and `power` was computed.
        effect: in units of the outcome, or as a difference of rates.
        relative_effect: the effect over the baseline; None without a baseline.
        standardized_effect: the effect in standard deviations of the outcome.
        n: rows of both arms; units of a panel.
        power: probability that the test finds the effect: what was asked for, or computed.
        attained_power: power at whole numbers in the arms; no less than `power`, but by rounding of the effect.
        alpha, one_sided: level of the test, and whether it is of one direction.
        assigned: what is assigned to an arm, in which `control` and `treated` count.
        control, treated: number in each arm.
        clusters, cluster_size: number of clusters and mean rows of one; None without clusters.
        periods_before, periods_after: None for a study of one period.
        baseline: mean, or rate, without treatment.
        standard_deviation: of the outcome, without treatment.
        r2: share of the variance that covariates explain.
        icc, design_effect: intra-cluster correlation, and the factor by which clusters raise the variance.
        standard_error: of the estimate at this size and effect.
        degrees_of_freedom: of the standard error; None for a normal statistic.
        curve: pairs of a size and the smallest effect that it detects with `power`, or 80% where power was computed.
        headline: the answer as a sentence.
        method: the test, the formula and its paper.
        assumptions: what the answer rests on, a sentence each.
    """

    unknown: Unknown
    effect: float
    relative_effect: float | None
    standardized_effect: float | None
    n: int
    power: float
    attained_power: float
    alpha: float
    one_sided: bool
    assigned: Assigned
    control: int
    treated: int
    clusters: int | None
    cluster_size: float | None
    periods_before: int | None
    periods_after: int | None
    baseline: float | None
    standard_deviation: float | None
    r2: float
    icc: float | None
    design_effect: float | None
    standard_error: float
    degrees_of_freedom: float | None
    curve: tuple[tuple[int, float], ...]
    headline: Message
    method: Message
    assumptions: tuple[Message, ...]

    def to_dict(self) -> dict[str, object]:
        """Return every attribute as JSON values; sentences are messages, which are strings."""
        found: dict[str, object] = {each.name: getattr(self, each.name) for each in fields(self)}
        return found | {"curve": [list(point) for point in self.curve], "assumptions": list(self.assumptions)}

    def text(self, language: Language = "en") -> str:
        """Return headline, method and assumptions, a line each, in a language."""
        sentences = (self.headline, self.method, *self.assumptions)
        first, *rest = (sentence.in_language(language) for sentence in sentences)
        return "\n".join([first, *(f"- {line}" for line in rest)])

    def __str__(self) -> str:
        return self.text()
