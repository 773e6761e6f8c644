"""Runs one command on the result store that the settings name."""

import logging
import os
from collections.abc import Awaitable, Callable

import trio
from rich.console import Console

from cqox.analysis.results import StoreAddresses, open_store
from cqox.errors import CqoxError
from cqox.storage import ResultStore
from services.config.configuration import SettingsError, load
from services.config.settings import Settings

__all__ = ["run"]

_USAGE = 2


def run(command: Callable[[ResultStore, Settings], Awaitable[int]]) -> int:
    """What the command returns; 1 where the store or a file cannot be used, 2 for a setting that cannot be."""
    console = Console(stderr=True, highlight=False)
    # What goes wrong ends the command with one message; the attempts before it are no news.
    logging.getLogger().addHandler(logging.NullHandler())
    try:
        settings = load(os.environ).settings
        return trio.run(_run, command, settings)
    except (SettingsError, ValueError) as error:
        console.print(str(error), style="red", markup=False, soft_wrap=True)
        return _USAGE
    except (CqoxError, OSError) as error:
        console.print(str(error), style="red", markup=False, soft_wrap=True)
        return 1


async def _run(command: Callable[[ResultStore, Settings], Awaitable[int]], settings: Settings) -> int:
    settings.data_dir.mkdir(0o700, parents=True, exist_ok=True)
    async with open_store(settings.data_dir, StoreAddresses(postgres_url=settings.postgres_url)) as store:
        return await command(store, settings)
