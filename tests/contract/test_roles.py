from cqox.contract import ALIASES, ROLES, AnalyzeRequest


def test_the_schema_of_a_request_describes_every_role_with_its_aliases() -> None:
    description = AnalyzeRequest.model_json_schema()["properties"]["mapping"]["description"]
    for role in ROLES.values():
        assert f"- `{role.name}`" in description
        assert role.meaning in description
    assert all(f"`{alias}`" in description for alias in ALIASES)
    assert "- `intervention_time`, `treatment_time` (a number or a date): The first period after" in description


def test_no_schema_has_a_private_name() -> None:
    assert not [name for name in AnalyzeRequest.model_json_schema()["$defs"] if name.startswith("_")]
