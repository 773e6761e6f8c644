"""Merged cells, and columns that are empty for another reason."""

from tests.datasets.conftest import Read

MERGED = "shop,month,sales\nA,1,5\n,2,6\n,3,4\nB,1,3\n,2,3\n,3,8\n"


def test_merged_cells_are_found_and_filled_down(read: Read) -> None:
    (finding,) = read(MERGED).findings
    assert (finding.code, finding.severity, finding.columns) == ("merged-cells", "caps", ["shop"])
    assert finding.remedy is not None
    assert finding.remedy.model_dump() == {"at": "upload", "parameters": {"fill_down": "shop"}}
    table = read(MERGED, **finding.remedy.parameters)
    assert table.findings == ()
    assert table.frame["shop"].to_list() == ["A", "A", "A", "B", "B", "B"]


def test_groups_of_unequal_size_are_found_by_the_months_that_begin_again(read: Read) -> None:
    assert [f.code for f in read("shop,month,sales\nA,1,5\n,2,6\n,3,4\nB,2,3\n,3,8\nC,1,2\n").findings] == [
        "merged-cells"
    ]


def test_remarks_and_late_values_are_none(read: Read) -> None:
    remarks = "remark,id,sales\nnew,1,5\n,2,6\n,3,4\nclosed,4,3\n,5,3\nopen,6,8\n,7,1\n"
    assert read(remarks).findings == ()
    assert read("a,b\n,1\nx,2\n,3\ny,4\n,5\n,6\n").findings == ()
    assert read("id,y,x\n1,2,0.5\n2,3,\n3,4,1.5\n4,5,\n").findings == ()


def test_a_name_with_a_comma_is_sent_as_json(read: Read) -> None:
    (finding,) = read(MERGED.replace("shop", '"shop, name"')).findings
    assert finding.remedy is not None
    assert read(MERGED.replace("shop", '"shop, name"'), **finding.remedy.parameters).findings == ()


def test_a_row_of_totals_with_a_label_does_not_hide_merged_cells(read: Read) -> None:
    findings = read(MERGED + "total,,29\n").findings
    assert [each.code for each in findings] == ["totals-rows", "merged-cells"]
