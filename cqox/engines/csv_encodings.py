"""CSV files in place that are not UTF-8: the rules of files that are read find their encoding, and a copy is summed."""

import codecs
import gzip
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from cqox.contract.messages import Message
from cqox.datasets import Limits
from cqox.datasets.delimited import read_delimited
from cqox.datasets.dialect import find_dialect
from cqox.datasets.encodings import as_utf8, find_encoding
from cqox.datasets.expansion import expand
from cqox.datasets.temp_files import BLOCK_BYTES, Scratch, Source
from cqox.errors import LimitExceeded, UnreadableFile

__all__ = ["delimiter_of", "first_line", "refuse_as_read", "utf8_files"]

_MOST_READ_BYTES = 2**26
"""Size of a file up to which it is read again to say what is wrong with it."""


@contextmanager
def utf8_files(paths: Sequence[Path], folder: Path) -> Iterator[list[Path]]:
    """Yield the files, with copies in UTF-8 of those that begin in another encoding, until the block is left.

    Args:
        paths: the files.
        folder: for the copies; made where it does not exist.

    Raises:
        UnreadableFile: no encoding decodes such a file.
        OSError: a file cannot be read.
    """
    others = [path for path in paths if not _begins_in_utf8(path)]
    if not others:
        yield list(paths)
        return
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder) as copies, Scratch(folder) as scratch:
        found: list[Path] = []
        for number, path in enumerate(paths):
            # Errors name the file.
            copy = Path(copies) / str(number) / path.name.removesuffix(".gz")
            found.append(_copied(path, copy, scratch) if path in others else path)
        yield found


def refuse_as_read(path: Path, folder: Path) -> None:
    """Raise the error with which a file is not read; nothing where it is, or is too large to try.

    Args:
        path: the file.
        folder: for what is needed meanwhile.

    Raises:
        UnreadableFile: it has ragged rows, a quotation mark that is not closed, or is not UTF-8 after its first MiB.
    """
    with Scratch(folder) as scratch:
        try:
            source, _ = expand(Source(path=str(path), size=path.stat().st_size), scratch, Limits())
            encoding = find_encoding(source)
            if encoding.name != "utf-8":
                raise UnreadableFile(Message("sources.csv-encoding", file=path.name, encoding=encoding.name))
            if source.size <= _MOST_READ_BYTES:
                read_delimited(as_utf8(source, encoding, scratch), Limits())
        except LimitExceeded:
            return


def delimiter_of(path: Path) -> str:
    """Return the delimiter of a file in UTF-8, as when it is read.

    Raises:
        UnreadableFile: its first MiB has no record, or no end of one.
    """
    head = _head(path)
    text = head.decode(errors="ignore").removeprefix("\ufeff")
    return find_dialect(text, complete=len(head) < BLOCK_BYTES, asked=None, limits=Limits()).delimiter


def first_line(path: Path) -> str:
    """Return the first line of a file in UTF-8, with its end."""
    lines = _head(path).decode(errors="ignore").removeprefix("\ufeff").splitlines(keepends=True)
    return lines[0] if lines else ""


def _head(path: Path) -> bytes:
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    with opened(path, "rb") as file:
        return file.read(BLOCK_BYTES)


def _begins_in_utf8(path: Path) -> bool:
    head = _head(path)
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return b"\x00" not in head


def _copied(path: Path, copy: Path, scratch: Scratch) -> Path:
    source, _ = expand(Source(path=str(path), size=path.stat().st_size), scratch, Limits(max_expanded_bytes=2**62))
    text = as_utf8(source, find_encoding(source), scratch)
    copy.parent.mkdir()
    with copy.open("xb") as file:
        for block in text.blocks():
            file.write(block)
    return copy
