"""CQOx: causal answers with honest uncertainty, and the resilience library that keeps them coming.

`cqox.analyze(df, y=…, treatment=…)` answers from a data frame or a file, and `cqox.roles(df)` suggests which column
plays which role, and `cqox.power` plans a study; these need the extra `engine`. `cqox.resilience` needs anyio alone.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cqox.api import Report, Session, analyze, analyze_async, catalog, definitions, methods, roles, roles_async, sql
    from cqox.planning import power

__all__ = [
    "Report",
    "Session",
    "analyze",
    "analyze_async",
    "catalog",
    "definitions",
    "methods",
    "power",
    "roles",
    "roles_async",
    "sql",
]

_MODULES = {"methods": "cqox.api.methods"}
_ELSEWHERE = {"power": "cqox.planning"}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'cqox' has no attribute {name!r}")
    try:
        found = (
            import_module(_MODULES[name])
            if name in _MODULES
            else getattr(import_module(_ELSEWHERE.get(name, "cqox.api")), name)
        )
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "cqox":
            raise
        raise ModuleNotFoundError(
            f"cqox.{name} needs {error.name}, which is not installed: pip install 'cqox[engine]'", name=error.name
        ) from error
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
