"""YAML text of plain data: mappings, lists, texts, numbers and truth values in block style.

Texts that another reader could take for a number, a date or a truth value are quoted.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence

__all__ = ["to_yaml"]

_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./-]*")
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


def to_yaml(document: Mapping[str, object]) -> str:
    """Return a document, keys in their order, with a final line end.

    Args:
        document: mappings, sequences, texts, numbers and truth values.
    """
    return "".join(f"{line}\n" for line in _mapping(document))


def _mapping(value: Mapping[str, object]) -> Iterator[str]:
    for key, each in value.items():
        yield from _entry(f"{_text(key)}:", each)


def _sequence(value: Sequence[object]) -> Iterator[str]:
    for each in value:
        if isinstance(each, Mapping) and each:
            first, *others = _mapping(each)
            yield f"- {first}"
            yield from (f"  {line}" for line in others)
        else:
            yield from _entry("-", each)


def _entry(head: str, value: object) -> Iterator[str]:
    if isinstance(value, Mapping) and value:
        yield head
        yield from (f"  {line}" for line in _mapping(value))
    elif isinstance(value, Sequence) and not isinstance(value, str) and value:
        yield head
        yield from (f"  {line}" for line in _sequence(value))
    else:
        yield f"{head} {_scalar(value)}"


def _scalar(value: object) -> str:
    # What is empty, a number or a truth value is the same in JSON.
    return _text(value) if isinstance(value, str) else json.dumps(value)


def _text(value: str) -> str:
    if _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return json.dumps(value, ensure_ascii=False)
