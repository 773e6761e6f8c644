"""Arguments of the tools, and their JSON schemas."""

from typing import Annotated, Any

from pydantic import Field, JsonValue

from cqox.contract import ROLES, Options
from cqox.contract.messages import Language
from cqox.contract.strict import Strict

__all__ = ["Analysis", "Dataset", "Estimators", "Explanation", "Files", "schema_of"]

_OPTIONS = (
    "Options of the analysis. Most used: assignment (randomized, unconfounded or unknown), minimum_effect (in units of "
    "y), better (higher or lower), alpha, estimators, primary, assumes (assumptions that are vouched for), accept "
    "(codes of findings), drop_rows, categorical, expected_share, post_treatment, seed. The tool explain defines each. "
    f"All: {', '.join(Options.model_fields)}."
)
_ROLES: dict[str, Any] = {
    name: {
        "description": role.meaning,
        "type": {"columns": ["string", "array"], "scalar": ["string", "number"]}.get(role.arity, "string"),
    }
    for name, role in ROLES.items()
}

_Language = Annotated[Language | None, Field(description="Language of the sentences, en or ja.")]
_Path = Annotated[str, Field(description="File, as list_datasets names it.", min_length=1, max_length=4096)]
_Read = Annotated[
    dict[str, JsonValue],
    Field(description="How to read the file: encoding, delimiter, decimal, na, sheet, header_row, header_rows, "
        "drop_rows, fill_down, unpivot. Remedies of findings at 'upload' belong here."),
]  # fmt: skip


class Files(Strict):
    """Arguments of `list_datasets`."""

    folder: Annotated[str, Field(description="Folder; every allowed one if absent.", max_length=4096)] = ""
    language: _Language = None


class Dataset(Strict):
    """Arguments of `describe_dataset` and `suggest_roles`."""

    path: _Path
    read: _Read = Field(default_factory=dict)
    language: _Language = None


class Analysis(Strict):
    """Arguments of `analyze`."""

    path: _Path
    mapping: Annotated[
        dict[str, JsonValue],
        Field(description="Role to column, or list of columns.", json_schema_extra={"properties": _ROLES}),
    ]
    options: Annotated[dict[str, JsonValue], Field(description=_OPTIONS, default_factory=dict)]
    read: _Read = Field(default_factory=dict)
    language: _Language = None


class Explanation(Strict):
    """Arguments of `explain`."""

    names: Annotated[
        list[str],
        Field(description="Verdicts, gates, assumptions, codes of findings, estimators, roles or options, such as "
            "CANARY, overlap, parallel_trends, totals-rows, aipw, cohort, assignment.", min_length=1, max_length=30),
    ]  # fmt: skip
    language: _Language = None


class Estimators(Strict):
    """Arguments of `list_estimators`."""

    roles: Annotated[
        list[str],
        Field(description="Only estimators that need no other roles than these; all if absent.", max_length=50),
    ] = Field(default_factory=list)
    family: Annotated[str, Field(description="Only this family; all if absent.", max_length=100)] = ""
    language: _Language = None


def schema_of(model: type[Strict]) -> dict[str, Any]:
    """Return the JSON schema of a tool's arguments, without references and titles that repeat names."""
    schema = model.model_json_schema()
    parts = schema.pop("$defs", {})
    schema.pop("description", None)
    found: dict[str, Any] = _plain(schema, parts)
    return found


def _plain(value: Any, parts: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, list):
        return [_plain(each, parts) for each in value]
    if not isinstance(value, dict):
        return value
    if "$ref" in value:
        return _plain(parts[value["$ref"].rpartition("/")[2]], parts)
    kept = {key: each for key, each in value.items() if not (key == "title" and isinstance(each, str))}
    return {key: _plain(each, parts) for key, each in kept.items()}
