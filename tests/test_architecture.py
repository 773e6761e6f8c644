"""Rules that import contracts cannot express: no private import from outside, no circles, sizes, mirrored tests."""

import ast
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[1]
MOST_LINES = 400


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("cqox", "services", cache_dir=None)


def is_private(module: str) -> bool:
    return any(part.startswith("_") and not part.startswith("__") for part in module.split("."))


def private_from_outside(graph: grimp.ImportGraph) -> list[str]:
    return sorted(
        f"{importer} -> {module}"
        for module in graph.modules
        if is_private(module)
        for importer in graph.find_modules_that_directly_import(module)
        if not importer.startswith(module.rpartition(".")[0])
    )


def test_no_private_module_is_imported_from_outside_its_package(graph: grimp.ImportGraph) -> None:
    assert private_from_outside(graph) == []


def test_a_private_import_from_outside_is_found(graph: grimp.ImportGraph) -> None:
    graph.add_import(importer="services.cli", imported="cqox.figures._typeface")
    assert private_from_outside(graph) == ["services.cli -> cqox.figures._typeface"]


def circle(imports: dict[str, set[str]]) -> set[str]:
    """The modules that import each other in a circle, with all that imports one of them."""
    left = {module: set(imported) for module, imported in imports.items()}
    # What imports none of the rest is taken away until nothing is left; a circle stays.
    while removable := {module for module, imported in left.items() if not imported}:
        left = {module: imported - removable for module, imported in left.items() if module not in removable}
    return set(left)


@pytest.mark.parametrize("package", ["cqox.resilience", "cqox.estimators", "services.http"])
def test_packages_import_each_other_one_way(graph: grimp.ImportGraph, package: str) -> None:
    children = [child for child in graph.find_children(package) if graph.find_children(child)]
    imports = {
        child: {
            other
            for other in children
            if other != child and graph.direct_import_exists(importer=child, imported=other, as_packages=True)
        }
        for child in children
    }
    assert circle(imports) == set()


def test_no_modules_of_the_resilience_library_import_each_other_in_a_circle(graph: grimp.ImportGraph) -> None:
    # Imports in functions and for typing count as well.
    modules = {module for module in graph.modules if module.startswith("cqox.resilience")}
    imports = {module: graph.find_modules_directly_imported_by(module) & modules for module in modules}
    assert circle(imports) == set()
    imports["cqox.resilience.pipeline.part"].add("cqox.resilience.pipeline.decorate")
    assert "cqox.resilience.pipeline.part" in circle(imports)


def test_no_module_is_long() -> None:
    modules = [path for package in ("cqox", "services") for path in (ROOT / package).rglob("*.py")]
    lines = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in modules}
    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}


def has_public_function(module: ast.Module) -> bool:
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    members = [
        each for node in module.body if isinstance(node, ast.ClassDef) and node.name[0] != "_" for each in node.body
    ]
    return any(isinstance(node, functions) and node.name[0] != "_" for node in (*module.body, *members))


def test_every_module_with_a_public_function_has_a_test_file_of_its_own() -> None:
    lacking = []
    for path in sorted((*ROOT.glob("cqox/**/*.py"), *ROOT.glob("services/**/*.py"))):
        folder = path.relative_to(ROOT / "cqox" if path.is_relative_to(ROOT / "cqox") else ROOT).parent
        mirrored = ROOT / "tests" / folder / f"test_{path.stem.lstrip('_')}.py"
        if path.stem.startswith("__") or mirrored.exists():
            continue
        if has_public_function(ast.parse(path.read_text(encoding="utf-8"))):
            lacking.append(str(mirrored.relative_to(ROOT)))
    assert lacking == []
