"""The pages of a site in one folder: written pages, pages of the project, examples, and the Python interface."""

import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tools.site import markdown
from tools.site.notebooks import page_of

__all__ = ["LANGUAGES", "Site", "stage"]

LANGUAGES = ("en", "ja")
_JAPANESE = PurePosixPath("docs/ja")
_PROJECT = {name: f"project/{name}" for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")}
_MODULE_PAGES = {
    "cqox/resilience/testing": "reference/api/resilience-testing.md",
    "cqox/resilience": "reference/api/resilience.md",
    "cqox/contract": "reference/api/contract.md",
    "cqox/errors.py": "reference/api/errors.md",
    "cqox/frames": "reference/api/frames.md",
    "cqox/tasks.py": "reference/api/tasks.md",
    "cqox/api": "reference/api/cqox.md",
    "cqox/__init__.py": "reference/api/cqox.md",
}
"""Files of the library that written pages link, the longest path first, and their page in the reference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The sources of one site.

    Attributes:
        root: the repository.
        language: `en` or `ja`.
        api: file name to Markdown of the pages of the Python interface.
    """

    root: Path
    language: str
    api: Mapping[str, str]


def stage(site: Site, into: Path) -> list[str]:
    """Write every page of a site into an empty folder; return their paths in it.

    Raises:
        ValueError: a page links a file of the repository that does not exist.
    """
    shutil.rmtree(into, ignore_errors=True)
    pages = {source: place for source in _sources(site.root) if (place := _place(source, site.language))}
    staged = []
    for source, place in pages.items():
        target = into / place
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.endswith(".md"):
            target.write_text(_page(site, source, place), encoding="utf-8")
        elif source.endswith(".ipynb"):
            notebook = json.loads((site.root / source).read_text(encoding="utf-8"))
            text, pictures = page_of(notebook, target.stem)
            target.write_text(_changed(site, source, place, text, frozenset(pictures)), encoding="utf-8")
            for name, content in pictures.items():
                (target.parent / name).write_bytes(content)
        else:
            shutil.copyfile(site.root / source, target)
        if place.endswith(".md"):
            staged.append(place)
    if site.language == "en":
        (into / "reference" / "api").mkdir(parents=True, exist_ok=True)
        for name, text in site.api.items():
            (into / "reference" / "api" / name).write_text(markdown.with_indented_lists(text), encoding="utf-8")
            staged.append(f"reference/api/{name}")
    return sorted(staged)


def _sources(root: Path) -> list[str]:
    """Return the files of the repository that have a place in a site."""
    patterns = ("*.md", "docs/**/*.md", "docs/**/*.svg", "docs/**/*.png", "docs/**/*.css", "examples/*.ipynb")
    return sorted({path.relative_to(root).as_posix() for pattern in patterns for path in root.glob(pattern)})


def _place(source: str, language: str) -> str | None:
    """Return the path of a file of the repository in the site of a language; None where it has none."""
    path = PurePosixPath(source)
    in_japanese = path.is_relative_to(_JAPANESE)
    if path.suffix in (".svg", ".png", ".css"):
        return path.relative_to("docs").as_posix()
    if language == "ja":
        return path.relative_to(_JAPANESE).as_posix() if in_japanese else None
    if in_japanese:
        return None
    if path.suffix == ".ipynb":
        return path.with_suffix(".md").as_posix()
    return path.relative_to("docs").as_posix() if path.is_relative_to("docs") else _PROJECT.get(source)


def _page(site: Site, source: str, place: str) -> str:
    return _changed(site, source, place, (site.root / source).read_text(encoding="utf-8"))


def _changed(site: Site, source: str, place: str, text: str, made: frozenset[str] = frozenset()) -> str:
    """Return the page for the site; links to files in `made`, which are written next to it, stay as they are."""

    def new_target(target: str) -> str | None:
        return target if target in made else _target(site, source, place, target)

    text = markdown.rewrite_links(text, new_target)
    text = markdown.without_comments(markdown.with_text_diagrams(markdown.with_tabs(text)))
    return markdown.with_breakable_code(markdown.with_indented_lists(text))


def _target(site: Site, source: str, place: str, target: str) -> str | None:
    """Return a link's target in the site; None where what it leads to has no place there."""
    path, sign, anchor = target.partition("#")
    if not path:
        return target
    found = os.path.normpath(PurePosixPath(source).parent / path)
    if not (site.root / found).exists():
        raise ValueError(f"{source} links {target}, which does not exist")
    here = PurePosixPath(place).parent
    own = _place(found, site.language) or (_module_page(found) if site.language == "en" else None)
    if own:
        return os.path.relpath(own, here) + sign + anchor
    other = "ja" if site.language == "en" else "en"
    elsewhere = _place(found, other) or (_module_page(found) if other == "en" else None)
    if elsewhere is None:
        return None
    address = re.sub(r"(^|/)README\.md$", r"\1index.md", elsewhere)
    across = f"ja/{address}" if other == "ja" else f"../{address}"
    return os.path.relpath(across.removesuffix(".md") + ".html", here) + sign + anchor


def _module_page(source: str) -> str | None:
    return next((page for prefix, page in _MODULE_PAGES.items() if PurePosixPath(source).is_relative_to(prefix)), None)
