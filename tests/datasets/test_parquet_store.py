"""Tables on disk come back as they were, and the same table gives the same bytes."""

import datetime
import errno
import io

import polars as pl
import pytest

from cqox.contract import ColumnDescription
from cqox.contract.messages import Message
from cqox.datasets import ColumnsOnDisk, describe, load_columns, write_parquet
from cqox.datasets.parquet_store import findings_file, messages_file
from cqox.errors import InvalidRequest

CONTENT = (
    '店舗,w,売上,日,記\nA,1,"1,300",2024/1/5,x y z\nB,0,12.5,2024/1/6,\nA,1,NA,2024/1/7,q r s\nA,0,7,2024/1/8,x y z\n'
)


def test_a_kept_table_is_described_without_its_data(read, tmp_path):
    table = read(CONTENT)
    path = tmp_path / "table.parquet"
    write_parquet(table, path)
    path.unlink()
    described = describe(path)
    assert described == table.description
    assert described.rows == 4


def test_the_sentences_of_a_description_come_back_with_their_codes(read, tmp_path):
    table = read(CONTENT)
    write_parquet(table, tmp_path / "table.parquet")
    (note, *_), (reported, *_) = (each.columns[2].notes for each in (describe(tmp_path / "table.parquet"), table))
    assert isinstance(note, Message)
    assert (note.code, note.params, note.in_language("ja")) == (
        reported.code,
        reported.params,
        reported.in_language("ja"),
    )


def test_a_description_without_messages_is_read_as_strings(read, tmp_path):
    table = read(CONTENT)
    write_parquet(table, tmp_path / "table.parquet")
    messages_file(tmp_path / "table.parquet").unlink()
    described = describe(tmp_path / "table.parquet")
    assert described == table.description
    assert not any(isinstance(note, Message) for column in described.columns for note in column.notes)


def test_columns_come_back_in_the_order_asked_for(read, tmp_path):
    table = read(CONTENT)
    write_parquet(table, tmp_path / "table.parquet")
    loaded = load_columns(tmp_path / "table.parquet", ["売上", "店舗"])
    assert loaded.columns == ["売上", "店舗"]
    assert loaded["売上"].to_list() == [1300.0, 12.5, None, 7.0]
    assert loaded["店舗"].cast(pl.String).to_list() == ["A", "B", "A", "A"]
    assert load_columns(tmp_path / "table.parquet", ["日"])["日"].to_list()[0] == datetime.date(2024, 1, 5)


def test_no_columns_are_as_many_rows_as_the_table_has(read, tmp_path):
    write_parquet(read(CONTENT), tmp_path / "table.parquet")
    assert load_columns(tmp_path / "table.parquet", []).height == 4


def test_a_column_that_is_not_there_is_refused_with_those_that_are(read, tmp_path):
    write_parquet(read(CONTENT), tmp_path / "table.parquet")
    with pytest.raises(InvalidRequest) as caught:
        load_columns(tmp_path / "table.parquet", ["w", "売り上げ"])
    assert caught.value.choices == ("店舗", "w", "売上", "日", "記")


def test_the_same_table_gives_the_same_bytes(read, tmp_path):
    for name in ("one", "two"):
        write_parquet(read(CONTENT), tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    assert messages_file(tmp_path / "one").read_bytes() == messages_file(tmp_path / "two").read_bytes()


def test_headers_that_polars_takes_for_patterns_get_names_that_it_does_not(read, tmp_path):
    table = read("^a.*$,*,[b]\n1,2,3\n4,5,6\n")
    assert [column.original_name for column in table.columns] == ["^a.*$", "*", "[b]"]
    path = tmp_path / "table[1]*.parquet"
    write_parquet(table, path)
    names = ["column *", "column ^a.*$", "[b]"]
    assert load_columns(path, names).rows() == [(2, 1, 3), (5, 4, 6)]
    foreign = io.BytesIO()
    pl.DataFrame({"*": [1, 2], "^x$": [3, 4]}).write_parquet(foreign)
    assert read(foreign.getvalue()).frame.columns == ["column *", "column ^x$"]


def test_every_column_fits_the_contract(read):
    content = CONTENT + "B,1,inf,2024/1/9,\n"
    for column in read(content).columns:
        described = ColumnDescription.model_validate(column.to_json())
        assert described.name == column.name


def test_numbers_whose_sum_is_none_have_a_mean_all_the_same(read, tmp_path):
    table = read("id,y\n1,1.7e308\n2,1.7e308\n3,-1.7e308\n4,1.7e308\n")
    write_parquet(table, tmp_path / "table.parquet")
    assert describe(tmp_path / "table.parquet").columns[1].mean == pytest.approx(0.85e308)


def test_a_full_disk_is_reported_as_the_operating_system_reports_it(read, tmp_path, monkeypatch):
    def full(*_, **__):
        raise pl.exceptions.ComputeError("parquet: underlying IO error: No space left on device (os error 28)")

    monkeypatch.setattr(pl.DataFrame, "write_parquet", full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_parquet(read(CONTENT), tmp_path / "table.parquet")
    assert caught.value.errno == errno.ENOSPC


def test_what_polars_says_of_itself_stays_as_it_is(read, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise pl.exceptions.ComputeError("not that type")

    monkeypatch.setattr(pl.DataFrame, "write_parquet", refuse)
    with pytest.raises(pl.exceptions.ComputeError):
        write_parquet(read(CONTENT), tmp_path / "table.parquet")


def test_findings_are_kept_with_their_codes_and_a_table_without_any_has_no_file(tmp_path, read):
    path = tmp_path / "found.parquet"
    table = read("shop,sales\nA,1\nB,2\n合計,3\n")
    write_parquet(table, path)
    (finding,) = describe(path).findings
    assert finding == table.findings[0]
    assert finding.message.code == "findings.totals-rows"
    assert b"findings" not in (tmp_path / "found.parquet.json").read_bytes()
    write_parquet(read("shop,sales\nA,1\nB,2\n"), tmp_path / "none.parquet")
    assert not findings_file(tmp_path / "none.parquet").exists()
    assert describe(tmp_path / "none.parquet").findings == ()


def test_columns_on_disk_have_the_rows_that_are_kept_and_the_columns_that_are_replaced(tmp_path, read):
    path = tmp_path / "t.parquet"
    write_parquet(read("a,b\n1,x\n2,y\n3,x\n"), path)
    kept = pl.Series([True, False, True])
    table = ColumnsOnDisk(path=path, height=2, kept=kept, replaced={"b": pl.Series("b", [7, 8])})
    assert table["a"].to_list() == [1, 3]
    assert table.load(["b", "a"]).rows() == [(7, 1), (8, 3)]
    assert table.load(["b"]).rows() == [(7,), (8,)]
    assert [batch.rows() for batch in table.batches(["a"])] == [[(1,), (3,)]]
    assert [batch.rows() for batch in table.batches(["a", "b"])] == [[(1, 7), (3, 8)]]
