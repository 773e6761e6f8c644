"""The OpenAPI 3.1 document, generated from the operations and the models of the contract."""

from http import HTTPStatus
from typing import cast

from pydantic import BaseModel, JsonValue
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from cqox.contract import Problem
from cqox.contract.messages import LANGUAGES
from cqox.security import Permission
from services.config.security_settings import AuthMode
from services.http.contract.api import OPERATIONS, Answer, Operation, Parameter
from services.http.contract.health_models import code_version
from services.http.contract.upload_operations import PIECE_TYPE
from services.http.request.language import LANGUAGE_PARAMETER
from services.http.response.problems import kinds

__all__ = ["openapi_document"]

type _Json = dict[str, JsonValue]
type _References = dict[tuple[type[BaseModel], JsonSchemaMode], _Json]

_SCHEMES: _Json = {
    "securitySchemes": {
        "apiKey": {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key, `cqox_<id>_<secret>_<crc>`.",
        }
    }
}

_INTRODUCTION = """
Upload a table, assign roles to its columns, and get every causal estimate that the data can support, with its
uncertainty, diagnostics and figures.

Errors are `application/problem+json` (RFC 9457). Their `type` identifies the kind of problem, `detail` says what to
change, and `choices` lists the valid values where there is such a list. A 429, 503 or 504 is no fault of the request;
`Retry-After` says when to retry. Every response has an `X-Request-Id`.

Sentences are English or Japanese, as `?lang=` or `Accept-Language` say; `messages` maps the JSON pointer of each to its
code and parameters.
"""


def openapi_document(auth: AuthMode = "local") -> _Json:
    """Return the document as JSON values.

    Args:
        auth: how requests are authenticated; with keys the document says what each operation needs.
    """
    references, schemas = _schemas()
    paths: dict[str, _Json] = {}
    for operation in OPERATIONS:
        for path in (operation.path, *operation.aliases):
            entry = _operation(operation, references)
            if auth in ("keys", "oidc"):
                _add_needs(entry, operation, references)
            if path != operation.path:
                entry |= {"operationId": f"{operation.name}_alias", "summary": f"The same as {operation.path}"}
            paths.setdefault(path, {})[operation.method.lower()] = entry
    groups = dict.fromkeys(operation.group for operation in OPERATIONS)
    return {
        "openapi": "3.1.0",
        "info": {"title": "CQOx", "version": code_version(), "description": _INTRODUCTION + _problem_table()},
        "tags": [{"name": group} for group in groups],
        "paths": {**paths},
        "components": {"schemas": schemas, **(_SCHEMES if auth in ("keys", "oidc") else {})},
    }


def _add_needs(entry: _Json, operation: Operation, references: _References) -> None:
    if operation.needs is None:
        entry["security"] = []
        return
    # Without OAuth, the names are those of roles or permissions (OpenAPI 3.1, security requirement object).
    entry["security"] = [{"apiKey": [str(operation.needs)]}]
    problem: _Json = {"application/problem+json": {"schema": references[Problem, "serialization"]}}
    responses = cast("_Json", entry["responses"])
    for status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        responses.setdefault(str(int(status)), {"description": status.phrase, "content": problem})
    if operation.needs is not Permission.API_USE and "{" in operation.path:
        responses.setdefault(str(int(HTTPStatus.NOT_FOUND)), {"description": "Not Found", "content": problem})


def _schemas() -> tuple[_References, _Json]:
    wanted: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {(Problem, "serialization"): None}
    for operation in OPERATIONS:
        if isinstance(operation.body, type):
            wanted[operation.body, "validation"] = None
        wanted |= {(answer.model, "serialization"): None for answer in operation.answers if answer.model}
    references, definitions = models_json_schema(list(wanted), ref_template="#/components/schemas/{model}")
    return {(model, mode): found for (model, mode), found in references.items() if issubclass(model, BaseModel)}, (
        definitions["$defs"]
    )


_LANGUAGE = Parameter(
    name=LANGUAGE_PARAMETER,
    where="query",
    choices=LANGUAGES,
    meaning="Language of the sentences; if absent, what `Accept-Language` prefers, else English.",
)


def _operation(operation: Operation, references: _References) -> _Json:
    responses: _Json = {str(answer.status): _answer(answer, references) for answer in operation.answers}
    problem: _Json = {"application/problem+json": {"schema": references[Problem, "serialization"]}}
    for status in sorted({*operation.problems, *operation.refusals, HTTPStatus.INTERNAL_SERVER_ERROR}):
        responses.setdefault(str(status), {"description": status.phrase, "content": problem})
    entry: _Json = {
        "operationId": operation.name,
        "tags": [operation.group],
        "summary": operation.summary,
        "responses": responses,
    }
    if operation.description:
        entry["description"] = operation.description
    language = (_LANGUAGE,) if operation.path.startswith("/api/") else ()
    if operation.parameters or language:
        entry["parameters"] = [_parameter(parameter) for parameter in (*operation.parameters, *language)]
    if operation.body is not None:
        entry["requestBody"] = {"required": True, "content": _body(operation, references)}
    return entry


def _body(operation: Operation, references: _References) -> _Json:
    if isinstance(operation.body, type):
        content: _Json = {"schema": references[operation.body, "validation"]}
        if operation.example is not None:
            content["example"] = dict(operation.example)  # type: ignore[arg-type]
        return {"application/json": content}
    if operation.body == "piece":
        return {PIECE_TYPE: {"schema": {}}}
    fields: _Json = {
        parameter.name: {"type": parameter.kind, "description": parameter.meaning}
        for parameter in operation.parameters
        if parameter.where == "query"
    }
    file: _Json = {
        "type": "object",
        "required": ["file"],
        "properties": {"file": {"type": "string", "format": "binary"}, **fields},
    }
    return {"multipart/form-data": {"schema": file}, "application/octet-stream": {"schema": {}}}


def _answer(answer: Answer, references: _References) -> _Json:
    found: _Json = {"description": answer.meaning}
    if answer.model is not None:
        found["content"] = {"application/json": {"schema": references[answer.model, "serialization"]}}
    elif answer.media:
        found["content"] = {media: {} for media in answer.media}
    return found


def _parameter(parameter: Parameter) -> _Json:
    schema: _Json = {"type": parameter.kind}
    if parameter.choices:
        schema["enum"] = list(parameter.choices)
    return {
        "name": parameter.name,
        "in": parameter.where,
        "required": parameter.where == "path",
        "description": parameter.meaning,
        "schema": schema,
    }


def _problem_table() -> str:
    rows = "\n".join(f"| {kind.status} | `{kind.type}` | {kind.title} |" for kind in kinds())
    return f"\n| status | type | meaning |\n| --- | --- | --- |\n{rows}\n"
