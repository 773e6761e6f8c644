"""Files as people have them: workbooks with merged headers, totals and weeks in words."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xlsxwriter

__all__ = ["ENGLISH", "JAPANESE", "SHOPS", "WEEKS", "sales_workbook", "ten_sheets"]

SHOPS, WEEKS, START = 20, 12, 7
EFFECT = 40.0
JAPANESE = ("売上", "店舗", "週", "キャンペーン", "{}号店", "第{}週", "○", "合計")
ENGLISH = ("sales", "store", "week", "campaign", "Store {}", "Week {}", "x", "Total")
"""The outcome, which is the sheet too; the columns; a store, a week, the mark for yes, and totals."""


def sales_workbook(path: Path, words: Sequence[str] = JAPANESE) -> Path:
    """Write shops and weeks: shops in merged cells, weeks in words, a row of totals, a mark for the campaign."""
    outcome, store, period, campaign, store_name, week_name, mark, totals = words
    draw = np.random.default_rng(7)
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet(outcome)
        middle = book.add_format({"valign": "vcenter"})
        sheet.write_row(0, 0, [store, period, campaign, outcome])
        row, total = 1, 0.0
        for shop in range(SHOPS):
            level = 500 + draw.normal(scale=60)
            first = row
            for week in range(1, WEEKS + 1):
                treated = shop % 2 == 1 and week >= START
                sales = round(level + 5 * week + EFFECT * treated + draw.normal(scale=12), 1)
                sheet.write_row(row, 1, [week_name.format(week), mark if treated else "", sales])
                total += sales
                row += 1
            sheet.merge_range(first, 0, row - 1, 0, store_name.format(shop + 1), middle)
        sheet.write_row(row, 0, [totals, "", "", round(total, 1)])
    return path


def ten_sheets(path: Path) -> Path:
    """Write ten sheets, each with lines of text above a header in row 4; the third is the one to analyse."""
    draw = np.random.default_rng(3)
    with xlsxwriter.Workbook(path) as book:
        for number in range(1, 11):
            sheet = book.add_worksheet(f"第{number}表")
            sheet.write_row(0, 0, [f"報告書 {number}"])
            sheet.write_row(1, 0, ["作成日", "2025-04-01"])
            sheet.write_row(3, 0, ["客", "広告", "購入額"])
            for row in range(40):
                seen = row % 2
                sheet.write_row(4 + row, 0, [row, seen, round(100 + number + 8 * seen + draw.normal(), 2)])
    return path
