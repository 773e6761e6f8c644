"""Strict schemas of Chaos Mesh's kinds, next to the reference data of this checkout."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from tests.reference.cases import OUTSIDE

FOLDER = OUTSIDE.parent / "crds"

needs_schemas = pytest.mark.skipif(not FOLDER.is_dir(), reason="without the schemas next to CQOX_REFERENCE_DIR")


def errors_of(document: dict) -> list[str]:
    """Return what a server with strict validation would refuse in a document; a kind without a schema fails."""
    group, _, version = document["apiVersion"].partition("/")
    schema = json.loads((Path(FOLDER) / f"{group}_{version}_{document['kind']}.json").read_text(encoding="utf-8"))
    return [f"{error.json_path}: {error.message}" for error in Draft202012Validator(schema).iter_errors(document)]
