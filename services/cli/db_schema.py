"""`cqox db migrate` and `cqox db status`: migrations of the schema."""

from rich.console import Console
from rich.table import Table

from cqox.storage import ResultDatabase
from services.cli.db_session import run
from services.config.settings import Settings

__all__ = ["migrate", "status"]


def migrate(*, finish: bool = False) -> int:
    """Apply all pending migrations, and with `finish` the step for several tenants."""
    return run(_finish if finish else _migrate)


def status() -> int:
    """Show the migrations; return 1 where one is pending."""
    return run(_status)


async def _migrate(store: ResultDatabase, settings: Settings) -> int:
    done = await store.migrate()
    print(f"{done} step{'' if done == 1 else 's'} applied." if done else "The schema is up to date.")
    return 0


async def _finish(store: ResultDatabase, settings: Settings) -> int:
    await _migrate(store, settings)
    if await store.finish():
        print("The store can hold several tenants. Earlier releases refuse it from now on.")
    else:
        print("The store could hold several tenants already.")
    return 0


async def _status(store: ResultDatabase, settings: Settings) -> int:
    steps = await store.migrations()
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("step", "what", "applied"):
        table.add_column(heading)
    for step in steps:
        absent = "with the second tenant" if step.finishes else "pending"
        table.add_row(str(step.number), step.name, absent if step.applied_at is None else step.applied_at or "yes")
    Console(highlight=False).print(table)
    return 1 if any(step.applied_at is None and not step.finishes for step in steps) else 0
