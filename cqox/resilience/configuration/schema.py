"""JSON Schema of policy files, generated from the settings of the parts.

`python -m cqox.resilience.configuration` writes it to `policies.schema.json`, where editors find it.
"""

import inspect
from collections.abc import Mapping

from cqox.resilience.configuration.settings import BUDGET, PARTS, TABLES, Kind

__all__ = ["policy_file_schema"]

type Schema = dict[str, object]


def policy_file_schema() -> Schema:
    """Return the schema, in the form of draft 2020-12.

    It describes names, types and ranges. Loading also resolves dotted names and checks settings against each other.
    """
    kinds: Mapping[str, Kind] = {**PARTS, **TABLES, BUDGET.name: BUDGET}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Policies of cqox.resilience",
        "type": "object",
        "properties": {
            "budgets": {
                "description": "Retry budgets by name, for the setting `budget` of parts.",
                "type": "object",
                "propertyNames": {"minLength": 1},
                "additionalProperties": {"$ref": f"#/$defs/{BUDGET.name}"},
            },
            "policies": {
                "description": "The parts of each policy by its name, outermost first.",
                "type": "object",
                "propertyNames": {"minLength": 1},
                "minProperties": 1,
                "additionalProperties": {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "properties": {"part": {"enum": [*PARTS]}},
                        "required": ["part"],
                        "oneOf": [{"$ref": f"#/$defs/{name}"} for name in PARTS],
                    },
                },
            },
        },
        "required": ["policies"],
        "additionalProperties": False,
        "$defs": {name: _object(kind, part=name in PARTS) for name, kind in kinds.items()},
    }


def _object(kind: Kind, *, part: bool) -> Schema:
    parameters = inspect.signature(kind.made_by).parameters
    properties: dict[str, object] = {"part": {"const": kind.name}} if part else {}
    for name, value in kind.settings.items():
        schema = value.schema()
        if description := kind.description(name):
            schema = {"description": description, **schema}
        default = parameters[name].default
        if isinstance(default, bool | int | float | str):
            schema = {**schema, "default": default}
        properties[name] = schema
    summary = (inspect.getdoc(kind.made_by) or "").partition("\n\n")[0]
    required = [*(["part"] if part else []), *sorted(kind.required)]
    return {
        "description": " ".join(summary.split()),
        "type": "object",
        "properties": properties,
        **({"required": required} if required else {}),
        "additionalProperties": False,
    }
