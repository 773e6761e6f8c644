"""Pages of the Python interface, made from signatures and docstrings by griffe."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import griffe

__all__ = ["MODULES", "Page", "load", "members", "pages", "undocumented"]

_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of the reference.

    Attributes:
        module: the public module.
        title: the heading.
        introduction: Markdown below it; the module's docstring where it is empty.
    """

    module: str
    title: str
    introduction: str = ""


MODULES = (
    Page(
        module="cqox",
        title="cqox",
        introduction="Keywords of `analyze` are [roles](../roles.md) and [options](../../options.md). `cqox.methods` "
        "has a function for [each estimator](../../estimators.md): "
        "`cqox.methods.aipw(data, y=…, treatment=…, covariates=…)` returns its estimate.",
    ),
    Page(module="cqox.contract", title="Parts of a report and of a request"),
    Page(module="cqox.errors", title="Errors"),
    Page(module="cqox.frames", title="Data frames"),
    Page(module="cqox.resilience", title="cqox.resilience"),
    Page(module="cqox.resilience.testing", title="cqox.resilience.testing"),
    Page(module="cqox.tasks", title="cqox.tasks"),
)
"""Pages in the order of the navigation; the file of `cqox.errors` is `errors.md`, that of `cqox` is `cqox.md`."""


def load(root: Path = _ROOT) -> griffe.ModulesCollection:
    """Return the modules of the library as griffe reads them, without importing them."""
    loader = griffe.GriffeLoader(search_paths=[root], docstring_parser="google", allow_inspection=False)
    loader.load("cqox", submodules=True)
    loader.resolve_aliases(implicit=False, external=False)
    return loader.modules_collection


def members(collection: griffe.ModulesCollection, module: str) -> Iterator[tuple[str, griffe.Object]]:
    """Yield the public names of a module and what they name, submodules left out.

    Raises:
        LookupError: a name of `__all__` does not exist.
    """
    found = collection[module]
    for export in sorted(map(str, found.exports or ()), key=str.lower):
        if export not in found.members:
            raise LookupError(f"{module}.__all__ names {export}, which does not exist")
        member = found.members[export]
        target = member.final_target if isinstance(member, griffe.Alias) else member
        if not target.is_module:
            assert isinstance(target, griffe.Object)
            yield export, target


def undocumented(collection: griffe.ModulesCollection, module: str) -> list[str]:
    """Return public names, and public methods and properties of classes, that have no docstring."""
    missing = []
    for name, found in members(collection, module):
        if not found.has_docstring:
            missing.append(f"{module}.{name}")
        missing += [f"{module}.{name}.{own}" for own, each in _methods(found) if not each.has_docstring]
    return missing


def _methods(found: griffe.Object) -> Iterator[tuple[str, griffe.Object]]:
    """Yield the methods and the properties that a class defines itself."""
    if not found.is_class:
        return
    for name, member in found.members.items():
        is_call = member.is_function or "property" in member.labels
        if is_call and not name.startswith("_") and isinstance(member, griffe.Object):
            yield name, member


def pages(collection: griffe.ModulesCollection) -> Mapping[str, str]:
    """Return file name to Markdown of each page of `MODULES`."""
    return {file_of(page.module): _page(collection, page) for page in MODULES}


def file_of(module: str) -> str:
    """Return the file name of a module's page."""
    return f"{module.removeprefix('cqox.').replace('.', '-')}.md"


def _page(collection: griffe.ModulesCollection, page: Page) -> str:
    docstring = collection[page.module].docstring
    introduction = page.introduction or (_sections(docstring) if docstring else "")
    found = "".join(_object(name, each) for name, each in members(collection, page.module))
    return f"# {page.title}\n\n{introduction}\n\n{found}"


def _object(name: str, found: griffe.Object) -> str:
    parts = [f"## `{name}`", _signature(name, found), _sections(found.docstring), _fields(found)]
    for own, each in _methods(found):
        parts += [f"### `{name}.{own}`", _signature(own, each), _sections(each.docstring)]
    return "\n\n".join(part for part in parts if part) + "\n\n"


