"""Estimates that checks judge, and the reason that a check states."""

from cqox.contract import Gate
from cqox.estimators import Estimate
from tests.diagnostics.looking import sentence

__all__ = ["NO_PRIMARY", "estimate", "said"]


def estimate(name: str = "aipw", family: str = "doubly_robust", estimand: str = "ATE", **fields: object) -> Estimate:
    return Estimate(
        name=name, family=family, estimand=estimand, status="ok", standard_error=0.2, ci_lower=0.6, ci_upper=1.4,
        **{"n": 100, "estimate": 1.0, **fields},
    )  # fmt: skip


NO_PRIMARY = ("gates.no-primary", {})


def said(gate: Gate) -> tuple[str, tuple[str, dict[str, object]] | None]:
    return gate.status, None if gate.reason is None else sentence(gate.reason)
