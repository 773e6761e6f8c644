from cqox.contract import ALIASES, ROLES, AnalyzeRequest


def test_the_schema_of_a_request_tells_of_every_role_and_of_every_other_word_for_it() -> None:
    told = AnalyzeRequest.model_json_schema()["properties"]["mapping"]["description"]
    for role in ROLES.values():
        assert f"- `{role.name}`" in told
        assert role.meaning in told
    assert all(f"`{alias}`" in told for alias in ALIASES)
    assert "- `intervention_time`, `treatment_time` (a number or a date): The first period after" in told


def test_no_schema_has_a_private_name() -> None:
    assert not [name for name in AnalyzeRequest.model_json_schema()["$defs"] if name.startswith("_")]
