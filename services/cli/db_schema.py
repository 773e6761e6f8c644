"""`cqox db migrate` and `cqox db status`: migrations of the schema."""

from rich.console import Console
from rich.table import Table

from cqox.storage import ResultStore
from services.cli.db_session import run
from services.config.settings import Settings

__all__ = ["migrate", "status"]


def migrate() -> int:
    """Apply all pending migrations."""
    return run(_migrate)


def status() -> int:
    """Show the migrations; return 1 where one is pending."""
    return run(_status)


async def _migrate(store: ResultStore, settings: Settings) -> int:
    done = await store.migrate()
    print(f"{done} step{'' if done == 1 else 's'} applied." if done else "The schema is up to date.")
    return 0


async def _status(store: ResultStore, settings: Settings) -> int:
    steps = await store.migrations()
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("step", "what", "applied"):
        table.add_column(heading)
    for step in steps:
        table.add_row(str(step.number), step.name, "pending" if step.applied_at is None else step.applied_at or "yes")
    Console(highlight=False).print(table)
    return 1 if any(step.applied_at is None for step in steps) else 0
