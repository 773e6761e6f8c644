"""Environment variables of the command line: limits of files and of memory, and the data directory.

The services have the same variables among their settings, with the same defaults and bounds.
"""

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cqox.analysis.bounds import Bounds
from cqox.contract.messages import Message
from cqox.environment import data_home, parse_size
from cqox.errors import InvalidRequest

__all__ = ["LIMITS", "Limit", "bounds_of", "check_variables", "data_dir_of"]

_GIB = 2**30
_PREFIX = "CQOX_"
_LEAST_ALIKE = 0.9
"""Share of letters in common from which a name is a slip of the pen; different settings have up to 0.85 in common."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A limit that a variable sets.

    Attributes:
        variable: the variable.
        default: the value without it.
        minimum: the smallest valid value.
        is_size: whether it is in bytes, and may have a unit.
    """

    variable: str
    default: int
    minimum: int = 1
    is_size: bool = False


LIMITS = {
    "max_bytes": Limit(variable="CQOX_MAX_UPLOAD_BYTES", default=1 * _GIB, is_size=True),
    "max_expanded_bytes": Limit(variable="CQOX_MAX_EXPANDED_BYTES", default=4 * _GIB, is_size=True),
    "max_rows": Limit(variable="CQOX_MAX_ROWS", default=20_000_000),
    "max_columns": Limit(variable="CQOX_MAX_COLUMNS", default=5_000),
    "worker_memory_bytes": Limit(
        variable="CQOX_WORKER_MEMORY_BYTES", default=4 * _GIB, minimum=_GIB // 2, is_size=True
    ),
}


def check_variables(environ: Mapping[str, str]) -> None:
    """Refuse a variable that is nearly one of the library; any other may be a setting of services elsewhere.

    Raises:
        InvalidRequest: there is no such variable; `choices` is the nearest.
    """
    known = [*(limit.variable for limit in LIMITS.values()), "CQOX_DATA_DIR"]
    for variable in sorted(name for name in environ if name.startswith(_PREFIX) and name not in known):
        near = difflib.get_close_matches(variable, known, n=1, cutoff=_LEAST_ALIKE)
        if near:
            raise InvalidRequest(Message("terminal.no-such-variable", variable=variable), choices=near)


def bounds_of(environ: Mapping[str, str]) -> Bounds:
    """Return the resource limits of a command: one computation that may use every CPU.

    Raises:
        InvalidRequest: a variable has an invalid value.
    """
    values = {name: _value(limit, environ) for name, limit in LIMITS.items()}
    memory = values.pop("worker_memory_bytes")
    return Bounds(
        analyses=1,
        threads=os.process_cpu_count() or 1,
        worker_memory_bytes=memory,
        standby=False,
        file_limits=values,
    )


def data_dir_of(environ: Mapping[str, str]) -> Path:
    """Return the data directory of the services of this user: `CQOX_DATA_DIR`, or the default."""
    given = environ.get("CQOX_DATA_DIR", "").strip()
    return Path(given).expanduser().absolute() if given else data_home(environ)


def _value(limit: Limit, environ: Mapping[str, str]) -> int:
    text = environ.get(limit.variable, "").strip()
    if not text:
        return limit.default
    number = parse_size(text) if limit.is_size else _whole(text)
    if number is None or number < limit.minimum:
        raise InvalidRequest(
            Message("terminal.unusable-variable", variable=limit.variable, least=limit.minimum, given=text)
        )
    return number


def _whole(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None
