"""Templates of figures: specifications without data, of which each figure is a filled copy.

They are files that `cqox.figures.charts` compiles from Altair charts: Altair takes a second of every process that
compiles them.
"""

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import cast

from cqox.contract.messages import Message, message_from, render
from cqox.estimators import Json
from cqox.figures._messages import messages_of
from cqox.figures.figure import Figure, Spec
from cqox.figures.style import CONFIG

__all__ = ["MESSAGE", "TEMPLATES", "filled", "finished", "put", "template"]

TEMPLATES = Path(__file__).with_name("templates")
"""Folder of the templates."""

MESSAGE = "message"
"""Only key of an object that stands for a message without parameters; its value is the code."""


@cache
def template(name: str) -> Spec:
    """Return the template of a figure. It is shared: `filled` copies it.

    Raises:
        FileNotFoundError: there is no template of this name.
        KeyError: it has a message that the English catalog lacks.
    """
    text = (TEMPLATES / f"{name}.json").read_text(encoding="utf-8")
    return cast("Spec", json.loads(text, object_hook=_read))


def _read(found: dict[str, Json]) -> Json:
    """Return an object of a template, or the message that it stands for."""
    if found.keys() != {MESSAGE}:
        return found
    code = cast("str", found[MESSAGE])
    return message_from(code, {}, render("en", code, {}))


def filled(
    template: Spec,
    rows: Sequence[dict[str, Json]],
    *,
    title: Message,
    subtitle: Message | Sequence[Message],
    alt: Message,
) -> Spec:
    """Return a copy of a template with rows, title, subtitle and description filled in."""
    spec = cast("Spec", _copy(template))
    spec["data"] = {"values": list(rows)}
    lines: Json = subtitle if isinstance(subtitle, Message) else list(subtitle)
    spec["title"] = {"text": title, "subtitle": lines}
    spec["description"] = alt
    spec["config"] = _copy(CONFIG)
    return spec


def _copy(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _copy(each) for key, each in value.items()}
    return [_copy(each) for each in value] if isinstance(value, list) else value


def finished(name: str, spec: Spec) -> Figure:
    """Return the figure of a filled specification, with the messages of its texts in `usermeta`."""
    title = cast("dict[str, Json]", spec["title"])["text"]
    spec["usermeta"] = {"messages": messages_of(spec)}
    return Figure(name=name, title=cast("Message", title), alt=cast("Message", spec["description"]), spec=spec)


def put(spec: Spec, value: Json, *path: str | int) -> None:
    """Set the value at a path of keys and indices; the containers on the path must exist."""
    at: Json = spec
    for key in path[:-1]:
        at = at[key] if isinstance(at, dict) and isinstance(key, str) else cast("list[Json]", at)[cast("int", key)]
    cast("dict[str, Json]", at)[cast("str", path[-1])] = value
