"""Check the sentences of the page's modules against the catalog `page`, for `tools.messages`."""

import re
from collections.abc import Iterator
from pathlib import Path

from cqox.contract.messages import LANGUAGES, codes, template

__all__ = ["AREA", "SHELL", "page_findings"]

AREA = "page."
SHELL = f"{AREA}shell-"
"""Codes of the shell, which the server fills."""

_LITERAL = re.compile(r'"([a-z][a-z0-9-]*)"')
_CALL = re.compile(r'\bt\("([a-z0-9-]+)"(?:, \{([^{}]*)\})?')
_FIELD = re.compile(r"\{(\w+)(?::count [^{}]+)?\}")


def page_findings(modules: Path) -> Iterator[str]:
    """Yield what is wrong between the modules in a folder and the catalog `page` of every language."""
    known = {code for code in codes(LANGUAGES[0]) if code.startswith(AREA)}
    used: set[str] = set()
    for path in sorted(modules.glob("*.js")):
        source = path.read_text(encoding="utf-8")
        used |= {AREA + name for name in _LITERAL.findall(source)}
        for name, values in _CALL.findall(source):
            yield from (f"{path.name}: {complaint}" for complaint in _call_findings(AREA + name, values))
    yield from (f"en: {code} is used nowhere" for code in sorted(known - used) if not code.startswith(SHELL))
    for language in LANGUAGES:
        for code in sorted(known):
            if _FIELD.sub("", template(language, code) or "").count("{"):
                yield f"{language}: {code} has a field that the page does not fill"


def _call_findings(code: str, values: str) -> Iterator[str]:
    text = template(LANGUAGES[0], code)
    if text is None:
        yield f"{code} is not in the English catalog"
        return
    wanted = set(_FIELD.findall(text))
    # A call with `${...}` or braces in a value is cut short by the pattern; then the names seen must be wanted.
    given = set(re.findall(r"(?:^|, )(\w+)(?=:|,|\s*$)", values.strip()))
    if given != wanted and (given - wanted or "(" not in values):
        yield f"{code} takes {sorted(wanted)}, not {sorted(given)}"
