"""Iceberg tables opened in place, as a request of the table 'visits' opens them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cqox.engines.place_opening import opened_table
from cqox.engines.place_table import PlaceTable
from cqox.sources import iceberg_table


def nobody(question: object) -> bytes:
    raise AssertionError(question)


@contextmanager
def opened(folder: Path, *, snapshot: str | None = None, own: bool = False) -> Iterator[PlaceTable]:
    place = {
        "source": "lake", "table": "visits", "format": "iceberg", "folder": str(folder), "own": own,
        "snapshot": snapshot or iceberg_table(folder).snapshot,
    }  # fmt: skip
    scratch = folder.parent / "scratch"
    scratch.mkdir(exist_ok=True)
    with opened_table(place, scratch, threads=2, after_read=lambda: None, ask=nobody) as table:
        yield table
