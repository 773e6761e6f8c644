from datetime import datetime, timedelta, timezone

from cqox.exports.provenance import moment, provenance
from tests.exports.reports import ENGLISH, WHEN, made


def rows(**changes: object) -> dict[str, str]:
    (facts,) = provenance(made(**changes), ENGLISH, WHEN).blocks
    return dict(facts.rows)


def test_the_origin_is_data_roles_seed_version_and_time():
    assert rows() == {
        "Analysis": "a1",
        "Data set": "d1",
        "Rows": "120 (100 used)",
        "Role y": "sales",
        "Role treatment": "campaign",
        "Seed": "7",
        "Version of CQOx": "0.2.0+test",
        "Computed": "2025-04-07 09:30 UTC",
    }


def test_the_version_of_the_folds_is_said_where_the_report_has_it():
    origin = made().provenance.model_dump() | {"folds_version": 2}
    found = list(rows(provenance=origin).items())
    assert found[found.index(("Seed", "7")) + 1] == ("Version of the folds", "2")


def test_options_that_are_not_the_default_and_roles_of_several_columns_are_written_out():
    found = rows(
        mapping={"y": "sales", "covariates": ["age", "region"], "cutoff": 50.0},
        options={**made().options, "alpha": 0.1, "assignment": "randomized", "assumes": ["exclusion"], "seed": 7},
    )
    assert found["Role covariates"] == "age, region"
    assert found["Role cutoff"] == "50.0"
    options = {name: value for name, value in found.items() if name.startswith("Option ")}
    assert options == {
        "Option alpha": "0.1", "Option assignment": "randomized", "Option assumes": '["exclusion"]',
    }  # fmt: skip


def test_the_digest_is_said_where_it_is_not_the_name_and_an_unknown_time_is_left_out():
    origin = made().provenance.model_dump() | {"dataset_digest": "ff"}
    assert rows(provenance=origin)["Digest of the data"] == "ff"
    (facts,) = provenance(made(), ENGLISH, None).blocks
    assert "Computed" not in dict(facts.rows)


def test_seconds_cache_and_trace_are_not_part_of_it():
    before = rows()
    origin = made().provenance.model_dump() | {"cache": "hit", "trace_id": "t", "seconds": {"read": 9.0}}
    assert rows(provenance=origin) == before


def test_a_time_is_in_utc():
    assert moment(datetime(2025, 4, 7, 18, 30, tzinfo=timezone(timedelta(hours=9)))) == "2025-04-07 09:30 UTC"
