"""Encrypted fields of records, and what stays readable."""

import json
from dataclasses import fields, replace
from pathlib import Path

import pytest

from cqox.storage.contracts import Record
from cqox.storage.rows import RESEALED
from cqox.storage.sealed_records import SealedRecords, has_sealed, name_of, queryable
from tests.storage.records import a_dataset, a_report, an_annotation, an_ended_job
from tests.storage.sealings import sealing_in

REPORT = replace(a_report(1), outcome="y", treatment="w", headline="{}")
JOB = replace(an_ended_job("j", "2026-01-01T00:00:00+00:00", "failed"), problem=b"{}")


@pytest.mark.parametrize(
    "record", [REPORT, a_dataset("d"), JOB, an_annotation(1, "v", title="t", notes="n")], ids=name_of
)
def test_the_encrypted_fields_are_those_that_the_stores_write_again(tmp_path: Path, record: Record) -> None:
    records = SealedRecords(sealing_in(tmp_path).of("acme"))
    sealed = records.sealed(record)
    changed = {each.name for each in fields(record) if getattr(sealed, each.name) != getattr(record, each.name)}
    assert changed == set(RESEALED[type(record)][2])
    assert has_sealed(sealed)
    assert not has_sealed(record)
    assert records.is_current(sealed)
    assert not records.is_current(record)
    assert records.opened(sealed) == record
    assert records.opened(record) == record


def test_sql_sees_names_of_estimators_and_numbers() -> None:
    report = {
        "estimates": [{"name": "aipw", "estimate": 1.5, "warnings": ["secret"], "contrast": "secret"}, "secret"],
        "mapping": {"y": "secret"},
    }
    assert json.loads(queryable(json.dumps(report).encode())) == {"estimates": [{"name": "aipw", "estimate": 1.5}]}
    for other in (b"", b"no JSON", b"[]", b'{"estimates": 1}', b"\xff"):
        assert b"secret" not in queryable(other)
