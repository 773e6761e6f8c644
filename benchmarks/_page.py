"""What the benchmarks print, kept in `docs/speed.md`."""

import contextlib
import io
import sys
from collections.abc import Iterator
from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs" / "speed.md"


@contextlib.contextmanager
def kept_as(name: str) -> Iterator[None]:
    """Show what is printed and put it into the page's block of that name, if all goes well and the page has one."""
    both = _Both()
    with contextlib.redirect_stdout(both):
        yield
    page, opening = PAGE.read_text(encoding="utf-8"), f"<!-- {name} -->\n```text\n"
    if opening in page:
        before, after = page.split(opening)
        _, rest = after.split("\n```", 1)
        PAGE.write_text(f"{before}{opening}{both.getvalue().strip()}\n```{rest}", encoding="utf-8")


class _Both(io.StringIO):
    def write(self, text: str, /) -> int:
        sys.__stdout__.write(text)  # type: ignore[union-attr]
        sys.__stdout__.flush()  # type: ignore[union-attr]
        return super().write(text)
