from pathlib import Path

import pytest

from tools.words import findings


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ('"""Return the number."""\nvalue = 1\n', []),
        ('"""What it is."""\n', [1]),
        ('def f():\n    """Whether it is."""\n', [2]),
        ("# It is told.\n", [1]),
        ("told = 1\n", [1]),
        ("what_is_told_here = 1\n", [1]),
        ("size = file.tell()\n", []),
        ('value = 1\n"""How many there are."""\n', [2]),
        ('x = f"{1} whoever {2}"\n', [1]),
        ('"""First.\n\nIt lies beside `told`, anew.\n"""\n', [3, 3]),
    ],
)
def test_words_and_openings_are_found_where_people_read_them(tmp_path: Path, text: str, lines: list[int]) -> None:
    path = tmp_path / "a.py"
    path.write_text(text)
    assert [line for line, _ in findings(path)] == lines


def test_documentation_is_read_line_by_line_and_code_in_it_is_not(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text("Plain.\n\nNobody's fault, `told` apart.\n")
    assert [line for line, _ in findings(path)] == [3]
