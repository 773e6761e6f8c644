"""What is told of a schema, whatever the backend."""

from dataclasses import dataclass

__all__ = ["MigrationStatus"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationStatus:
    """One step of a schema.

    Attributes:
        number: from 1, in order.
        name: what it does.
        applied_at: when it was applied, ISO 8601; None where it is pending; empty where that is not recorded.
    """

    number: int
    name: str
    applied_at: str | None
