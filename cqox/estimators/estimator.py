"""What a catalog entry is: an estimator's description, the rule by which it applies, and its computation."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from cqox.errors import UnusableData
from cqox.estimators.estimate import Estimate
from cqox.estimators.plan import Plan

__all__ = ["CROSS_SECTION_LAWS", "Estimator", "Law"]

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
"""A transformation of the data under which the estimate moves in a known way.

row_permutation: any order of the rows, same numbers. outcome_affine: y → a + b·y multiplies estimate and standard error
by b and |b|. outcome_scale: so does y → b·y, where the estimate is a level and not an effect. irrelevant_constant: one
more covariate that never varies changes nothing. collinear_copy: nor does one that repeats another. half_weights: every
row twice at half its weight, same point estimate. flip_treatment: T → 1 − T changes the sign; what is then estimated is
`Estimator.flipped`. scale_treatment: T → c·T divides the estimate by c. chunk_size, threads: how the rows are cut into
blocks, and by how many threads they are read, changes nothing.
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
"""What every estimator of a two-armed cross-section obeys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimator:
    """One entry of the catalog.

    Attributes:
        name: its name in requests and reports.
        family: its design family, the module that it lives in.
        estimand: what it estimates: ATE, ATT, LATE, ...
        summary: one sentence for people, with the identifying assumption.
        requires: roles without which it does not apply.
        optional: roles that it uses where they are mapped.
        standard_error: the default standard error, in words.
        paper: where it comes from, with the equation.
        doi: of that paper.
        checked_against: the program whose numbers it equals.
        laws: the laws that it obeys; tested for every entry.
        treatment: the kinds of treatment that it takes.
        rule: why it does not apply to these data although every required role is mapped; None where it applies.
        compute: the estimate; may raise `UnusableData` for what only computing can find out.
        flipped: what T → 1 − T must give with the opposite sign; the estimator itself where None.
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
    rule: Callable[[Plan], str | None]
    compute: Callable[[Plan], Estimate]
    flipped: Callable[[Plan], Estimate] | None = None

    def applies(self, plan: Plan) -> str | None:
        """None where it applies to the plan's data, else a reason that a user can act on."""
        missing = [role for role in self.requires if not plan.has(role)]
        if missing:
            roles = " and ".join(f"'{role}'" for role in missing)
            named = [role for role in missing if plan.data.names.get(role)]
            if named:
                return f"It needs {roles}, and nothing of what is mapped as {named[0]} can be used: it never varies."
            return f"It needs the role{'s' if len(missing) > 1 else ''} {roles}, which the mapping does not name."
        kind = plan.data.treatment_kind
        if "treatment" in self.requires and kind not in self.treatment:
            needed = "of two levels" if "binary" in self.treatment else "that is an amount (map it as 'dose')"
            return f"It needs a treatment {needed}; '{plan.label('treatment')}' is {kind}."
        try:
            return self.rule(plan)
        except UnusableData as error:
            return error.detail

    def run(self, plan: Plan) -> Estimate:
        """The estimate from the plan's data.

        Raises:
            UnusableData: the data cannot support it, for a reason that only computing could find out.
        """
        return self.compute(plan)
