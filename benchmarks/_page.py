"""Storage of benchmark output in `docs/speed.md`."""

import contextlib
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs" / "speed.md"


@contextlib.contextmanager
def kept_as(name: str) -> Iterator[None]:
    """Print output as usual, and after success store it in the page's block of that name, if there is one."""
    both = _Both()
    with contextlib.redirect_stdout(both):
        yield
    block = re.compile(rf"(<!-- {name} -->\n```text\n).*?(^```$)", re.DOTALL | re.MULTILINE)
    output = both.getvalue().strip("\n") + "\n"
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(block.sub(lambda found: found[1] + output + found[2], page), encoding="utf-8")


class _Both(io.StringIO):
    def write(self, text: str, /) -> int:
        sys.__stdout__.write(text)  # type: ignore[union-attr]
        sys.__stdout__.flush()  # type: ignore[union-attr]
        return super().write(text)