def _fields(found: griffe.Object) -> str:
    """Return the fields of a model that its source describes, as a list."""
    described = {
        name: _description(str(each.value if each.value is not None else each.annotation))
        for name, each in found.members.items()
        if found.is_class and isinstance(each, griffe.Attribute) and not name.startswith("_")
    }
    return "\n".join(f"- `{name}`: {text}" for name, text in described.items() if text)


def _description(source: str) -> str:
    """Return the description within `Field(…, description="…")`; empty without one."""
    try:
        tree = ast.parse(source, mode="eval")
    except SyntaxError:
        return ""
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "description" and isinstance(node.value, ast.Constant):
            return str(node.value.value)
    return ""


def _signature(name: str, found: griffe.Object) -> str:
    if "property" in found.labels and isinstance(found, griffe.Attribute | griffe.Function):
        form = found.annotation if isinstance(found, griffe.Attribute) else found.returns
        return f"```text\n{name}: {form}\n```"
    if found.is_class:
        own = found.members.get("__init__")
        fields = [
            f"{key}: {member.annotation}"
            for key, member in found.members.items()
            if isinstance(member, griffe.Attribute) and not key.startswith("_") and "property" not in member.labels
        ]
        if isinstance(own, griffe.Function):
            return _call(f"class {name}", own)
        return f"```text\nclass {name}({_lines(fields)})\n```" if fields else f"```text\nclass {name}\n```"
    if isinstance(found, griffe.Function):
        return _call(name, found)
    return ""


def _call(name: str, function: griffe.Function) -> str:
    shown, seen_marker = [], False
    for each in function.parameters:
        if each.name in ("self", "cls"):
            continue
        if each.kind is griffe.ParameterKind.keyword_only and not seen_marker:
            shown.append("*")
        seen_marker |= each.kind in (griffe.ParameterKind.keyword_only, griffe.ParameterKind.var_positional)
        shown.append(_parameter(each))
    returns = f" -> {function.returns}" if function.returns and not name.startswith("class ") else ""
    return f"```text\n{name}({_lines(shown)}){returns}\n```"


def _parameter(each: griffe.Parameter) -> str:
    star = {griffe.ParameterKind.var_positional: "*", griffe.ParameterKind.var_keyword: "**"}.get(each.kind, "")  # type: ignore[arg-type]
    form = f": {each.annotation}" if each.annotation is not None else ""
    default = f" = {each.default}" if each.default is not None and not star else ""
    return f"{star}{each.name}{form}{default}"


def _lines(parts: list[str]) -> str:
    one = ", ".join(parts)
    return one if len(one) <= 80 else "\n    " + ",\n    ".join(parts) + ",\n"


def _sections(docstring: griffe.Docstring | None) -> str:
    """Return a docstring as Markdown: its text, then its sections as lists, and its examples as code.

    Raises:
        ValueError: a section is of a kind that has no form here.
    """
    if docstring is None:
        return ""
    shown = []
    for section in docstring.parse("google"):
        if section.kind is griffe.DocstringSectionKind.text:
            shown.append(section.value)
        elif section.kind in _HEADINGS:
            shown.append(f"**{_HEADINGS[section.kind]}**\n\n" + "\n".join(map(_entry, section.value)))
        elif section.kind is griffe.DocstringSectionKind.examples:
            shown += ["**Examples**", *(_example(kind, text) for kind, text in section.value)]
        else:
            raise ValueError(f"a docstring has a section of the kind {section.kind.value}")
    return "\n\n".join(shown)


def _example(kind: griffe.DocstringSectionKind, text: str) -> str:
    """Return a part of an `Examples:` section, in which a session of an interpreter has no fence of its own."""
    return f"```pycon\n{text}\n```" if kind is griffe.DocstringSectionKind.examples else text


def _entry(value: object) -> str:
    name = getattr(value, "name", "")
    label = name or str(getattr(value, "annotation", ""))
    text = str(getattr(value, "description", "")).replace("\n", " ")
    return f"- `{label}`: {text}" if label else f"- {text}"


_HEADINGS = {
    griffe.DocstringSectionKind.parameters: "Arguments",
    griffe.DocstringSectionKind.other_parameters: "Arguments",
    griffe.DocstringSectionKind.attributes: "Attributes",
    griffe.DocstringSectionKind.returns: "Returns",
    griffe.DocstringSectionKind.yields: "Yields",
    griffe.DocstringSectionKind.raises: "Raises",
}
