"""Sentences for readers: a code, its parameters, and a catalog of templates for each language.

A `Message` is the English sentence and remembers its code and parameters, so that every place that takes a string takes
it, and a report can be shown in another language long after it was written. Standard library only.
"""

from cqox.contract.messages.catalogs import LANGUAGES, Language, codes, render, template
from cqox.contract.messages.documents import (
    collect_messages,
    messages_in,
    pointer_of,
    restore_messages,
    translate_document,
)
from cqox.contract.messages.figures import translate_figure
from cqox.contract.messages.languages import choose_language
from cqox.contract.messages.message import Message, Parameter, as_json, joined, message_from, of
from cqox.contract.messages.wrapping import width, wrap

__all__ = [
    "LANGUAGES",
    "Language",
    "Message",
    "Parameter",
    "as_json",
    "choose_language",
    "codes",
    "collect_messages",
    "joined",
    "message_from",
    "messages_in",
    "of",
    "pointer_of",
    "render",
    "restore_messages",
    "template",
    "translate_document",
    "translate_figure",
    "width",
    "wrap",
]
