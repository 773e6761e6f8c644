"""What an operation of the HTTP contract is: its path, what it takes and what it answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel

from services.http.request.guard import HEALTH_PATHS
from services.http.request.origin import SAFE_METHODS

__all__ = ["Answer", "Operation", "Parameter"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter of the path, of the query or of the head of a request."""

    name: str
    where: Literal["path", "query", "header"]
    meaning: str
    kind: Literal["string", "integer"] = "string"
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a request is answered where all goes well.

    Attributes:
        status: the HTTP status.
        meaning: when, in a few words.
        model: what the JSON holds; None where there is no body, or `media` says what else there is.
        media: media types, where the body is not that of the model.
    """

    status: int = 200
    meaning: str
    model: type[BaseModel] | None = None
    media: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One thing that the API does.

    Attributes:
        name: what programs call it.
        method: the HTTP method.
        path: the path, with `{parameter}`.
        aliases: other paths that do the same.
        group: the heading that it is under.
        summary: one line.
        description: the rest, in Markdown.
        body: the model of the JSON body, or `file` for an upload.
        example: a body that works on a fresh installation.
        parameters: what else a request may say.
        answers: the good answers.
        problems: statuses of the problems that the operation itself raises, apart from 500.
    """

    name: str
    method: Literal["GET", "POST", "DELETE"]
    path: str
    aliases: tuple[str, ...] = ()
    group: str
    summary: str
    description: str = ""
    body: type[BaseModel] | Literal["file"] | None = None
    example: Mapping[str, object] | None = None
    parameters: tuple[Parameter, ...] = ()
    answers: tuple[Answer, ...]
    problems: tuple[int, ...] = field(default=())

    @property
    def refusals(self) -> tuple[int, ...]:
        """Statuses of the problems that a request meets before the operation: by its host, its page and its type."""
        host = () if self.path in HEALTH_PATHS else (400, 421)
        page = () if self.method in SAFE_METHODS else (403,)
        return (*host, *page, *((415,) if isinstance(self.body, type) else ()))
