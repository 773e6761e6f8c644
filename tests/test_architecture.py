"""What the import contracts cannot say: no private module is imported from outside its package."""

import grimp
import pytest


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
    # What imports none of the rest is taken away until nothing is left; a circle stays.
    while removable := [child for child, others in imports.items() if not others]:
        for child in removable:
            del imports[child]
        for others in imports.values():
            others.difference_update(removable)
    assert imports == {}
