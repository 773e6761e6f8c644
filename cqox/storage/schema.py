"""Status of schema migrations, for every backend."""

from dataclasses import dataclass

__all__ = ["MigrationStatus"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationStatus:
    """One schema migration.

    Attributes:
        number: from 1, in order.
        name: short description.
        applied_at: when it was applied, ISO 8601; None if pending; empty if not recorded.
    """

    number: int
    name: str
    applied_at: str | None
