"""The result of one estimator."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from cqox.contract.messages import Message
from cqox.estimators.data import Vector

__all__ = ["Estimate", "Json", "Status"]

type Json = bool | int | float | str | list[Json] | dict[str, Json] | None
"""A JSON value; numbers are finite."""

type Status = Literal["ok", "warning", "skipped", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A point estimate with its uncertainty, or the reason for its absence.

    Attributes:
        name: catalog name of the estimator.
        family: its design family.
        estimand: the target parameter: ATE, ATT, ATC, ATO, LATE, ...
        status: `ok`; `warning` (computed, with a caveat in `warnings`); `skipped` (does not apply, see `reason`);
            `failed` (raised, see `reason`). The numbers of the last two are None.
        estimate: the point estimate, in units of y (for each unit of a continuous treatment).
        standard_error: on the same scale.
        ci_lower, ci_upper: the interval at the requested level; an infinite bound is None with a warning that says so.
        p_value: two-sided, of the null hypothesis of no effect.
        se_method: the name of the standard error in the literature: HC1, CRV1, M-estimation, ...
        n: rows used.
        n_effective: effective rows under the estimator's weights; n where it does not weight.
        influence: (n_total,) influence function values by row of the data, 0 for rows not used; None where none exists.
        diagnostics: numbers and tables about this estimate, finite or None.
        warnings: caveats, each a sentence.
        reason: why it was skipped or failed, a sentence that a user can act on.
        seconds: elapsed time; set by the caller that ran the estimator.
    """

    name: str
    family: str
    estimand: str
    status: Status
    estimate: float | None = None
    standard_error: float | None = None
    ci_lower: float | None = None
    ci_upper: float | None = None
    p_value: float | None = None
    se_method: str | None = None
    n: int | None = None
    n_effective: float | None = None
    influence: Vector | None = None
    diagnostics: Mapping[str, Json] = field(default_factory=dict)
    warnings: tuple[Message, ...] = ()
    reason: Message | None = None
    seconds: float | None = None
