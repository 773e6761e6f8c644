"""Files as people have them: workbooks with merged headers, totals and weeks in words."""

from pathlib import Path

import numpy as np
import xlsxwriter

__all__ = ["SHOPS", "WEEKS", "sales_workbook", "ten_sheets"]

SHOPS, WEEKS, START = 20, 12, 7
EFFECT = 40.0


def sales_workbook(path: Path) -> Path:
    """Write shops and weeks: shops in merged cells, weeks as 第n週, a row of totals, a mark for the campaign."""
    draw = np.random.default_rng(7)
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet("売上")
        middle = book.add_format({"valign": "vcenter"})
        sheet.write_row(0, 0, ["店舗", "週", "キャンペーン", "売上"])
        row, total = 1, 0.0
        for shop in range(SHOPS):
            level = 500 + draw.normal(scale=60)
            first = row
            for week in range(1, WEEKS + 1):
                treated = shop % 2 == 1 and week >= START
                sales = round(level + 5 * week + EFFECT * treated + draw.normal(scale=12), 1)
                sheet.write_row(row, 1, [f"第{week}週", "○" if treated else "", sales])
                total += sales
                row += 1
            sheet.merge_range(first, 0, row - 1, 0, f"{shop + 1}号店", middle)
        sheet.write_row(row, 0, ["合計", "", "", round(total, 1)])
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
