"""Running a command with the configured result store."""

import logging
import os
from collections.abc import Awaitable, Callable

import trio
from rich.console import Console

from cqox.analysis.stores import open_store
from cqox.cli.streams import is_of_output
from cqox.errors import CqoxError
from cqox.storage import ResultDatabase
from services.config.configuration import SettingsError, load
from services.config.settings import Settings
from services.config.vault import VaultAway
from services.engine.addresses import store_addresses
from services.engine.database_user import database_user

__all__ = ["run"]

_USAGE = 2


def run(command: Callable[[ResultDatabase, Settings], Awaitable[int]]) -> int:
    """Run a command on the store; return its status, 1 for an unusable store or file, or 2 for an invalid setting.

    Raises:
        OSError: standard output cannot be written.
    """
    console = Console(stderr=True, highlight=False)
    # An error ends the command with one message; log lines of retries before it are suppressed.
    logging.getLogger().addHandler(logging.NullHandler())
    try:
        with database_user(load(os.environ).settings) as settings:
            return trio.run(_run, command, settings)
    except (SettingsError, ValueError) as error:
        console.print(str(error), style="red", markup=False, soft_wrap=True)
        return 1 if isinstance(error, VaultAway) else _USAGE
    except (CqoxError, OSError) as error:
        if is_of_output(error):
            raise
        console.print(str(error), style="red", markup=False, soft_wrap=True)
        return 1


async def _run(command: Callable[[ResultDatabase, Settings], Awaitable[int]], settings: Settings) -> int:
    settings.data_dir.mkdir(0o700, parents=True, exist_ok=True)
    async with open_store(settings.data_dir, store_addresses(settings)) as store:
        return await command(store, settings)
