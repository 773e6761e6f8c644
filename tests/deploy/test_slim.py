"""Files that are taken out of the images, and services that do without them."""

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

from deploy.image import rehearse, slim
from services.http.contract.api import OPERATIONS
from tests.deploy.installs import LEFT_OUT

LIBRARY = Path(str(importlib.util.find_spec("zstandard.backend_c").origin))  # type: ignore[union-attr]


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("cqox", "services", cache_dir=None)


def test_a_gateway_reaches_nothing_that_its_image_lacks(graph: grimp.ImportGraph) -> None:
    """Functions that import something when they are called count as well."""
    taken = [path for path in slim.UNUSED["gateway"] if path.startswith(("cqox/", "services/"))]
    lacks = [path.strip("/").replace("/", ".") for path in (*taken, *LEFT_OUT["cqox"])]
    assert len(lacks) > 10
    for package in lacks:
        assert package in graph.modules
    started = {each for each in graph.modules if each.startswith(("services.gateway.", "services.page"))}
    reached = started.union(*map(graph.find_upstream_modules, started))
    assert "cqox.resilience" in reached
    assert not [each for each in reached if any(f"{each}.".startswith(f"{package}.") for package in lacks)]


def test_a_library_without_symbols_is_smaller_and_does_what_it_did(tmp_path: Path) -> None:
    package = tmp_path / "zstandard"
    shutil.copytree(LIBRARY.parent, package)
    file = package / LIBRARY.name
    before = file.stat()
    slim.strip(file)
    assert file.stat().st_size < before.st_size / 2
    assert file.stat().st_mode == before.st_mode
    program = (
        "import zstandard as z; assert z.decompress(z.compress(b'a' * 9)) == b'a' * 9; print(z.backend_c.__file__)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(file)


def test_a_library_that_is_not_understood_stays_as_it_is() -> None:
    library = LIBRARY.read_bytes()
    assert len(slim.without_symbols(library)) < len(library)
    for other in (b"", b"text", library[:5] + b"\x02" + library[6:], library + b"appended"):
        assert slim.without_symbols(other) == other


def test_what_is_for_compilers_and_tests_of_packages_goes(tmp_path: Path) -> None:
    files = (
        "p/a.py",
        "p/a.pyi",
        "p/tests/b.py",
        "p/_tests/b.py",
        "p/inc/c.h",
        "zstandard/_cffi.cpython-313.so",
        "pygments/lexers/sql.py",
    )
    kept = (
        "p/a.py",
        "p/py.typed",
        "pygments/lexers/python.py",
        "zstandard/backend_c.cpython-313.so",
        "cqox/datasets/d.py",
    )
    for name in (*files, *kept):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    slim.slim("engine", tmp_path)
    assert {str(each.relative_to(tmp_path)) for each in tmp_path.rglob("*") if each.is_file()} == set(kept)


def test_a_rehearsal_asks_for_paths_that_the_services_have() -> None:
    text = Path(rehearse.__file__).read_text(encoding="utf-8")
    paths = {each.path.replace("{analysis_id}", "{report['analysis_id']}") for each in OPERATIONS}
    asked = set(re.findall(r'"(/api/[^"?]+)', text))
    assert asked
    assert asked <= paths
