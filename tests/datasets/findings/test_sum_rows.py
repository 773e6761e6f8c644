"""Last rows without a label that are the sum of the rows above."""

from tests.datasets.conftest import Read


def test_a_last_row_of_sums_without_a_label_is_found(read: Read) -> None:
    (finding,) = read("shop,sales,guests\nA,1.5,2\nB,3,4\nC,5,7\nD,3,1\n,12.5,14\n").findings
    assert (finding.code, finding.columns, finding.rows) == ("sum-rows", ["sales", "guests"], [5])
    assert finding.remedy is not None
    assert finding.remedy.parameters == {"drop_rows": [{"rows": [5]}]}


def test_a_last_row_of_sums_in_a_table_of_numbers_is_found(read: Read) -> None:
    (finding,) = read("a,b\n1.5,2\n3,4\n5,7\n3,1\n12.5,14\n").findings
    assert finding.code == "sum-rows"


def test_a_last_row_with_a_label_or_other_numbers_is_none(read: Read) -> None:
    assert read("shop,sales\nA,1\nB,3\nC,5\nD,3\nE,12\n").findings == ()
    assert read("shop,sales,guests\nA,1.5,2\nB,3,4\nC,5,7\nD,3,1\n,12,13\n").findings == ()


def test_one_sum_by_chance_among_numbers_alone_is_none(read: Read) -> None:
    assert read("a,b\n1,2\n3,4\n5,7\n3,1\n12,5\n").findings == ()
