"""Messages inside JSON documents: collected when a document is written, restored or translated when it is read."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from cqox.contract.messages.catalogs import Language
from cqox.contract.messages.message import Message, as_json, message_from

__all__ = [
    "collect_messages",
    "holder_of",
    "keys_of",
    "messages_in",
    "pointer_of",
    "restore_messages",
    "translate_document",
    "translated",
    "value_at",
]

_PLAIN = frozenset({bool, float, int, str, type(None)})


def collect_messages(document: object) -> dict[str, dict[str, object]]:
    """Return code and parameters of every message in a document, by JSON pointer (RFC 6901)."""
    return {pointer: as_json(message) for pointer, message in messages_in(document)}


def translate_document(document: object, messages: Mapping[str, Mapping[str, object]], language: Language) -> None:
    """Put the messages of a document into a language, in place.

    Args:
        document: JSON objects and arrays.
        messages: as `collect_messages` returned them. A pointer that leads to no string is ignored, and so is a message
            that is malformed: what was stored by another version stays readable.
        language: the language.
    """
    _replace(document, messages, lambda found, text: translated(found, text, language))


def restore_messages(document: object, messages: Mapping[str, Mapping[str, object]]) -> None:
    """Put messages in the place of the strings that they were written as, in place.

    Args:
        document: JSON objects and arrays.
        messages: as `collect_messages` returned them; what does not fit is ignored, as by `translate_document`.
    """
    _replace(document, messages, _restored)


def messages_in(document: object) -> Sequence[tuple[str, Message]]:
    """Return JSON pointer and message of every message in a document."""
    if isinstance(document, Message):
        return [("", document)]
    found: list[tuple[str, Message]] = []
    _collect(document, (), found)
    return found


def translated(found: Mapping[str, object], text: str, language: Language) -> str | None:
    """Return a stored message in a language; None if it is malformed.

    Args:
        found: its code and parameters, as `collect_messages` gives them.
        text: its English sentence, as it was stored.
        language: the language.
    """
    message = _restored(found, text)
    try:
        return None if message is None else message.in_language(language)
    except (KeyError, TypeError, ValueError):
        return None


def keys_of(pointer: str) -> list[str]:
    """Return the keys of a JSON pointer; that of the whole document has one empty key."""
    return [key.replace("~1", "/").replace("~0", "~") for key in pointer.split("/")[1:]] or [""]


def holder_of(document: object, keys: Sequence[str]) -> object:
    """Return the object or array that holds the value at a path of keys; None if there is none."""
    holder = document
    for key in keys[:-1]:
        holder = value_at(holder, key)
    return holder


def value_at(holder: object, key: str) -> object:
    """Return the value at a key of an object or at an index of an array; None if there is none."""
    if isinstance(holder, dict):
        return holder.get(key)
    if isinstance(holder, list) and key.isdecimal() and int(key) < len(holder):
        return holder[int(key)]
    return None


def pointer_of(*keys: str | int) -> str:
    """Return the JSON pointer of a path of keys and indices."""
    return "".join([f"/{key if isinstance(key, int) else _escaped(key)}" for key in keys])


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def _replace(
    document: object,
    messages: Mapping[str, Mapping[str, object]],
    made: Callable[[Mapping[str, object], str], str | None],
) -> None:
    """Replace the string at each pointer by what is made of its message; None leaves it as it is."""
    for pointer, found in messages.items():
        keys = keys_of(pointer)
        holder = holder_of(document, keys)
        text = value_at(holder, keys[-1])
        sentence = made(found, text) if isinstance(text, str) else None
        if sentence is None:
            continue
        if isinstance(holder, dict):
            holder[keys[-1]] = sentence
        elif isinstance(holder, list):
            holder[int(keys[-1])] = sentence


def _restored(found: Mapping[str, object], text: str) -> Message | None:
    """Return a stored message; None if it is malformed."""
    try:
        return message_from(str(found["code"]), _params(found), text)
    except (KeyError, TypeError, ValueError):
        return None


def _params(found: Mapping[str, object]) -> Mapping[str, object]:
    params = found["params"]
    if not isinstance(params, Mapping):
        raise TypeError("parameters are no object")
    return params


def _collect(value: object, path: tuple[str | int, ...], found: list[tuple[str, Message]]) -> None:
    """Add pointer and message of every message in an object or array at a path."""
    members: Iterable[tuple[str | int, object]]
    if isinstance(value, list | tuple):
        members = enumerate(value)
    # Before the abstract class, whose test is slow.
    elif isinstance(value, dict) or isinstance(value, Mapping):  # noqa: SIM101
        members = value.items()
    else:
        return
    for key, each in members:
        # Most of a document is numbers and words, and few of its objects and arrays have a message.
        if type(each) in _PLAIN:
            continue
        if isinstance(each, Message):
            found.append((pointer_of(*path, key), each))
        else:
            _collect(each, (*path, key), found)
