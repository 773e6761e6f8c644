"""Parts of the commands that depend on whether the services are installed."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cqox.certificates import Credentials
from cqox.cli.doctor.check import Check
from cqox.contract.messages import Message
from cqox.errors import InvalidRequest

if TYPE_CHECKING:
    from cqox.encryption import KeyRing

__all__ = ["LIBRARY", "Installation", "StorePlace"]

_DATABASE_ROLE = "CQOX_VAULT_DATABASE_ROLE"


@dataclass(frozen=True, slots=True, kw_only=True)
class StorePlace:
    """The place of the reports of the services.

    Attributes:
        data_dir: the data directory.
        postgres_url: the PostgreSQL database; a SQLite file in the data directory if empty.
        credentials: certificates for TLS to it.
        ring: the keys of what is sealed; None where nothing is.
    """

    data_dir: Path
    postgres_url: str = ""
    credentials: Credentials | None = None
    ring: "KeyRing | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """The parts of the commands that depend on whether the services are installed.

    Attributes:
        check: refuses an environment; it raises `CqoxError` for an unknown variable or an invalid value.
        checks: further checks of `doctor`, from the environment.
        store: opens the way to the result store of the environment, with a user of a vault where there is one; it
            raises `CqoxError` for an invalid setting.
    """

    check: Callable[[Mapping[str, str]], None]
    checks: Callable[[Mapping[str, str]], Sequence[Check]]
    store: Callable[[Mapping[str, str]], AbstractContextManager[StorePlace]]


def _store(environ: Mapping[str, str]) -> AbstractContextManager[StorePlace]:
    from cqox.cli.environment import data_dir_of

    url = environ.get("POSTGRES_URL", "").strip()
    if url and environ.get(_DATABASE_ROLE, "").strip():
        raise InvalidRequest(Message("terminal.vault-needs-services", variable=_DATABASE_ROLE), field=_DATABASE_ROLE)
    return nullcontext(StorePlace(data_dir=data_dir_of(environ), postgres_url=url))


def _check(environ: Mapping[str, str]) -> None:
    from cqox.cli.environment import check_variables

    check_variables(environ)


LIBRARY = Installation(check=_check, checks=lambda environ: (), store=_store)
"""The library alone."""
