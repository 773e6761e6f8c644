import json
import re
from pathlib import Path

from services.http.contract.api import OPERATIONS, operation
from services.http.contract.openapi import openapi_document
from services.http.response.problems import kinds

DOCUMENT = openapi_document()


def every(value, key):
    if isinstance(value, dict):
        for name, item in value.items():
            if name == key:
                yield item
            yield from every(item, key)
    elif isinstance(value, list):
        for item in value:
            yield from every(item, key)


def entries():
    return [entry for path in DOCUMENT["paths"].values() for entry in path.values()]


def test_every_reference_leads_to_a_schema():
    references = set(every(DOCUMENT, "$ref"))
    assert references
    for reference in references:
        assert reference.removeprefix("#/components/schemas/") in DOCUMENT["components"]["schemas"]


def test_operations_have_names_of_their_own():
    names = [entry["operationId"] for entry in entries()]
    assert len(set(names)) == len(names) == len(OPERATIONS) + 1


def test_every_parameter_of_a_path_is_described():
    for path, operations in DOCUMENT["paths"].items():
        for entry in operations.values():
            described = {each["name"] for each in entry.get("parameters", []) if each["in"] == "path"}
            assert described == set(re.findall(r"{(\w+)}", path))


def test_every_operation_says_how_it_fails():
    for entry in entries():
        assert entry["responses"]["500"]["content"].keys() == {"application/problem+json"}


def test_every_operation_says_how_a_stranger_is_refused():
    for each in OPERATIONS:
        statuses = DOCUMENT["paths"][each.path][each.method.lower()]["responses"].keys()
        assert ("421" in statuses) == (each.group != "Health"), each.name
        assert ("403" in statuses) == (each.method != "GET"), each.name
        assert ("415" in statuses) == (each.body is not None), each.name


def test_the_models_of_the_contract_are_the_schemas():
    for name in ("AnalyzeRequest", "Report", "DatasetDescription", "Inference", "Problem", "EstimateReport"):
        assert name in DOCUMENT["components"]["schemas"]
    analyze = DOCUMENT["paths"]["/api/analyze/comprehensive"]["post"]
    assert analyze["requestBody"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/AnalyzeRequest"
    }


def test_the_example_is_the_one_that_ships_with_the_project():
    shipped = json.loads((Path(__file__).parents[4] / "examples" / "request.json").read_text())
    assert operation("analyze").example == shipped


def test_every_kind_of_problem_is_explained():
    for kind in kinds():
        assert f"| {kind.status} | `{kind.type}` |" in DOCUMENT["info"]["description"]


def test_with_keys_every_operation_says_what_it_needs():
    document = openapi_document("keys")
    assert document["components"]["securitySchemes"]["apiKey"]["scheme"] == "bearer"
    for each in OPERATIONS:
        entry = document["paths"][each.path][each.method.lower()]
        needs = [] if each.needs is None else [{"apiKey": [str(each.needs)]}]
        assert entry["security"] == needs, each.name
        assert ("401" in entry["responses"]) == (each.needs is not None), each.name
        assert each.needs is None or "403" in entry["responses"], each.name
    assert not list(every(DOCUMENT, "security"))
