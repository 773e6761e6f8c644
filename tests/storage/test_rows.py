"""Conversion of records to rows and back, and pages of rows."""

from dataclasses import replace

import pytest

from cqox.errors import StoreUnavailable
from cqox.storage.rows import (
    ANNOTATION,
    DATASET,
    JOB,
    REPORT,
    SHARE,
    annotation_of,
    dataset_of,
    is_text,
    job_of,
    loaded,
    page_of,
    page_of_jobs,
    page_of_summaries,
    position,
    report_of,
    row_of,
    share_of,
    verified,
)
from cqox.storage.tenant_ids import DEFAULT_TENANT, TenantKeys
from tests.storage.records import a_dataset, a_job, a_report, a_share, a_summary, an_annotation

KEYS = TenantKeys(DEFAULT_TENANT)


@pytest.mark.parametrize(
    ("columns", "record", "back"),
    [
        (REPORT, a_report(1), report_of),
        (DATASET, a_dataset("a", sample=True), dataset_of),
        (JOB, a_job("j"), job_of),
        (SHARE, a_share(1, "s"), share_of),
        (ANNOTATION, an_annotation(1, "a", title="t"), annotation_of),
    ],
)
def test_a_row_has_the_columns_of_its_table_and_is_read_back_as_the_record(columns: str, record, back) -> None:
    names = [name.strip(' "') for name in columns.split(",")]
    assert names == list(record.__dataclass_fields__)
    row = row_of(record)
    assert row == tuple(getattr(record, name) for name in names)
    assert back(row, KEYS) == record
    with pytest.raises(ValueError, match="shorter"):
        back(row[:-1], KEYS)


def test_a_database_without_booleans_gives_one_back() -> None:
    row = row_of(a_dataset("a", sample=True))
    assert dataset_of([1 if value is True else value for value in row], KEYS).sample is True
    assert dataset_of([0 if value is True else value for value in row], KEYS).sample is False


@pytest.mark.parametrize(
    ("texts", "storable"),
    [((), True), ((None,), True), (("", "日本語", "\U0001f600"), True), (("a\0",), False), (("a", "\ud800"), False)],
)
def test_text_without_nul_and_surrogates_can_be_stored(texts: tuple[str | None, ...], storable: bool) -> None:
    assert is_text(*texts) is storable


def test_a_report_is_verified_by_its_digest() -> None:
    assert loaded(None, KEYS) is None
    assert verified(None) is None
    whole = loaded(row_of(a_report(1)), KEYS)
    assert whole is not None
    assert whole.is_intact
    assert verified(whole) == a_report(1)
    for change in ({"report": b"{}"}, {"digest": ""}, {"digest": "0"}):
        damaged = replace(a_report(1), **change)
        found = loaded(row_of(damaged), KEYS)
        assert found is not None
        assert not found.is_intact
        with pytest.raises(StoreUnavailable, match=damaged.analysis_id):
            verified(found)


@pytest.mark.parametrize(
    ("page", "make", "identity"),
    [
        (page_of, a_report, "analysis_id"),
        (page_of_jobs, lambda number: a_job(str(number)), "job_id"),
        (page_of_summaries, a_summary, "analysis_id"),
    ],
)
def test_a_page_names_the_next_one_where_there_are_more_rows_than_its_limit(page, make, identity: str) -> None:
    records = [make(number) for number in range(3)]
    rows = [row_of(record) for record in records]
    found = page(rows, 2, KEYS)
    assert found.items == records[:2]
    assert position(found.next, KEYS) == (records[1].created_at, getattr(records[1], identity))
    assert (page(rows, 3, KEYS).items, page(rows, 3, KEYS).next) == (records, None)
    assert (page([], 2, KEYS).items, page([], 2, KEYS).next) == ([], None)
    assert page(rows, 0, KEYS).next is None


def test_an_id_ends_a_cursor_after_the_last_bar() -> None:
    assert position("2026-01-01|a", KEYS) == ("2026-01-01", "a")
    assert position("2026|01|a", KEYS) == ("2026|01", "a")
    assert position("a", KEYS) == ("", "a")


@pytest.mark.parametrize(
    ("record", "back"),
    [
        (a_report(1), report_of),
        (a_dataset("a"), dataset_of),
        (replace(a_job("j"), analysis_id="a"), job_of),
        (a_share(1, "s"), share_of),
        (an_annotation(1, "a", title="t"), annotation_of),
    ],
)
def test_each_id_of_a_row_begins_with_its_tenant_and_is_read_back_without_it(record, back) -> None:
    keys = TenantKeys("acme")
    stored = keys.stored_record(record)
    ids = [name for name in record.__dataclass_fields__ if name.endswith("_id")]
    assert ids
    assert [getattr(stored, name) for name in ids] == [f"acme/{getattr(record, name)}" for name in ids]
    assert back(row_of(stored), keys) == record
    assert position("2026|a", keys) == ("2026", "acme/a")
