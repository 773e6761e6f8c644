"""The reference of the Python interface, and that nothing public is undocumented."""

import griffe
import pytest

from tools.site import api


@pytest.fixture(scope="module")
def collection() -> griffe.ModulesCollection:
    return api.load()


@pytest.mark.parametrize("module", [page.module for page in api.MODULES] + ["cqox.api"])
def test_every_public_name_has_a_docstring(collection: griffe.ModulesCollection, module: str) -> None:
    assert api.undocumented(collection, module) == []


def test_every_page_has_the_names_of_its_module(collection: griffe.ModulesCollection) -> None:
    pages = api.pages(collection)
    assert set(pages) == {
        "cqox.md", "contract.md", "errors.md", "frames.md", "resilience.md", "resilience-testing.md", "tasks.md",
    }  # fmt: skip
    for page in api.MODULES:
        text = pages[api.file_of(page.module)]
        names = [name for name, _ in api.members(collection, page.module)]
        assert names
        assert [name for name in names if f"\n## `{name}`\n" not in text] == []


def test_a_page_has_signature_arguments_and_errors(collection: griffe.ModulesCollection) -> None:
    text = api.pages(collection)["cqox.md"]
    analyze = text[text.index("## `analyze`\n") : text.index("## `analyze_async`")]
    assert "    **keywords: Unpack[Keywords],\n) -> Report\n" in analyze
    assert "- `read`: how to read a file" in analyze
    assert "**Raises**\n\n- `InputError`: " in analyze
    assert "### `Report.to_frame`" in text


def test_every_section_of_a_docstring_is_understood(
    collection: griffe.ModulesCollection, caplog: pytest.LogCaptureFixture
) -> None:
    api.pages(collection)
    assert [record.getMessage() for record in caplog.records if record.name.startswith("griffe")] == []


def test_examples_of_a_docstring_are_code(collection: griffe.ModulesCollection) -> None:
    pages = api.pages(collection)
    assert [name for name, text in pages.items() if "DocstringSectionKind" in text] == []
    client = pages["cqox.md"].partition("## `Client`\n")[2]
    assert '**Examples**\n\n```python\nwith cqox.Client("http://localhost:8082") as client:\n' in client


def test_a_session_in_a_docstring_is_fenced() -> None:
    docstring = griffe.Docstring("One.\n\nExamples:\n    Two.\n\n    >>> 1 + 1\n    2\n")
    assert api._sections(docstring) == "One.\n\n**Examples**\n\nTwo.\n\n```pycon\n>>> 1 + 1\n2\n```"


def test_a_section_without_a_form_is_refused() -> None:
    with pytest.raises(ValueError, match="kind warns"):
        api._sections(griffe.Docstring("One.\n\nWarns:\n    UserWarning: Two.\n"))


def module_of(source: str) -> griffe.ModulesCollection:
    collection = griffe.ModulesCollection()
    collection["m"] = griffe.visit("m", filepath="m.py", code=source, modules_collection=collection)  # type: ignore[arg-type]
    return collection


def test_what_has_no_docstring_is_found() -> None:
    source = (
        '__all__ = ["A", "b", "c"]\nc = 1\n"""C."""\ndef b(): ...\n'
        'class A:\n    """A."""\n    def d(self): ...\n    def _e(self): ...\n    @property\n    def f(self): ...\n'
    )
    assert api.undocumented(module_of(source), "m") == ["m.A.d", "m.A.f", "m.b"]


def test_a_name_that_does_not_exist_is_refused() -> None:
    with pytest.raises(LookupError, match="names x"):
        api.undocumented(module_of('__all__ = ["x"]'), "m")


def test_descriptions_of_the_fields_of_a_model_are_listed(collection: griffe.ModulesCollection) -> None:
    text = api.pages(collection)["contract.md"]
    assert "- `relative`: The estimate over the baseline" in text
