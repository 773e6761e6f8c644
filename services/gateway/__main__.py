"""`python -m services.gateway`."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from services.http.server.startup import run_service

if TYPE_CHECKING:
    from services.config.settings import Settings
    from services.http.server.app import App


def _load() -> "Callable[[Settings], App]":
    from services.gateway import heap
    from services.gateway.app import create_app

    heap.keep_freed_memory()
    return create_app


if __name__ == "__main__":
    sys.exit(run_service("gateway", sys.argv[1:], _load))
