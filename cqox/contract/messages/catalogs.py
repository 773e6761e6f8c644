"""Templates of sentences by language and code, and how a template is filled.

A catalog is a folder of TOML files, one for each area: `[too-few-rows]` is written `too-few-rows = "..."` in `rd.toml`
and has the code `rd.too-few-rows`. Templates are format strings with named fields. Besides Python's format
specifications a field takes

- `{rows:count row}`: the number and the noun in the number that it takes, `1 row`, `2 rows`; `{rows:count, row}` with
  thousands separators; `{n:count analysis/analyses}` where the plural is irregular;
- `{rows:plural is/are}`: only the word;
- `{names:list}`: the items joined by commas; `{names:list or}`: the last one joined by a word; `{names:list quoted}`:
  each in quotation marks;
- `{parts:join ; }`: the items with what follows the first space between them;
- `{reason:clause}`: a sentence without its full stop, to go on after it or to stand in parentheses.
"""

import string
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Literal, get_args

__all__ = ["LANGUAGES", "Language", "codes", "fill", "render", "template"]

type Language = Literal["en", "ja"]

LANGUAGES: tuple[Language, ...] = get_args(Language.__value__)
"""Languages with a catalog; the first is that of every stored sentence."""

_UNTRANSLATED = "[en] "
"""Prefix of a sentence that the catalog of the language lacks."""


def codes(language: Language) -> Iterator[str]:
    """Yield the codes of a catalog."""
    for path in sorted((Path(__file__).parent / language).glob("*.toml")):
        yield from (f"{path.stem}.{name}" for name in _area(language, path.stem))


def template(language: Language, code: str) -> str | None:
    """Return the template of a code, None if the catalog of the language has none."""
    area, _, name = code.partition(".")
    return _area(language, area).get(name)


def render(language: Language, code: str, params: Mapping[str, object], *, english: str | None = None) -> str:
    """Return the sentence in a language, or marked in English if the catalog has none.

    Args:
        language: the language.
        code: code of the message.
        params: its parameters by name.
        english: the English sentence as it was written. It stands in where the template has changed since.

    Raises:
        KeyError: neither catalog has the code, and no `english` is given.
    """
    found = template(language, code)
    if found is not None:
        try:
            return fill(found, params)
        except (LookupError, ValueError, TypeError):
            if english is None:
                raise
    if english is None:
        found = template("en", code)
        if found is None:
            raise KeyError(code)
        english = fill(found, params)
    return english if language == "en" else f"{_UNTRANSLATED}{english}"


def fill(found: str, params: Mapping[str, object]) -> str:
    """Fill a template.

    Raises:
        KeyError: a field has no parameter.
        ValueError: a parameter does not fit the format of its field.
    """
    parts = []
    for text, name, how, conversion in _parsed(found):
        parts.append(text)
        if name is not None:
            value = params[name]
            parts.append(_formatted(repr(value) if conversion else value, how))
    return "".join(parts)


@cache
def _parsed(found: str) -> tuple[tuple[str, str | None, str, bool], ...]:
    """Return the parts of a template: a text, the field after it, its format, and whether it is converted by `!r`.

    Raises:
        ValueError: it is no format string, or has another conversion.
    """
    parts = []
    for text, name, how, conversion in string.Formatter().parse(found):
        if conversion not in (None, "r"):
            raise ValueError(f"no such conversion: !{conversion}")
        parts.append((text, name, how or "", conversion is not None))
    return tuple(parts)


def _formatted(value: object, how: str) -> str:
    kind, _, rest = how.partition(" ")
    match kind:
        case "count":
            return f"{value} {_noun(value, rest)}"
        case "count,":
            return f"{value:,} {_noun(value, rest)}"
        case "plural":
            return _noun(value, rest)
        case "clause":
            return str(value).rstrip(".:。： ")
        case "join":
            return rest.join(str(item) for item in _items(value))
        case "list":
            return _list(_items(value), rest)
        case _:
            return format(value, how)


def _items(value: object) -> Sequence[object]:
    if not isinstance(value, list | tuple):
        raise TypeError(f"a list is needed, not {value!r}")
    return value


def _noun(count: object, noun: str) -> str:
    one, _, many = noun.partition("/")
    return one if count == 1 else many or f"{one}s"


def _list(items: Sequence[object], how: str) -> str:
    words = how.split()
    quoted = "quoted" in words
    texts = [f"'{item}'" if quoted else str(item) for item in items]
    last = next((word for word in words if word != "quoted"), "")
    if not last or len(texts) < 2:
        return ", ".join(texts)
    return f"{', '.join(texts[:-1])} {last} {texts[-1]}"


@cache
def _area(language: str, area: str) -> Mapping[str, str]:
    path = Path(__file__).parent / language / f"{area}.toml"
    if not area.isidentifier() or not path.is_file():
        return {}
    return tomllib.loads(path.read_text(encoding="utf-8"))
