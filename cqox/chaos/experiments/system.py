"""The system that an experiment breaks, as the runner sees it. A package that can start one implements `System`."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import httpx

from cqox.chaos.experiments.experiment import Experiment, Fault

__all__ = ["Health", "Opener", "System", "SystemUnusable"]


class SystemUnusable(Exception):
    """A part that an experiment needs cannot be had on this machine; the message says which and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The answer of one process to `/health/ready`.

    Attributes:
        name: of the process, such as `engine-1`.
        status: HTTP status; 0 without an answer.
        degraded: the reason for each part that is missing.
    """

    name: str
    status: int
    degraded: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_well(self) -> bool:
        """True where it is ready and lacks nothing."""
        return self.status == httpx.codes.OK and not self.degraded


class System(Protocol):
    """A running system, all of whose processes the experiment has started.

    Attributes:
        client: sends requests with valid credentials; a fault may replace it, so it is looked up for each request.
        notes: sentences on what this machine does otherwise than the experiment says.
    """

    client: httpx.AsyncClient
    notes: list[str]

    async def health(self, component: str) -> Sequence[Health]:
        """Return the health of each process of a component, asked without any proxy."""

    def log(self, component: str) -> str:
        """Return the logs of all processes of a component."""

    def processes(self, component: str) -> Mapping[str, str]:
        """Return an identity of each process of a component that changes with a new start."""

    def broken(self, fault: Fault) -> AbstractAsyncContextManager[None]:
        """Have a fault meanwhile: it begins on entering and is taken away on leaving, also by a cancellation."""


type Opener = Callable[[Experiment, Path], AbstractAsyncContextManager[System]]
"""Starts the system that an experiment needs in an empty folder, and ends it on leaving.

It raises `SystemUnusable` where that cannot be had here.
"""
