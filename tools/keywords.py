"""Write the modules that are made from roles, options and the catalog: `python -m tools.keywords`.

`cqox/api/keywords.py` has the keyword arguments of `cqox.analyze`, and `cqox/api/methods.pyi` a function for each
estimator. A test compares both with what this module would write.
"""

import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from cqox.contract import ROLES, Options
from cqox.estimators import Estimator, entries

__all__ = ["KEYWORDS", "METHODS", "keywords_module", "methods_stub"]

_API = Path(__file__).parents[1] / "cqox" / "api"
KEYWORDS, METHODS = _API / "keywords.py", _API / "methods.pyi"
_WIDTH = 116
_ROLE_FORMS = {"column": "str", "columns": "str | Sequence[str]", "scalar": "str | float | datetime.date"}


def keywords_module() -> str:
    """Return the source of the module of keyword arguments."""
    roles = {role.name: (_ROLE_FORMS[role.arity], role.meaning) for role in ROLES.values()}
    options = {
        name: (
            _form(field.annotation),
            f"{field.description or ''} Default: {_shown(field.get_default(call_default_factory=True))}.".lstrip(),
        )
        for name, field in Options.model_fields.items()
    }
    both = roles.keys() & options.keys()
    assert both == {"covariates"}, both
    roles["covariates"] = (
        roles["covariates"][0],
        f'{roles["covariates"][1]} "auto" takes the columns that are suggested.',
    )
    del options["covariates"]
    lines = [
        '"""Keyword arguments of an analysis: every role and every option. Made by `python -m tools.keywords`."""',
        "",
        "import datetime",
        "from collections.abc import Mapping, Sequence",
        "from typing import Literal, TypedDict",
        "",
        '__all__ = ["Keywords", "OptionKeywords", "RoleKeywords"]',
        "",
        "",
        "class RoleKeywords(TypedDict, total=False):",
        '    """Roles of columns, by name."""',
        "",
        *_fields(roles),
        "",
        "",
        "class OptionKeywords(TypedDict, total=False):",
        '    """Options of an analysis; each has a default that works."""',
        "",
        *_fields(options),
        "",
        "",
        "class Keywords(RoleKeywords, OptionKeywords, total=False):",
        '    """Roles and options."""',
    ]
    return _formatted(lines, KEYWORDS)


def methods_stub() -> str:
    """Return the stub of the module of single estimators."""
    lines = [
        '"""One estimator each. Made by `python -m tools.keywords`."""',
        "",
        "from typing import Unpack",
        "",
        "from cqox.api.keywords import Keywords",
        "from cqox.contract import EstimateReport",
        "",
        f"__all__ = {sorted(entry.name for entry in entries())!r}",
        "",
        *(line for entry in entries() for line in _function(entry)),
    ]
    return _formatted(lines, METHODS)


def _formatted(lines: Sequence[str], path: Path) -> str:
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(path), "-"]
    return subprocess.run(command, input="\n".join(lines), capture_output=True, text=True, check=True).stdout


def _fields(fields: Mapping[str, tuple[str, str]]) -> list[str]:
    lines: list[str] = []
    for name, (form, meaning) in fields.items():
        lines.append(f"    {name}: {form} | None")
        lines += _docstring(meaning, "    ")
    return lines


def _docstring(text: str, indent: str) -> list[str]:
    text = text.replace("\\", "\\\\")
    # A docstring must not end in a quote of its own.
    wrapped = textwrap.wrap(f'"""{text}', _WIDTH - len(indent), break_long_words=False)
    end = ' """' if wrapped[-1].endswith('"') else '"""'
    if len(wrapped) == 1 and len(wrapped[0]) + len(end) <= _WIDTH - len(indent):
        return [f"{indent}{wrapped[0]}{end}"]
    return [*(indent + line for line in wrapped), f'{indent}"""']


def _function(entry: Estimator) -> list[str]:
    return [
        f"def {entry.name}(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:",
        *_docstring(entry.summary, "    "),
        "",
    ]


def _form(annotation: object) -> str:
    """Return a type as an argument of Python has it: any sequence for a list, a mapping for a model."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _form(inner[0])
    if origin is Literal:
        return f"Literal[{', '.join(map(_quoted, inner))}]"
    if origin in (Union, UnionType):
        return " | ".join(dict.fromkeys(_form(one) for one in inner if one is not NoneType))
    if origin in (list, Sequence):
        return f"Sequence[{_form(inner[0])}]"
    if origin is tuple:
        return f"Sequence[{' | '.join(dict.fromkeys(_form(one) for one in inner if one is not Ellipsis))}]"
    if origin is dict:
        return f"Mapping[str, {_form(inner[1])}]"
    if isinstance(annotation, type):
        return "Mapping[str, object]" if issubclass(annotation, BaseModel) else annotation.__name__
    value = getattr(annotation, "__value__", None)  # of a `type` statement
    assert value is not None, annotation
    return _form(value)


def _quoted(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


def _shown(value: object) -> str:
    return "none" if value is None else f"`{value}`"


if __name__ == "__main__":
    KEYWORDS.write_text(keywords_module(), encoding="utf-8")
    METHODS.write_text(methods_stub(), encoding="utf-8")
