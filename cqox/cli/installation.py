"""Parts of the commands that depend on whether the services are installed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cqox.cli.doctor.check import Check

__all__ = ["LIBRARY", "Installation", "StorePlace"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StorePlace:
    """The place of the reports of the services.

    Attributes:
        data_dir: the data directory.
        postgres_url: the PostgreSQL database; a SQLite file in the data directory if empty.
    """

    data_dir: Path
    postgres_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """The parts of the commands that depend on whether the services are installed.

    Attributes:
        checks: further checks of `doctor`, from the environment.
        store: the result store by the environment; it raises `CqoxError` for an invalid setting.
    """

    checks: Callable[[Mapping[str, str]], Sequence[Check]]
    store: Callable[[Mapping[str, str]], StorePlace]


def _store(environ: Mapping[str, str]) -> StorePlace:
    from cqox.cli.environment import data_dir_of

    return StorePlace(data_dir=data_dir_of(environ), postgres_url=environ.get("POSTGRES_URL", "").strip())


LIBRARY = Installation(checks=lambda environ: (), store=_store)
"""The library alone."""
