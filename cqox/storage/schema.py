"""Status of schema migrations, for every backend."""

from dataclasses import dataclass

__all__ = ["FINISHED", "FINISHING", "MigrationStatus"]

FINISHED = 1001
"""Number of the step after which earlier releases, which know no tenants, refuse the schema; above every other."""

FINISHING = "several tenants"


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationStatus:
    """One schema migration.

    Attributes:
        number: from 1, in order.
        name: short description.
        applied_at: when it was applied, ISO 8601; None if pending; empty if not recorded.
        finishes: whether earlier releases refuse the schema from this step on. It is applied at the first second
            tenant or on request, and is not pending before that.
    """

    number: int
    name: str
    applied_at: str | None
    finishes: bool = False
