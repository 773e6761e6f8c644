"""Marks for yes with empty cells for no."""

import pytest

from tests.datasets.conftest import Read


@pytest.mark.parametrize("mark", ["○", "◯", "〇", "x", "X", "✓", "✔", "済", "yes"])
def test_a_mark_and_empty_cells_are_found(read: Read, mark: str) -> None:
    (finding,) = read(f"shop,campaign,y\nA,{mark},1\nB,,2\nC,{mark},3\nD,,4\n").findings
    assert (finding.code, finding.severity, finding.columns) == ("yes-or-blank", "caps", ["campaign"])
    assert finding.remedy is not None
    assert finding.remedy.parameters == {"yes_no": ["campaign"]}


def test_two_marks_constants_and_one_remark_are_none(read: Read) -> None:
    assert read("shop,campaign,y\nA,○,1\nB,×,2\nC,○,3\nD,×,4\n").findings == ()
    assert read("shop,campaign,y\nA,○,1\nB,○,2\nC,○,3\nD,○,4\n").findings == ()
    assert read("shop,remark,y\nA,closed in May,1\nB,,2\nC,,3\nD,,4\n").findings == ()
