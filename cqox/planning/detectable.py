"""The smallest effect that data detect as they are, and the power for one effect, without the curve of other sizes."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from cqox.errors import InputError
from cqox.planning.answer import answer
from cqox.planning.arguments import Arguments
from cqox.planning.facts import with_given
from cqox.planning.periods import facts_of_periods
from cqox.planning.report import PowerReport
from cqox.planning.rows import facts_of_rows

if TYPE_CHECKING:
    from cqox.planning.columns import Frame

__all__ = ["detectable"]


def detectable(
    data: "Frame",
    *,
    y: str,
    treatment: str,
    cluster: str | None = None,
    unit: str | None = None,
    time: str | None = None,
    covariates: Sequence[str] = (),
    alpha: float,
    better: Literal["higher", "lower"],
    effect: float | None = None,
    times: float = 1.0,
) -> tuple[PowerReport, PowerReport | None]:
    """Return the smallest effect that data of this size detect with 80% power, and the power for an effect.

    The numbers are those of `power`, without its curve.

    Args:
        data: as in `power`.
        y: as in `power`.
        treatment: as in `power`.
        cluster: as in `power`.
        unit: as in `power`.
        time: as in `power`.
        covariates: as in `power`.
        alpha: as in `power`.
        better: as in `power`.
        effect: an effect in units of y; None for none. The second report is None also if no such effect can be.
        times: size of the study over that of the data, which are a sample of it.

    Raises:
        UnusableData: the data do not fit the design, or no effect has the power.
    """
    given = Arguments(alpha=alpha, better=better)
    who = cluster or unit
    if time is not None and who is not None:
        facts = facts_of_periods(data, y, unit=who, time=time, treatment=treatment, before=None, after=None)
    else:
        facts = facts_of_rows(data, y, treatment=treatment, cluster=cluster, covariates=covariates)
    facts = with_given(facts, given)
    found = answer(given, facts, "effect", curve=False)
    if times != 1.0:
        given = replace(given, n=round(found.n * times))
        found = answer(given, facts, "effect", curve=False)
    if effect is None:
        return found, None
    try:
        return found, answer(replace(given, effect=effect, n=found.n), facts, "power", curve=False)
    except InputError:
        return found, None
