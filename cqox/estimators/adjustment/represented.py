"""Rows, weights and balance of a source population that stands for a target, and doubts of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cqox.contract.messages import Message
from cqox.estimators.estimate import Json
from cqox.estimators.sample import ARMS, listed

__all__ = ["Represented"]

_FEW = 0.2
_FAR_APART = 0.1
_ROWS_PER_COEFFICIENT = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Represented:
    """Rows of a source, weighted by their odds of the target.

    Attributes:
        source_rows: rows of the source.
        target_rows: rows of the target.
        by_arm: untreated and treated rows of the source.
        effective: Kish's effective number of source rows under the weights.
        largest_share: the largest weight's share of all.
        differences: standardised mean differences between target and source of each covariate, before and after
            weighting; None where it does not vary in the target.
        propensity_known: whether the probability of treatment was given.
    """

    source_rows: int
    target_rows: int
    by_arm: tuple[int, int]
    effective: float
    largest_share: float
    differences: Mapping[str, tuple[float | None, float | None]]
    propensity_known: bool

    def details(self) -> dict[str, Json]:
        """Return the diagnostics of an estimate."""
        return {
            "source_rows": self.source_rows,
            "target_rows": self.target_rows,
            "ess_source": self.effective,
            "largest_weight_share": self.largest_share,
            "standardised_differences": {label: list(pair) for label, pair in self.differences.items()},
            "propensity": "given" if self.propensity_known else "logit",
            "source_rows_by_arm": {"untreated": self.by_arm[0], "treated": self.by_arm[1]},
        }

    def warnings(
        self, *, coefficients: int, clustered: bool, weighted: bool, unseen: Sequence[str], fits: Sequence[Message]
    ) -> list[Message]:
        """Return what makes an estimate doubtful.

        Args:
            coefficients: of an arm's regression.
            clustered: whether clusters are mapped, whose numbers are judged instead of the rows.
            weighted: whether the estimate uses the weights.
            unseen: covariates that vary in the target alone.
            fits: warnings of the logits.
        """
        warnings: list[Message] = []
        if unseen:
            warnings.append(Message("adjustment.constant-in-source", covariates=listed(unseen, 3)))
        if weighted:
            warnings += fits
        fewest = min(self.by_arm)
        if not clustered and fewest < _ROWS_PER_COEFFICIENT * coefficients:
            smaller = ARMS[int(self.by_arm[1] <= self.by_arm[0])]
            warnings.append(
                Message("adjustment.few-rows-in-source", arm=smaller, rows=fewest, coefficients=coefficients)
            )
        if self.effective < _FEW * self.source_rows:
            warnings.append(
                Message("adjustment.poor-overlap-of-source", rows=self.source_rows, effective=self.effective)
            )
        far = [label for label, (_, after) in self.differences.items() if after is not None and abs(after) > _FAR_APART]
        if far and weighted:
            warnings.append(Message("adjustment.populations-differ", covariates=listed(far, 3), deviations=_FAR_APART))
        return warnings
