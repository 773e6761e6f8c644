"""Messages inside JSON documents: collected when a document is written, translated when it is read."""

from collections.abc import Iterator, Mapping

from cqox.contract.messages.catalogs import Language
from cqox.contract.messages.message import Message, as_json, message_from

__all__ = ["collect_messages", "pointer_of", "translate_document"]


def collect_messages(document: object) -> dict[str, dict[str, object]]:
    """Return code and parameters of every message in a document, by JSON pointer (RFC 6901)."""
    return {pointer: as_json(message) for pointer, message in _messages(document, "")}


def translate_document(document: object, messages: Mapping[str, Mapping[str, object]], language: Language) -> None:
    """Put the messages of a document into a language, in place.

    Args:
        document: JSON objects and arrays.
        messages: as `collect_messages` returned them. A pointer that leads to no string is ignored, and so is a message
            that is malformed: what was stored by another version stays readable.
        language: the language.
    """
    for pointer, found in messages.items():
        *path, last = [key.replace("~1", "/").replace("~0", "~") for key in pointer.split("/")[1:]] or [""]
        holder = document
        for key in path:
            holder = _at(holder, key)
        text = _at(holder, last)
        if not isinstance(text, str):
            continue
        try:
            translated = message_from(str(found["code"]), _params(found), text).in_language(language)
        except (KeyError, TypeError, ValueError):
            continue
        if isinstance(holder, dict):
            holder[last] = translated
        elif isinstance(holder, list):
            holder[int(last)] = translated


def pointer_of(*keys: str | int) -> str:
    """Return the JSON pointer of a path of keys and indices."""
    return "".join(f"/{str(key).replace('~', '~0').replace('/', '~1')}" for key in keys)


def _params(found: Mapping[str, object]) -> Mapping[str, object]:
    params = found["params"]
    if not isinstance(params, Mapping):
        raise TypeError("parameters are no object")
    return params


def _messages(value: object, where: str) -> Iterator[tuple[str, Message]]:
    if isinstance(value, Message):
        yield where, value
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from _messages(each, where + pointer_of(key))
    elif isinstance(value, list | tuple):
        for number, each in enumerate(value):
            yield from _messages(each, where + pointer_of(number))


def _at(value: object, key: str) -> object:
    if isinstance(value, dict):
        return value.get(key)
    if isinstance(value, list) and key.isdecimal() and int(key) < len(value):
        return value[int(key)]
    return None
