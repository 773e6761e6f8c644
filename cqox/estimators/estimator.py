"""A catalog entry: an estimator's description, its applicability rule, and its computation."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from cqox.contract.messages import Message, of
from cqox.errors import UnusableData
from cqox.estimators.estimate import Estimate
from cqox.estimators.plan import Plan

__all__ = ["CROSS_SECTION_LAWS", "TREATMENT_KINDS", "Estimator", "Law"]

type Law = Literal[
    "row_permutation",
    "outcome_affine",
    "outcome_scale",
    "irrelevant_constant",
    "collinear_copy",
    "half_weights",
    "flip_treatment",
    "scale_treatment",
    "chunk_size",
    "threads",
]
"""A transformation of the data under which the estimate changes in a known way.

row_permutation: another row order gives the same numbers. outcome_affine: y → a + b·y multiplies the estimate by b and
the standard error by |b|. outcome_scale: the same for y → b·y, where the estimate is a level and not an effect.
irrelevant_constant: an additional constant covariate changes nothing. collinear_copy: nor does a duplicate of a
covariate. half_weights: every row twice at half its weight gives the same point estimate. flip_treatment: T → 1 − T
reverses the sign; the estimand is then that of `Estimator.flipped`. scale_treatment: T → c·T divides the estimate by c.
chunk_size, threads: block size and number of threads change nothing.
"""

CROSS_SECTION_LAWS: frozenset[Law] = frozenset(
    {
        "row_permutation",
        "outcome_affine",
        "irrelevant_constant",
        "collinear_copy",
        "half_weights",
        "flip_treatment",
        "chunk_size",
        "threads",
    }
)
"""The laws of every estimator of a two-armed cross-section."""

TREATMENT_KINDS = {
    "binary": Message("estimators.binary"),
    "continuous": Message("estimators.continuous"),
    "none": Message("estimators.no-treatment"),
}
"""The kinds of treatment for a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimator:
    """One entry of the catalog.

    Attributes:
        name: its name in requests and reports.
        family: its design family, which is its module.
        estimand: the target parameter: ATE, ATT, LATE, ...
        summary: one sentence for the user, with the identifying assumption.
        requires: roles that must be mapped.
        optional: roles that are used if mapped.
        standard_error: the default standard error, in words.
        paper: the source, with the equation.
        doi: of that paper.
        checked_against: the reference implementation whose numbers it reproduces.
        laws: its invariances and equivariances; tested for every entry.
        treatment: the kinds of treatment that it accepts.
        rule: the reason why it does not apply to these data although every required role is mapped; None if it applies.
        compute: returns the estimate; may raise `UnusableData` for problems that only the computation can detect.
        flipped: the estimator that T → 1 − T must reproduce with the opposite sign; the estimator itself where None.
    """

    name: str
    family: str
    estimand: str
    summary: str
    requires: tuple[str, ...]
    optional: tuple[str, ...] = ()
    standard_error: str
    paper: str
    doi: str | None = None
    checked_against: str
    laws: frozenset[Law]
    treatment: frozenset[Literal["binary", "continuous", "none"]] = frozenset({"binary"})
    rule: Callable[[Plan], Message | None]
    compute: Callable[[Plan], Estimate]
    flipped: Callable[[Plan], Estimate] | None = None

    def applies(self, plan: Plan) -> Message | None:
        """Return None if the estimator applies to the plan's data, else a reason that the user can act on."""
        missing = [role for role in self.requires if not plan.has(role)]
        if missing:
            return _missing(missing, [role for role in missing if plan.data.names.get(role)])
        if "treatment" in self.requires and plan.data.treatment_kind not in self.treatment:
            label, kind = plan.label("treatment"), TREATMENT_KINDS[plan.data.treatment_kind]
            if "binary" in self.treatment:
                return Message("estimators.needs-two-levels", treatment=label, kind=kind)
            return Message("estimators.needs-amount", treatment=label, kind=kind)
        try:
            return self.rule(plan)
        except UnusableData as error:
            return of(error.detail)

    def run(self, plan: Plan) -> Estimate:
        """Return the estimate from the plan's data.

        Raises:
            UnusableData: the data cannot support it, for a reason that only the computation can detect.
        """
        return self.compute(plan)


def _missing(missing: list[str], constant: list[str]) -> Message:
    """Return the reason why roles are missing, of which some name only columns that do not vary."""
    roles = [Message("estimators.role", role=role) for role in missing]
    if constant:
        return Message("estimators.constant-role", roles=roles, constant=constant[0])
    if len(missing) > 1:
        return Message("estimators.missing-roles", roles=roles)
    return Message("estimators.missing-role", role=missing[0])
