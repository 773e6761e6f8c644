"""`cqox rekey`: what is stored, encrypted under the newest keys."""

from collections.abc import Callable
from functools import partial

from anyio import to_thread
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from cqox.analysis.job_leases import maintain_once
from cqox.analysis.keyrings import check_mark, put_mark
from cqox.analysis.rekeying import Rekeyed, rekey, rotate
from cqox.analysis.stores import open_cache, open_volume
from cqox.contract import counted
from cqox.storage import DataDirectory, ResultDatabase, Sealing
from services.cli.db_check import every_tenant
from services.cli.db_session import run
from services.config.configuration import SettingsError
from services.config.settings import Settings
from services.engine.addresses import store_addresses
from services.engine.keyring import check_shared_ring, open_sealing

__all__ = ["rekey_all"]


def rekey_all(*, new_keys: bool, plain: bool) -> int:
    """Write everything as it would be written now, and print what was done; return 1 where something could not be.

    Args:
        new_keys: whether every tenant gets a new key first.
        plain: whether everything is written without encryption.
    """
    return run(partial(_rekey_all, new_keys=new_keys, plain=plain))


async def _rekey_all(store: ResultDatabase, settings: Settings, *, new_keys: bool, plain: bool) -> int:
    opened = open_sealing(settings)
    if opened.ring is None:
        raise SettingsError("CQOX_KEYS is none, so that there is no key to encrypt with: set it to file or vault.")
    check_shared_ring(settings)
    # Another ring would leave two, of which nobody knows what they open.
    await to_thread.run_sync(check_mark, settings.data_dir, opened)
    sealing = Sealing(opened.ring, seals=not plain)
    await store.migrate()
    volume = open_volume(settings.data_dir, store_addresses(settings, sealing=sealing))
    directory = DataDirectory(settings.data_dir, sealing=sealing, volume=volume)
    try:
        return await _each(store, settings, directory, sealing, new_keys=new_keys)
    finally:
        directory.close()


async def _each(
    store: ResultDatabase, settings: Settings, directory: DataDirectory, sealing: Sealing, *, new_keys: bool
) -> int:
    tenants, failures = await every_tenant(store, directory), 0
    if new_keys:
        await rotate(sealing, tenants)
    console = Console(stderr=True, highlight=False)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    async with open_cache(store_addresses(settings, sealing=sealing)) as cache:
        for tenant_id in tenants:
            with Progress(*columns, console=console, transient=True) as shown:
                task = partial(shown.update, shown.add_task(tenant_id))
                done = await rekey(
                    tenant_id,
                    database=store,
                    cache=cache,
                    directory=directory,
                    sealing=sealing,
                    progress=partial(_show, task, tenant_id),
                )
            print(f"{tenant_id}: {_said(done)}.")
            for failure in done.failures:
                print(f"{tenant_id}: not done: {failure}")
            if done.uploads:
                print(f"{tenant_id}: {counted(done.uploads, 'upload')} in pieces stay as they are, for a day at most.")
            failures += len(done.failures)
    # What killed engines and runs of this command have left may be as it was.
    await maintain_once(store, directory)
    if not failures:
        mark = Sealing() if not sealing.of(tenants[0]).is_on else sealing
        await directory.threaded(put_mark, settings.data_dir, mark)
    return 1 if failures else 0


def _show(update: Callable[..., None], tenant_id: str, done: Rekeyed) -> None:
    update(description=f"{tenant_id}: {_said(done)}")


def _said(done: Rekeyed) -> str:
    return f"{counted(done.datasets, 'data set')} and {counted(done.rows, 'row')} written again"
