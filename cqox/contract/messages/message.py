"""A sentence that remembers its code and parameters."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Self, cast

from cqox.contract.messages.catalogs import Language, render

__all__ = ["Message", "Parameter", "as_json", "joined", "message_from", "of"]

type Parameter = str | float | bool | Sequence[Parameter] | None
"""Value of a parameter: what JSON holds, other messages included."""


class Message(str):
    """An English sentence, or a part of one, with the code and the parameters that it was made of.

    It is a string: it compares, prints and serialises as the English sentence. String methods return plain strings,
    which have no code; sentences are put together by giving one message to another as a parameter.

    Args:
        code: its code in the catalogs, `area.name`.
        params: values of the fields of its template; NumPy scalars become Python numbers.

    Raises:
        KeyError: the English catalog lacks the code, or a field of its template has no parameter.

    Attributes:
        code: as given.
        params: as given; sequences are lists.
    """

    code: str
    params: Mapping[str, Parameter]

    def __new__(cls, code: str, /, **params: object) -> Self:
        values = {name: _value(value) for name, value in params.items()}
        self = super().__new__(cls, render("en", code, values))
        self.code = code
        self.params = values
        return self

    def __reduce__(self) -> tuple[object, ...]:
        return message_from, (self.code, dict(self.params), str(self))

    def in_language(self, language: Language) -> str:
        """Return the sentence in a language, marked where only the English one exists."""
        params = {name: _translated(value, language) for name, value in self.params.items()}
        return render(language, self.code, params, english=str(self))


def of(text: str) -> Message:
    """Return a text as a message: itself if it is one, else as a text without translation."""
    return text if isinstance(text, Message) else Message("text.verbatim", text=text)


def joined(sentences: Iterable[str]) -> Message:
    """Return sentences one after the other as one message."""
    return Message("text.sentences", sentences=list(sentences))


def message_from(code: str, params: Mapping[str, object], english: str) -> Message:
    """Return a message as it was written, also if the catalogs of today lack its code.

    Args:
        code: its code.
        params: its parameters, as `as_json` gives them or as messages.
        english: its English sentence.
    """
    self = str.__new__(Message, english)
    self.code = code
    self.params = {name: _from_json(value) for name, value in params.items()}
    return self


def as_json(message: Message) -> dict[str, object]:
    """Return code and parameters as JSON values; a parameter that is a message is an object that has `text` as well."""
    return {"code": message.code, "params": {name: _json(value) for name, value in message.params.items()}}


def _value(value: object) -> Parameter:
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        raise TypeError("a mapping cannot be a parameter of a message")
    if isinstance(value, Iterable):
        return [_value(item) for item in value]
    item = getattr(value, "item", None)
    return cast("Parameter", item() if callable(item) else value)


def _translated(value: Parameter, language: Language) -> Parameter:
    if isinstance(value, Message):
        return value.in_language(language)
    if isinstance(value, list):
        return [_translated(item, language) for item in value]
    return value


def _json(value: Parameter) -> object:
    if isinstance(value, Message):
        return {**as_json(value), "text": str(value)}
    if isinstance(value, list):
        return [_json(item) for item in value]
    if isinstance(value, float) and value - value != 0:
        return {"number": repr(value)}
    return value


def _from_json(value: object) -> Parameter:
    if isinstance(value, Mapping):
        if "number" in value:
            return float(value["number"])
        return message_from(value["code"], value["params"], value["text"])
    if isinstance(value, list):
        return [_from_json(item) for item in value]
    return cast("Parameter", value)
