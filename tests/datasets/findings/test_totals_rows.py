"""Rows of totals, and rows that only look like them."""

import pytest

from tests.datasets.conftest import Read


def codes(read: Read, text: str) -> list[str]:
    return [finding.code for finding in read(text).findings]


@pytest.mark.parametrize("word", ["合計", "総 計", "小計", "計", "Total", "TOTAL", "Grand total", "total:"])
def test_a_row_of_totals_is_found_with_what_drops_it(read: Read, word: str) -> None:
    (finding,) = read(f"shop,sales,guests\nA,1,2\nB,3,4\nC,5,7\n{word},9,13\n").findings
    assert (finding.code, finding.severity, finding.columns, finding.rows) == ("totals-rows", "caps", ["shop"], [4])
    assert finding.remedy is not None
    assert finding.remedy.model_dump() == {
        "at": "analyze",
        "parameters": {"drop_rows": [{"column": "shop", "values": [word]}]},
    }


def test_subtotals_of_blocks_and_their_total_are_found(read: Read) -> None:
    text = "region,shop,sales\n東京,A,10\n東京,B,20\n東京計,,30\n大阪,C,5\n大阪,D,6\n大阪計,,11\n総計,,41\n"
    (finding,) = read(text).findings
    assert finding.rows == [3, 6, 7]
    assert finding.remedy is not None
    assert finding.remedy.parameters == {"drop_rows": [{"column": "region", "values": ["大阪計", "東京計", "総計"]}]}


def test_totals_of_every_period_of_a_panel_are_found(read: Read) -> None:
    rows = [(shop, month, 10 * number + month) for month in range(1, 5) for number, shop in enumerate("ABC", 1)]
    totals = [("Total", month, sum(sales for _, other, sales in rows if other == month)) for month in range(1, 5)]
    text = "shop,month,sales\n" + "".join(f"{a},{b},{c}\n" for a, b, c in [*rows, *totals])
    (finding,) = read(text).findings
    assert finding.rows == [13, 14, 15, 16]


def test_a_company_called_total_is_none(read: Read) -> None:
    assert codes(read, "company,sales,staff\nShell,10,2\nBP,33,4\nTotal,5,7\nEni,9,13\n") == []
    panel = "".join(
        f"{name},{year},{k * year % 97}\n"
        for k, name in enumerate(["BP", "Total", "Eni"], 3)
        for year in range(2000, 2012)
    )
    assert codes(read, "company,year,sales\n" + panel) == []


def test_words_that_end_in_the_letter_of_totals_are_none(read: Read) -> None:
    assert codes(read, "item,sales\n時計,10\n家計簿,20\n会計,5\n体重計,7\n") == []


def test_a_column_of_sums_is_none(read: Read) -> None:
    assert codes(read, "shop,a,b,total\nA,1,2,3\nB,3,4,7\nC,5,7,12\n") == []


def test_a_label_of_half_of_the_rows_is_none(read: Read) -> None:
    assert codes(read, "kind,sales\n合計,1\n内訳,1\n合計,2\n合計,2\n") == []


@pytest.mark.parametrize("word", ["Total", "net"])
def test_numbers_without_a_sum_are_compared_with_none(read: Read, word: str) -> None:
    rows = ["a,8.988465674311579e+307", "b,8.98846567431158e+307", "c,1", f"{word},8.98846567431158e+307"]
    found = codes(read, "\n".join(["region,sales", *rows]) + "\n")
    assert "totals-rows" not in found
