"""Check the catalogs of messages against the code: `python -m tools.messages`, part of `make check`.

Every `Message(...)` names a code of the English catalog as a literal and gives exactly the parameters of its template;
every code of the catalog is used; other languages use no other codes or parameters. Sentences for readers that are
not in a catalog yet have a bound for each package that only goes down.
"""

import ast
import string
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from cqox.contract.messages import LANGUAGES, codes, template
from tools.page_messages import AREA, page_findings

_ROOT = Path(__file__).parents[1]
_PLACES = ("cqox", "services")
_PAGE = _ROOT / "services" / "page" / "static" / "js"
_INPUT_ERRORS = {
    "BodyCorrupted",
    "CrossSiteRequest",
    "ForeignHost",
    "InputError",
    "InvalidRequest",
    "LimitExceeded",
    "NotAllowed",
    "NotAuthenticated",
    "NotFound",
    "NotJson",
    "PermissionMissing",
    "PreconditionFailed",
    "RunsElsewhere",
    "UnreadableFile",
    "UnusableData",
}
_SENTENCE = 3
"""Number of spaces from which on a string is a sentence for a reader, in a package that writes for readers."""

_FOR_READERS = (
    "cqox/estimators",
    "cqox/diagnostics",
    "cqox/planning",
    "cqox/analysis",
    "cqox/datasets",
    "cqox/exports",
    "cqox/figures",
    "cqox/contract",
)
# Entries of the catalog of estimators are descriptions of methods, in English like the papers that they name.
_NOT_FOR_READERS = {
    "AssertionError",
    "EOFError",
    "EstimateId",
    "Estimator",
    "Field",
    "FrameError",
    "KeyError",
    "RuntimeError",
    "Source",
    "TemplateFailed",
    "TypeError",
    "ValueError",
    "_entry",
}
# `failed` is of `Outage`, which logs; the reason of `cancel` and the names of spans are for traces.
_FOR_OPERATORS = {
    "Outage",
    "cancel",
    "critical",
    "debug",
    "error",
    "exception",
    "failed",
    "untraced",
    "info",
    "log",
    "warning",
}
_VEGA = "datum."
"""Mark of a Vega expression, which is code; a string of several lines is a list of words or names."""

BOUNDS: dict[str, int] = {
    "cqox/analysis": 4,
    "cqox/contract": 29,
    "cqox/datasets": 12,
    "cqox/diagnostics": 1,
    "cqox/estimators/adjustment": 8,
    "cqox/estimators/dose": 2,
    "cqox/estimators/interference": 1,
    "cqox/estimators/iv": 2,
    "cqox/estimators/learners": 5,
    "cqox/estimators/panel": 3,
    "cqox/estimators/rd": 3,
    "cqox/estimators/synthetic": 2,
    "cqox/estimators/time_series": 1,
    "cqox/exports": 5,
    "cqox/figures": 1,
}
"""Most sentences outside the catalogs for each package; none where a package is not named."""


def fields_of(text: str) -> frozenset[str]:
    """Return the names of the fields of a template."""
    return frozenset(name.split(".")[0].split("[")[0] for _, name, _, _ in string.Formatter().parse(text) if name)


def catalog_findings() -> Iterator[str]:
    """Yield what is wrong between the catalogs of the languages."""
    english = set(codes("en"))
    for language in LANGUAGES[1:]:
        for code in codes(language):
            ours, theirs = template("en", code), template(language, code)
            if ours is None:
                yield f"{language}: {code} is not in the English catalog"
            elif theirs is not None and not fields_of(theirs) <= fields_of(ours):
                yield f"{language}: {code} has parameters of its own: {sorted(fields_of(theirs) - fields_of(ours))}"
    for code in english:
        if template("en", code) == "":
            yield f"en: {code} is empty"


