"""Headers of two rows, and words in columns of numbers."""

from tests.datasets.conftest import Read

MERGED = "shop,2024,,2025,\n,sales,guests,sales,guests\nA,1,2,3,4\nB,2,3,4,5\nC,3,4,5,6\n"


def test_a_header_of_merged_cells_is_found_and_its_remedy_settles_it(read: Read) -> None:
    (finding,) = read(MERGED).findings
    assert (finding.code, finding.severity, finding.rows) == ("header-rows", "caps", [1])
    assert finding.remedy is not None
    assert finding.remedy.model_dump() == {"at": "upload", "parameters": {"header_rows": "2"}}
    table = read(MERGED, **finding.remedy.parameters)
    assert table.findings == ()
    assert table.frame.columns == ["shop", "2024 sales", "2024 guests", "2025 sales", "2025 guests"]
    assert table.frame["2025 sales"].to_list() == [3, 4, 5]


def test_a_row_of_units_and_a_row_of_questions_are_found(read: Read) -> None:
    assert [f.code for f in read("shop,sales,n\n,円,人\nA,1.5,2\nB,3,4\nC,5,7\n").findings] == ["header-rows"]
    (finding,) = read("Q1,Q2\nHow old?,How tall?\ntext,number x\n1,170\n2,180\n3,160\n").findings
    assert finding.remedy is not None
    assert finding.remedy.parameters == {"header_rows": "3"}


def test_one_stray_word_and_columns_of_words_are_none(read: Read) -> None:
    assert read("shop,sales,n\nA,unknown price,2\nB,3,4\nC,5,7\n").findings == ()
    assert read("shop,color,size\nA,red,x1\nB,blue,x2\nC,red,x3\n").findings == ()
    assert read("a,b\nNA,NA\n1,2\n2,3\n3,4\n").findings == ()
