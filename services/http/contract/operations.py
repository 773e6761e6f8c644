"""The types of the HTTP contract: operations, their parameters and their responses."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Literal

from pydantic import BaseModel

from cqox.security import Permission
from services.http.request.guard import HEALTH_PATHS
from services.http.request.origin import SAFE_METHODS
from services.http.security.audited import Audited

__all__ = ["Answer", "Operation", "Parameter"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A path, query or header parameter."""

    name: str
    where: Literal["path", "query", "header"]
    meaning: str
    kind: Literal["string", "integer"] = "string"
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A success response of an operation.

    Attributes:
        status: the HTTP status.
        meaning: its description.
        model: model of the JSON body; None where there is no body, or only the types in `media`.
        media: media types, where the body is not only the model's JSON.
    """

    status: HTTPStatus = HTTPStatus.OK
    meaning: str
    model: type[BaseModel] | None = None
    media: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """An operation of the API.

    Attributes:
        name: its operation id.
        method: the HTTP method.
        path: the path, with `{parameter}`.
        aliases: other paths of the same operation.
        group: its tag in the documentation.
        summary: a one-line summary.
        needs: the permission that it needs; None where it is answered without a principal.
        audited: how it is recorded in the audit log.
        description: details, in Markdown.
        body: the model of the JSON body, `file` for an upload, or `piece` for bytes of one.
        example: a body that works on a fresh installation.
        parameters: its path, query and header parameters.
        answers: its success responses.
        problems: statuses of the problems that the operation itself raises, apart from 500.
    """

    name: str
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    aliases: tuple[str, ...] = ()
    group: str
    summary: str
    needs: Permission | None
    audited: Audited
    description: str = ""
    body: type[BaseModel] | Literal["file", "piece"] | None = None
    example: Mapping[str, object] | None = None
    parameters: tuple[Parameter, ...] = ()
    answers: tuple[Answer, ...]
    problems: tuple[HTTPStatus, ...] = field(default=())

    @property
    def conditional(self) -> bool:
        """True where a client that names the entity tag of what it has gets a 304 in place of the content."""
        return any(each.status == HTTPStatus.NOT_MODIFIED for each in self.answers)

    @property
    def refusals(self) -> tuple[HTTPStatus, ...]:
        """Statuses of the checks before the operation: of host, origin and media type."""
        host = () if self.path in HEALTH_PATHS else (HTTPStatus.BAD_REQUEST, HTTPStatus.MISDIRECTED_REQUEST)
        page = () if self.method in SAFE_METHODS else (HTTPStatus.FORBIDDEN,)
        media = (HTTPStatus.UNSUPPORTED_MEDIA_TYPE,) if isinstance(self.body, type) else ()
        return (*host, *page, *media)