def call_findings(tree: ast.Module) -> Iterator[tuple[int, str, str]]:
    """Yield line, complaint and code of every `Message(...)`; the complaint is empty where the call is right."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Message"):
            continue
        first = node.args[0] if node.args else None
        if len(node.args) != 1 or not (isinstance(first, ast.Constant) and isinstance(first.value, str)):
            yield node.lineno, "the code of a message is one literal", ""
            continue
        text = template("en", first.value)
        given = {keyword.arg for keyword in node.keywords}
        if text is None:
            yield node.lineno, f"{first.value} is not in the English catalog", first.value
        elif None in given:
            yield node.lineno, f"{first.value}: parameters are given by name", first.value
        elif given != fields_of(text):
            wanted = sorted(fields_of(text))
            yield node.lineno, f"{first.value} takes {wanted}, not {sorted(map(str, given))}", first.value
        else:
            yield node.lineno, "", first.value


def sentences(tree: ast.Module, *, for_readers: bool) -> Iterator[int]:
    """Yield the lines of sentences that are written in the code instead of a catalog."""
    skipped: set[int] = set()
    for node in ast.walk(tree):
        skipped.update(_names_in(node))
        if isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            if name in _NOT_FOR_READERS or name in _FOR_OPERATORS:
                skipped.update(id(inner) for inner in ast.walk(node))
            elif (
                name in _INPUT_ERRORS
                and node.args
                and isinstance(node.args[0], ast.JoinedStr | ast.Constant | ast.BinOp)
            ):
                yield node.lineno
                skipped.update(id(inner) for inner in ast.walk(node.args[0]))
    if not for_readers:
        return
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.JoinedStr):
            skipped.update(id(inner) for inner in ast.walk(node))
            texts = [part.value for part in node.values if isinstance(part, ast.Constant)]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            texts = [node.value]
        else:
            continue
        if any(_VEGA in str(text) or "\n" in str(text) for text in texts):
            continue
        if sum(str(text).count(" ") for text in texts) >= _SENTENCE:
            yield node.lineno


def _names_in(node: ast.AST) -> Iterator[int]:
    """Yield the ids of strings that no reader sees as sentences: docstrings, keys, and names of tasks and entries."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        yield id(node.value)
    elif isinstance(node, ast.Dict):
        yield from (id(key) for key in node.keys if key is not None)
    elif isinstance(node, ast.keyword) and node.arg == "name":
        yield from (id(inner) for inner in ast.walk(node.value))


def package_of(path: str) -> str:
    """Return the package that a file is counted under."""
    parts = path.split("/")
    return "/".join(parts[: 3 if parts[1] == "estimators" and len(parts) > 3 else 2])


def main() -> int:
    """Print every finding; return 1 if there is any."""
    complaints = list(catalog_findings())
    used: Counter[str] = Counter()
    outside: dict[str, list[str]] = {}
    for place in _PLACES:
        for path in sorted((_ROOT / place).rglob("*.py")):
            name = str(path.relative_to(_ROOT))
            tree = ast.parse(path.read_text(encoding="utf-8"))
            for line, complaint, code in call_findings(tree):
                used[code] += 1
                if complaint:
                    complaints.append(f"{name}:{line}: {complaint}")
            for line in sentences(tree, for_readers=name.startswith(_FOR_READERS)):
                outside.setdefault(package_of(name), []).append(f"{name}:{line}: a sentence outside the catalogs")
    unused = (code for code in codes("en") if not used[code] and not code.startswith(("text.", AREA)))
    complaints += [f"en: {code} is used nowhere" for code in unused]
    complaints += page_findings(_PAGE)
    for package in sorted({*outside, *BOUNDS}):
        found, bound = outside.get(package, []), BOUNDS.get(package, 0)
        if len(found) > bound or "--all" in sys.argv:
            complaints += [*found, f"{package}: {len(found)} sentences outside the catalogs; at most {bound} may be"]
        elif len(found) < bound:
            complaints.append(
                f"{package}: {len(found)} sentences outside the catalogs, fewer than {bound}: lower its bound"
            )
    for complaint in complaints:
        print(complaint)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
