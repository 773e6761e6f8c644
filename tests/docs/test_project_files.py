"""The files for those who work on the project say what is true of it now."""

import importlib.util
import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
FILES = (
    "CITATION.cff", "CONTRIBUTING.md", "SECURITY.md", ".editorconfig", ".pre-commit-config.yaml",
    ".github/workflows/test.yaml", "docs/architecture.md", "docs/decisions/README.md", "docs/glossary.md",
    "docs/upstream.md",
)  # fmt: skip
RECORDS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
PAGES = sorted((*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")))
WITH_PATHS = [
    ROOT / "CONTRIBUTING.md", ROOT / "docs" / "architecture.md", ROOT / "docs" / "glossary.md",
    ROOT / "docs" / "upstream.md", *RECORDS,
]  # fmt: skip
_PATH = re.compile(r"`((?:cqox|services|tests|docs|deploy|benchmarks)/[\w./-]*\w)`")
_LIBRARY_PATH = re.compile(r"`((?:circuit|retry|limits|deadlines|pipeline|propagation|runtime|composition)/[\w.]*)`")


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def anchors(page: Path) -> set[str]:
    """Return the anchors of the headings of a page, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    plain = (re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower() for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in plain}


def targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):(?!=)", read("Makefile"), re.MULTILINE))


def program_of(module: str) -> ModuleType:
    """Load a program of `docs`, which is no package."""
    spec = importlib.util.spec_from_file_location(f"docs_{module}", ROOT / "docs" / f"{module}.py")
    assert spec is not None
    assert spec.loader is not None
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    return program


@pytest.mark.parametrize("name", FILES)
def test_the_file_exists_and_is_not_empty(name: str) -> None:
    assert (ROOT / name).stat().st_size > 100


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_to_a_heading_finds_it(page: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#([^)]+)\)", page.read_text(encoding="utf-8")):
        assert anchor in anchors((page.parent / target) if target else page), f"{target}#{anchor}"


@pytest.mark.parametrize("page", WITH_PATHS, ids=name_of)
def test_every_file_and_package_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = {*_PATH.findall(text), *(f"cqox/resilience/{path}" for path in _LIBRARY_PATH.findall(text))}
    if page.name == "CONTRIBUTING.md":
        named -= {"cqox/x/y.py", "services/x/y.py", "tests/x/test_y.py", "tests/services/x/test_y.py"}
    assert sorted(path for path in named if not (ROOT / path).exists()) == []


@pytest.mark.parametrize("page", WITH_PATHS, ids=name_of)
def test_every_test_that_a_page_names_exists(page: Path) -> None:
    tests = {
        word
        for path in (ROOT / "tests").rglob("test_*.py")
        for word in re.findall(r"def (test_\w+)", path.read_text(encoding="utf-8"))
    }
    assert set(re.findall(r"`(test_\w+)`", page.read_text(encoding="utf-8"))) <= tests


def test_every_page_is_reached_from_the_index() -> None:
    index = {(ROOT / "docs" / target).resolve() for target in re.findall(r"\]\(([^)#]+)", read("docs/README.md"))}
    records = {
        (ROOT / "docs" / "decisions" / target).resolve()
        for target in re.findall(r"\]\(([^)#]+)", read("docs/decisions/README.md"))
    }
    assert {page for page in (ROOT / "docs").glob("*.md") if page.name != "README.md"} <= index
    assert records == set(RECORDS)


@pytest.mark.parametrize("page", RECORDS, ids=lambda page: page.stem)
def test_a_record_has_a_number_a_date_and_its_parts_and_stays_short(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    number = int(page.name[:4])
    assert number == RECORDS.index(page) + 1
    assert text.startswith(f"# {number}. ")
    assert re.search(r"^Date: \d{4}-\d\d-\d\d\. Status: (in force|replaced by record \d+)\.$", text, re.MULTILINE)
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences"]
    assert len(text.splitlines()) <= 30


def test_the_index_of_records_has_their_titles() -> None:
    listed = re.findall(r"^(\d+)\. \[([^]]+)\]", read("docs/decisions/README.md"), re.MULTILINE)
    titles = [re.match(r"# (\d+)\. (.+)", page.read_text(encoding="utf-8")) for page in RECORDS]
    assert listed == [title.groups() for title in titles if title is not None]


def test_the_diagrams_are_those_of_the_import_contracts() -> None:
    program = program_of("layers")
    page = read("docs/architecture.md")
    assert program.with_diagrams(page, program.contracts()) == page, "run: python docs/layers.py"
    drawn = re.findall(r"<!-- layers: ([^>]+) -->", page)
    assert drawn == [one["name"] for one in program.contracts() if one["type"] == "layers"]


def test_a_diagram_has_a_node_for_each_layer_without_what_all_names_share() -> None:
    assert program_of("layers").diagram(["a.b.top", "a.b.left | a.b.right", "a.b.c : a.b.d"]) == (
        'flowchart TB\n    L0["top"]\n    L1["left | right"]\n    L2["c : d"]\n    L0 --> L1\n    L1 --> L2\n'
    )


def test_every_target_that_the_pages_name_exists() -> None:
    for name in ("CONTRIBUTING.md", "README.md", "SECURITY.md"):
        text = read(name)
        named = re.findall(r"`(?:\w+=\S+ )?make (?:\w+=\S+ )?([a-z][a-z-]*)", text)
        named += re.findall(r"^    make ([a-z][a-z-]*)", text, re.MULTILINE)
        assert set(named) <= targets(), name


def test_contributing_describes_every_target() -> None:
    assert targets() - set(re.findall(r"\bmake (?:\w+=\S+ )?([a-z-]+)", read("CONTRIBUTING.md"))) == set()


def test_the_citation_has_what_the_format_requires_and_the_version_of_the_package() -> None:
    citation = yaml.safe_load(read("CITATION.cff"))
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors", "date-released"} <= citation.keys()
    assert citation["version"] == PROJECT["project"]["version"]
    assert citation["license"] == PROJECT["project"]["license"]
    assert [author["name"] for author in citation["authors"]] == [
        author["name"] for author in PROJECT["project"]["authors"]
    ]
    assert f"## {citation['version']} - {citation['date-released']}" in read("CHANGELOG.md")


def test_hosted_ci_calls_make_test_on_every_python_that_is_supported() -> None:
    workflow = yaml.safe_load(read(".github/workflows/test.yaml"))
    job = workflow["jobs"]["test"]
    assert any(step.get("run", "").startswith("make test") for step in job["steps"])
    versions = job["strategy"]["matrix"]["python"]
    assert PROJECT["project"]["requires-python"] == f">={versions[0]}"
    assert versions == ["3.13", "3.14"]


def test_hooks_run_what_make_check_runs() -> None:
    hooks = yaml.safe_load(read(".pre-commit-config.yaml"))["repos"][0]["hooks"]
    assert all(hook["language"] == "system" for hook in hooks)
    entries = " ".join(hook["entry"] for hook in hooks)
    for command in ("ruff format", "ruff check", "mypy", "make check"):
        assert command in entries


def test_the_source_distribution_has_every_page_that_the_readme_links() -> None:
    included = PROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", read("README.md")):
        assert f"/{target.partition('/')[0]}" in included, target


def test_the_programs_of_the_reports_for_upstream_can_be_read() -> None:
    text = read("docs/upstream.md")
    blocks = re.findall(r"(?:^    .*\n|^\n(?=    ))+", text, re.MULTILINE)
    assert len(blocks) >= 8
    for block in blocks:
        compile(re.sub(r"^    ", "", block, flags=re.MULTILINE), "docs/upstream.md", "exec")
