"""Which texts mean that a cell has no value.

Three degrees, because a word for "nothing" may be a level of its column: some texts always mean a missing value, some
unless the column would be left with fewer than two levels (the `-` of `+`/`-`, the `None` of a drug), and some only
among numbers and dates (the `なし` of あり/なし).
"""

import unicodedata

__all__ = ["ALWAYS", "IN_NUMBERS", "UNLESS_A_LEVEL", "folded"]

ALWAYS = frozenset({
    "", "na", "n/a", "#n/a", "<na>", "#na", "nan", "-nan", "null", "(null)", "nil", "nat", ".", "..", "#value!", "#ref!",
    "#div/0!", "#num!", "#name?", "#null!", "欠損", "欠測", "欠損値", "欠測値", "欠番",
})  # fmt: skip
"""Texts that mean a missing value in any column, folded."""

UNLESS_A_LEVEL = frozenset({
    "none", "n.a.", "missing", "unknown", "not available", "not applicable", "no answer", "?", "-", "--", "---", "‐", "–",
    "—", "―", "ー", "−", "不明", "未回答", "無回答", "回答なし", "未記入", "無記入", "記載なし", "空欄", "該当なし", "非該当",
    "対象外", "未測定", "測定不能", "データなし", "未入力",
})  # fmt: skip
"""Texts that mean a missing value where two other levels remain, folded."""

IN_NUMBERS = frozenset({"なし", "無し", "無", "nothing", "*", "**", "***", "x", "×", "・", "…", "..."})
"""Texts that mean a missing value in a column of numbers or dates and a level in any other, folded."""


def folded(text: str) -> str:
    """The text as the sets have it: NFKC, lower case, without spaces around it."""
    return unicodedata.normalize("NFKC", text).strip().lower()
