"""The format of a file, from its content: never from its name or its extension."""

import zipfile
from dataclasses import dataclass
from typing import Literal

from cqox.datasets.temp_files import Source
from cqox.errors import UnreadableFile

__all__ = ["TRIED", "Compression", "Container", "archive_kind", "container", "not_a_table"]

type Compression = Literal["gzip", "bzip2", "zstd", "xz", "zip"]
type Container = Literal["parquet", "arrow file", "arrow stream", "spreadsheet", "zip archive", "text"]

TRIED = (
    "Parquet, Arrow (file and stream), Excel (xlsx, xlsb, xls), OpenDocument, JSON (lines and array), delimited text "
    "(comma, tab, semicolon, vertical bar), and any of them compressed by gzip, bzip2, zstd, xz or zip"
)

_COMPRESSIONS: tuple[tuple[bytes, Compression], ...] = (
    (b"\x1f\x8b\x08", "gzip"),
    (b"BZh", "bzip2"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\xfd7zXZ\x00", "xz"),
)
_OTHERS = (
    (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF87a", "a GIF image"),
    (b"GIF89a", "a GIF image"),
    (b"II*\x00", "a TIFF image"),
    (b"MM\x00*", "a TIFF image"),
    (b"RIFF", "a RIFF media file"),
    (b"%PDF", "a PDF document"),
    (b"%!PS", "a PostScript document"),
    (b"{\\rtf", "an RTF document"),
    (b"\x7fELF", "a Linux program"),
    (b"MZ\x90\x00", "a Windows program"),
    (b"\xcf\xfa\xed\xfe", "a macOS program"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"RDX2\n", "an R data file"),
    (b"RDX3\n", "an R data file"),
    (b"X\n\x00\x00\x00\x02", "an R object (rds)"),
    (b"X\n\x00\x00\x00\x03", "an R object (rds)"),
    (b"<stata_dta>", "a Stata data set"),
    (b"$FL2", "an SPSS data set"),
    (b"$FL3", "an SPSS data set"),
    (b"Obj\x01", "an Avro file"),
    (b"ORC", "an ORC file"),
    (b"FEA1", "a Feather file of version 1 (version 2 is read)"),
    (b"PARE", "an encrypted Parquet file"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"OggS", "an Ogg media file"),
    (b"ID3", "an MP3 file"),
)
_CFB = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Archive:
    kind: Literal["spreadsheet", "single", "other"]
    member: str = ""
    what: str = ""


def not_a_table(what: str) -> UnreadableFile:
    """The error for a file that was recognised as something else."""
    return UnreadableFile(f"This file is {what}, not a table. Tried by content: {TRIED}.")


def compression(head: bytes) -> Compression | None:
    """The compression that the first bytes announce, zip archives aside; None where there is none."""
    for magic, name in _COMPRESSIONS:
        if head.startswith(magic):
            # bzip2's magic is plain text: a header that starts with "BZh" has no block size and block mark behind it.
            if name == "bzip2" and head[4:10] not in (b"1AY&SY", b"\x17rE8P\x90"):
                continue
            return name
    return None


def container(source: Source) -> Container:
    """Return the kind of reader that the bytes need.

    Raises:
        UnreadableFile: something else than a table, named.
    """
    head = source.head(4096)
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(b"ARROW1"):
        return "arrow file"
    if head.startswith(b"\xff\xff\xff\xff") and len(head) > 8:
        return "arrow stream"
    if head.startswith(_CFB):
        return _compound(source)
    if head.startswith(_ZIP):
        return "spreadsheet" if archive_kind(source).kind == "spreadsheet" else "zip archive"
    for magic, what in _OTHERS:
        if head.startswith(magic):
            raise not_a_table(what)
    if head[4:8] == b"ftyp":
        raise not_a_table("a media file")
    if head[257:262] == b"ustar":
        raise not_a_table("a tar archive; send one of the files in it")
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:200].lower()
    if start.startswith((b"<!doctype html", b"<html")):
        raise not_a_table("an HTML page, perhaps a login or error page saved in place of the data")
    if start.startswith(b"<?xml"):
        raise not_a_table("an XML document")
    return "text"


def archive_kind(source: Source) -> _Archive:
    """Return the content of a zip archive: a spreadsheet, or one file in `member`.

    Raises:
        UnreadableFile: damaged, encrypted, or of several files.
    """
    try:
        with zipfile.ZipFile(source.path) as archive:
            members = [info for info in archive.infolist() if not info.is_dir()]
            names = {info.filename for info in members}
            mimetype = archive.read("mimetype")[:80] if "mimetype" in names else b""
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, ValueError) as error:
        raise UnreadableFile(f"This file starts like a zip archive but cannot be opened: {error}.") from error
    if any(name.startswith("xl/") for name in names):
        return _Archive(kind="spreadsheet")
    if mimetype.startswith(b"application/vnd.oasis.opendocument.spreadsheet"):
        return _Archive(kind="spreadsheet")
    if any(name.startswith("word/") for name in names):
        raise not_a_table("a Word document")
    if any(name.startswith("ppt/") for name in names):
        raise not_a_table("a PowerPoint presentation")
    files = [info for info in members if not info.filename.startswith(("__MACOSX/", ".")) and info.file_size]
    if len(files) != 1:
        shown = ", ".join(sorted(info.filename for info in files)[:10]) or "nothing"
        raise not_a_table(f"a zip archive of {len(files)} files ({shown}); send one of them")
    if files[0].flag_bits & 1:
        raise not_a_table("a zip archive locked by a password")
    return _Archive(kind="single", member=files[0].filename)


def _compound(source: Source) -> Container:
    content = source.head(1 << 22)
    for stream in ("Workbook", "Book"):
        if stream.encode("utf-16-le") in content:
            return "spreadsheet"
    if "EncryptedPackage".encode("utf-16-le") in content:
        raise not_a_table("an Office document locked by a password")
    return _workbook_far_in(source)


def _workbook_far_in(source: Source) -> Container:
    # The directory of a compound file may lie anywhere; blocks overlap by the length of the name sought.
    sought = "Workbook".encode("utf-16-le")
    tail = b""
    for block in source.blocks():
        if sought in tail + block:
            return "spreadsheet"
        tail = block[-len(sought) :]
    raise not_a_table("an old Office document without a workbook")
