"""A plugin of pytest that hides private names of AnyIO, Trio and asyncio from the library, as if they had been renamed.

`pytest -p tests.resilience.hidden_names tests/resilience`. The other libraries keep their names, which they need
themselves: the modules of ours that use them are compiled with other names in their places.
"""

import ast
import sys
from collections.abc import Iterator, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

import pytest

__all__ = ["LOST", "MODULES", "hide", "own_names", "sources"]

LIBRARY = Path(__file__).parents[2] / "cqox"

# The only modules that may use private names of others.
MODULES = frozenset(f"cqox.resilience.runtime.{name}" for name in ("event_loop", "joined_tasks", "scope_ids"))

# Tests of what those names alone make possible, with what is lost without them.
LOST = {
    "runtime/test_joined_tasks.py": "children of gather and threads of pools see the deadline of the block that waits",
    "where_scopes_around_it_or_of_their_own_end_sooner[asyncio": "a deadline is in force in tasks with further scopes",
    "runs_under_the_time_that_its_caller_gave_it[fastapi-": "plain handlers see the deadline in threads of pools",
    "runs_under_the_time_that_its_caller_gave_it[fastapi on trio-": "likewise",
    "runs_under_the_time_that_its_caller_gave_it[quart-": "likewise",
    "test_scope_deadline.py::test_a_thread_of_the_pool_sees_it_in_real_time": "likewise, of the scopes around a block",
    "test_a_deadline_ends_the_wait_and_the_connection_gives_no_old_reply[sync": "commands run in threads of a pool",
    "test_grpc.py::test_the_time_left_is_the_deadline_of_the_call": "interceptors run in a task of their own",
    "_scope_identity_": "the identity of a scope, which saves time",
}

# `asyncio.__all__` has it.
PUBLIC = frozenset({"_", "_get_running_loop"})


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith(("__", "_cqox")) and name not in PUBLIC


class Hiding(ast.NodeTransformer):
    """Renames private attributes of others, also in strings.

    Attributes:
        hidden: the names that were renamed.
    """

    def __init__(self, own: frozenset[str]) -> None:
        self.own = own
        self.hidden: set[str] = set()

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        if not (isinstance(node.value, ast.Name) and node.value.id == "self"):
            node.attr = self.renamed(node.attr)
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if isinstance(node.value, str) and " " not in node.value:
            node.value = ".".join(map(self.renamed, node.value.split(".")))
        return node

    def renamed(self, name: str) -> str:
        if not is_private(name) or name in self.own:
            return name
        self.hidden.add(name)
        return f"{name}_renamed"


def own_names(source: str) -> frozenset[str]:
    """Return the names that the classes and functions of a module define: slots, attributes of `self`, methods."""
    names: set[object] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            names.add(node.attr)
        elif isinstance(node, ast.Assign):
            targets = {target.id for target in node.targets if isinstance(target, ast.Name)}
            names |= targets
            if "__slots__" in targets:
                names.update(leaf.value for leaf in ast.walk(node.value) if isinstance(leaf, ast.Constant))
    return frozenset(name for name in names if isinstance(name, str))


def hide(source: str, own: frozenset[str]) -> tuple[ast.AST, set[str]]:
    """Return the tree of `source` with other names in the places of private ones, and these."""
    hiding = Hiding(own)
    return hiding.visit(ast.parse(source)), hiding.hidden


def sources() -> Iterator[tuple[str, str]]:
    """Yield name and source of every module of the library."""
    for path in (LIBRARY / "tasks.py", LIBRARY / "errors.py", *sorted((LIBRARY / "resilience").rglob("*.py"))):
        name = ".".join(("cqox", *path.relative_to(LIBRARY).with_suffix("").parts))
        yield name.removesuffix(".__init__"), path.read_text()


class HidingLoader(SourceFileLoader):
    """Compiles a module without private names of others."""

    def get_code(self, fullname: str) -> CodeType:
        source = Path(self.path).read_text()
        return compile(hide(source, own_names(source))[0], self.path, "exec")  # type: ignore[arg-type]


class HidingFinder(MetaPathFinder):
    """Finds the modules that use private names."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in MODULES:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        assert spec is not None
        assert spec.origin is not None
        spec.loader = HidingLoader(fullname, spec.origin)
        return spec


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    """Hide the names before any conftest imports the library."""
    assert not MODULES & set(sys.modules), "the library is imported already"
    sys.meta_path.insert(0, HidingFinder())


def pytest_configure(config: pytest.Config) -> None:
    # A worker of xdist imports its plugins after its conftests.
    seen = {name for name in MODULES & set(sys.modules) if not isinstance(sys.modules[name].__loader__, HidingLoader)}
    if seen:
        raise pytest.UsageError(f"{', '.join(seen)} saw the names before they were hidden: run with -n0")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    lost = [item for item in items if any(name in item.nodeid for name in LOST)]
    config.hook.pytest_deselected(items=lost)
    items[:] = [item for item in items if item not in lost]
