"""A column that may play a role, with the reasons."""

from dataclasses import dataclass

from cqox.contract.messages import Message

__all__ = ["MAPPED_AT", "RoleCandidate"]

MAPPED_AT = 0.5
"""Confidence from which a column is mapped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleCandidate:
    """A column that may play a role.

    Attributes:
        column: its name.
        confidence: between 0 and 1; an ordering, not a probability.
        reasons: what speaks for it and against it.
    """

    column: str
    confidence: float
    reasons: tuple[Message, ...]

    def to_json(self) -> dict[str, object]:
        """The candidate as `cqox.contract.RoleCandidate` has it."""
        return {"column": self.column, "confidence": self.confidence, "reasons": list(self.reasons)}
