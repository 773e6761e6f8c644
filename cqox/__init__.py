"""CQOx: causal answers with honest uncertainty, and the resilience library that keeps them coming.

`cqox.analyze(df, y=…, treatment=…)` answers from a data frame or a file, `cqox.preview` says what it would use and
could find, `cqox.roles(df)` suggests which column plays which role, and `cqox.power` plans a study; these need the
extra `engine`. `cqox.Client(url)` asks a server for the same reports and needs the extra `client`. `cqox.resilience`
needs anyio alone.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from cqox import forks as _forks  # noqa: F401 - from here on it watches forks

if TYPE_CHECKING:
    from cqox.api import methods
    from cqox.api.calls import analyze, analyze_async, roles, roles_async
    from cqox.api.previews import preview, preview_async
    from cqox.api.reference import catalog, definitions
    from cqox.api.report import Report
    from cqox.api.session import Session
    from cqox.client import AsyncClient, Client
    from cqox.planning import power
    from cqox.sources import sql

__all__ = [
    "AsyncClient",
    "Client",
    "Report",
    "Session",
    "analyze",
    "analyze_async",
    "catalog",
    "definitions",
    "methods",
    "power",
    "preview",
    "preview_async",
    "roles",
    "roles_async",
    "sql",
]

_MODULES = {
    "AsyncClient": "cqox.client",
    "Client": "cqox.client",
    "Report": "cqox.api.report",
    "Session": "cqox.api.session",
    "analyze": "cqox.api.calls",
    "analyze_async": "cqox.api.calls",
    "catalog": "cqox.api.reference",
    "definitions": "cqox.api.reference",
    "methods": "cqox.api.methods",
    "power": "cqox.planning",
    "preview": "cqox.api.previews",
    "preview_async": "cqox.api.previews",
    "roles": "cqox.api.calls",
    "roles_async": "cqox.api.calls",
    "sql": "cqox.sources",
}
_OF_CLIENTS = ("AsyncClient", "Client", "Report")


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'cqox' has no attribute {name!r}")
    try:
        module = import_module(_MODULES[name])
    except ModuleNotFoundError as error:
        from cqox.parts import is_installed

        if is_installed(error.name or ""):
            raise
        extra = "client" if name in _OF_CLIENTS else "engine"
        raise ModuleNotFoundError(
            f"cqox.{name} needs {error.name}, which is not installed: pip install 'cqox[{extra}]'", name=error.name
        ) from error
    found = globals()[name] = module if name == "methods" else getattr(module, name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
