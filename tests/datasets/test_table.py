"""Previews are JSON, whatever the table holds."""

import json

from cqox.datasets import preview


def test_a_preview_is_json_without_infinity_and_with_dates_as_text(read):
    table = read(
        "a,d,t,s\n1.5,2024-01-05,2024-01-05 10:30,x\ninf,,2024-01-06 00:00,\nNaN,2024-02-29,2024-01-07 00:00,y\n"
    )
    shown = preview(table)
    assert json.loads(json.dumps(shown, allow_nan=False)) == [
        {"a": 1.5, "d": "2024-01-05", "t": "2024-01-05T10:30:00", "s": "x"},
        {"a": None, "d": None, "t": "2024-01-06T00:00:00", "s": None},
        {"a": None, "d": "2024-02-29", "t": "2024-01-07T00:00:00", "s": "y"},
    ]


def test_a_preview_has_as_many_rows_as_asked_for(read):
    table = read("a\n" + "1\n2\n" * 50)
    assert [len(preview(table, rows)) for rows in (0, 1, 20, 1000)] == [0, 1, 20, 100]
    assert len(preview(table)) == 20


def test_a_long_text_is_cut_in_a_preview_and_whole_in_the_table(read):
    table = read("a,b\n" + "x " * 1000 + ",1\n")
    assert len(str(preview(table)[0]["a"])) == 200
    assert table.frame["a"].str.len_chars()[0] == 1999
