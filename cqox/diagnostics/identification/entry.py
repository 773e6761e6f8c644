"""One entry of the ledger: an assumption, the evidence on it, and the status that follows.

A test supports an assumption only if it could have failed and had the power to; a declaration backs what no test
contradicts, and never beats a contradiction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from cqox.contract import Assumption, DataFinding, Options
from cqox.contract.messages import Message
from cqox.estimators import Estimate, Json, Plan

__all__ = ["NO_EVIDENCE", "Evidence", "Judged", "assumption"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The request, its data and its results, from which the ledger is written.

    Attributes:
        plan: the contrast's plan.
        chosen: the primary estimate, with a number.
        estimates: all estimates of the contrast.
        diagnostics: from `diagnose`, by name.
        options: the request's options.
        findings: on the data; None where they were not looked for.
    """

    plan: Plan
    chosen: Estimate
    estimates: Sequence[Estimate]
    diagnostics: Mapping[str, Json]
    options: Options
    findings: Sequence[DataFinding] | None = None

    def declares(self, name: str) -> bool:
        """Return whether the request vouches for an assumption by name."""
        return name in (self.options.assumes or ())

    @property
    def seen(self) -> float:
        """Return |estimate - minimum effect|, the size that an undetected departure is compared with."""
        sign = 1.0 if self.options.better == "higher" else -1.0
        return abs((self.chosen.estimate or 0.0) - sign * self.options.minimum_effect)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The results of the tests of an assumption.

    Attributes:
        sentences: one for each test, with its numbers.
        supports: the tests could have failed, had the power to, and did not.
        contradicts: a test failed.
        unmet: one sentence for each condition of support that the tests do not meet, with the number there and the
            number needed. It follows the evidence of an untested entry.
    """

    sentences: tuple[Message, ...] = ()
    supports: bool = False
    contradicts: bool = False
    unmet: tuple[Message, ...] = ()


NO_EVIDENCE = Evidence()


def assumption(
    name: str,
    statement: Message,
    evidence: Evidence,
    *,
    declared: bool,
    remedy: Message | None,
    caps: bool = True,
) -> Assumption:
    """Return an entry with the status that its evidence and declaration give.

    Args:
        name: name of the assumption, as `options.assumes` takes it.
        statement: what must be true, one sentence.
        evidence: what its tests say.
        declared: whether the request vouches for it.
        remedy: what would settle it, None where nothing is left to do.
        caps: whether, left untested and undeclared, it holds the verdict at CANARY.
    """
    status: Literal["supported", "declared", "untested", "contradicted"]
    if evidence.contradicts:
        status = "contradicted"
    elif evidence.supports:
        status = "supported"
    else:
        status = "declared" if declared else "untested"
    return Assumption(
        name=name, statement=statement, status=status, caps=caps,
        evidence=evidence.sentences + (evidence.unmet if evidence.sentences and status == "untested" else ()),
        remedy=None if status in ("supported", "declared") else remedy,
    )  # fmt: skip
