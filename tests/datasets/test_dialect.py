import pytest

from cqox.datasets.dialect import Dialect, find_dialect
from cqox.datasets.limits import Limits
from cqox.errors import LimitExceeded, UnreadableFile


def found(head: str, *, complete: bool = True, asked: str | None = None, **limits: int) -> Dialect:
    return find_dialect(head, complete=complete, asked=asked, limits=Limits(**limits))


@pytest.mark.parametrize(
    ("head", "delimiter", "header"),
    [
        ("a,b\n1,2\n", ",", ("a", "b")),
        ("a\tb\n1\t2\n", "\t", ("a", "b")),
        ("a;b\n1,5;2,5\n", ";", ("a", "b")),
        ("a|b\n1|2\n", "|", ("a", "b")),
        ("a\n1\n", ",", ("a",)),
        ("\n\na,b\n1,2\n", ",", ("a", "b")),
        ('"a;b",c\n"1;2",3\n', ",", ("a;b", "c")),
        ('a, "b,c"\n1, 2\n', ",", ("a", "b,c")),
        ("name;note\nx;a,b\ny;c\nz;d,e,f\n", ";", ("name", "note")),
        ("a,b;c\n1,2;3\n", ",", ("a", "b;c")),
        ("a,b;c;d\n1,2;3;4\n", ";", ("a,b", "c", "d")),
    ],
)
def test_the_delimiter_cuts_records_evenly_and_into_the_most_fields(
    head: str, delimiter: str, header: tuple[str, ...]
) -> None:
    dialect = found(head)
    assert (dialect.delimiter, dialect.header) == (delimiter, header)


def test_a_title_above_the_header_does_not_hide_the_delimiter() -> None:
    assert found("Sales of 2024\na;b;c\n1;2;3\n").delimiter == ";"


def test_the_choice_of_the_client_is_taken_whatever_the_text() -> None:
    assert found("a,b\n1,2\n", asked=";") == Dialect(delimiter=";", header=("a,b",), bare_returns=False)


def test_carriage_returns_alone_are_ends_of_lines() -> None:
    assert found("a,b\r1,2\r") == Dialect(delimiter=",", header=("a", "b"), bare_returns=True)
    assert not found("a,b\r\n1,2\r\n").bare_returns
    assert not found("a,b").bare_returns


def test_the_last_record_of_a_cut_text_has_no_vote() -> None:
    text = "a,b;c;d\n1,2;3;4\n5,6"
    assert found(text, complete=False).delimiter == ";"
    assert found(text).delimiter == ","
    assert found("a,b,c\n1", complete=False).header == ("a", "b", "c")


def test_many_columns_are_refused_at_the_first_beyond_the_bound() -> None:
    assert len(found("a,b,c\n", max_columns=3).header) == 3
    with pytest.raises(LimitExceeded):
        found("a,b,c,d\n", max_columns=3)


@pytest.mark.parametrize("head", ["", "\n\r\n\n"])
def test_text_without_a_record_is_refused(head: str) -> None:
    with pytest.raises(UnreadableFile) as caught:
        found(head)
    assert caught.value.detail.code == "datasets.blank-lines-only"


def test_a_beginning_without_the_end_of_a_line_is_refused_unless_it_is_all() -> None:
    with pytest.raises(UnreadableFile) as caught:
        found("a,b", complete=False)
    assert caught.value.detail.code == "datasets.no-line-end"
    assert found("a,b").header == ("a", "b")


def test_each_delimiter_has_a_name() -> None:
    names = {str(Dialect(delimiter=each, header=(), bare_returns=False).name) for each in ",\t;|"}
    assert len(names) == 4
