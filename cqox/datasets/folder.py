"""A folder of files that are parts of one table, joined to one file."""

import shutil
from pathlib import Path

import polars as pl

from cqox.contract.messages import Message
from cqox.errors import UnreadableFile

__all__ = ["join_folder"]

_COLUMNAR = (".parquet", ".pq", ".arrow", ".feather", ".ipc")
_TEXT = (".csv", ".tsv", ".txt")
_BOM = b"\xef\xbb\xbf"


def join_folder(folder: Path, target: Path) -> None:
    """Write the rows of all files of a folder and its subfolders, in the order of their paths, to one file.

    The files have one format: Parquet, Arrow, or delimited text with the same header line. Columns of Parquet and Arrow
    files are matched by name; one that a file lacks is missing there. Hidden files and files of other kinds, such as
    `_SUCCESS`, are ignored.

    Args:
        folder: the folder.
        target: the file to make.

    Raises:
        UnreadableFile: there is no such file, they are of several formats, or their columns do not fit.
    """
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not _is_hidden(path, folder)]
    columnar = [path for path in files if path.suffix.lower() in _COLUMNAR]
    text = [path for path in files if path.suffix.lower() in _TEXT]
    if not columnar and not text:
        raise UnreadableFile(Message("datasets.folder-without-tables", formats=[*_COLUMNAR, *_TEXT]))
    if columnar and text:
        raise UnreadableFile(Message("datasets.folder-of-formats", one=columnar[0].name, other=text[0].name))
    if columnar:
        _join_columnar(columnar, target)
    else:
        _join_text(text, target)


def _is_hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def _join_columnar(files: list[Path], target: Path) -> None:
    frames = []
    for path in files:
        try:
            is_parquet = path.suffix.lower() in (".parquet", ".pq")
            frames.append(pl.read_parquet(path, glob=False) if is_parquet else pl.read_ipc(path))
        except (pl.exceptions.PolarsError, OSError, ValueError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise UnreadableFile(Message("datasets.file-of-folder", file=path.name, reason=reason)) from error
    try:
        joined = pl.concat(frames, how="diagonal_relaxed", rechunk=False)
    except pl.exceptions.PolarsError as error:
        raise UnreadableFile(Message("datasets.columns-of-folder", reason=str(error).splitlines()[0])) from error
    joined.write_ipc(target, compression="uncompressed")


def _join_text(files: list[Path], target: Path) -> None:
    first = files[0]
    with target.open("xb") as into:
        header: bytes | None = None
        for path in files:
            with path.open("rb") as source:
                line = source.readline()
                own = line.removeprefix(_BOM).rstrip(b"\r\n")
                if header is None:
                    header = own
                    into.write(line)
                elif own != header:
                    raise UnreadableFile(Message("datasets.headers-of-folder", one=first.name, other=path.name))
                if not line.endswith(b"\n"):
                    continue
                shutil.copyfileobj(source, into)
                if into.tell() and not _ends_in_newline(path):
                    into.write(b"\n")


def _ends_in_newline(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, 2)
        return file.read(1) == b"\n"
