import json

import jsonschema
import pytest

from cqox.cli.mcp.requests import Analysis, schema_of
from cqox.cli.mcp.tools import TOOLS
from cqox.contract import ROLES, Options, parse_model
from cqox.errors import InvalidRequest


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_schemas_are_valid_short_and_without_references(tool):
    schema = schema_of(tool.request)
    jsonschema.Draft202012Validator.check_schema(schema)
    text = json.dumps(schema)
    assert "$ref" not in text
    assert "$defs" not in text
    assert len(text) < 6_000


def test_every_role_and_option_is_named_to_the_assistant():
    schema = schema_of(Analysis)["properties"]
    assert set(schema["mapping"]["properties"]) == set(ROLES)
    assert all(name in schema["options"]["description"] for name in Options.model_fields)
    sent = {"path": "a.csv", "mapping": {"y": "a", "covariates": ["b"], "cutoff": 3}, "options": {"seed": 1}}
    jsonschema.validate(sent, schema_of(Analysis))
    assert parse_model(Analysis, sent).mapping == sent["mapping"]


def test_a_wrong_argument_is_named_with_near_ones():
    with pytest.raises(InvalidRequest) as refused:
        parse_model(Analysis, {"pth": "a.csv", "mapping": {}})
    assert refused.value.choices[0] == "path"
