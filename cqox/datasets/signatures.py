"""The format of a file, from its content: never from its name or its extension."""

import zipfile
from dataclasses import dataclass
from typing import Literal

from cqox.contract.messages import Message
from cqox.datasets.temp_files import Source
from cqox.errors import UnreadableFile

__all__ = ["TRIED", "Compression", "Container", "archive_kind", "container", "not_a_table"]

type Compression = Literal["gzip", "bzip2", "zstd", "xz", "zip"]
type Container = Literal["parquet", "arrow file", "arrow stream", "spreadsheet", "zip archive", "text"]

TRIED = Message("datasets.formats")
"""The formats that are read."""

_COMPRESSIONS: tuple[tuple[bytes, Compression], ...] = (
    (b"\x1f\x8b\x08", "gzip"),
    (b"BZh", "bzip2"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\xfd7zXZ\x00", "xz"),
)
_OTHERS = (
    (b"\x89PNG\r\n\x1a\n", Message("datasets.a-png-image")),
    (b"\xff\xd8\xff", Message("datasets.a-jpeg-image")),
    (b"GIF87a", Message("datasets.a-gif-image")),
    (b"GIF89a", Message("datasets.a-gif-image")),
    (b"II*\x00", Message("datasets.a-tiff-image")),
    (b"MM\x00*", Message("datasets.a-tiff-image")),
    (b"RIFF", Message("datasets.a-riff-media-file")),
    (b"%PDF", Message("datasets.a-pdf-document")),
    (b"%!PS", Message("datasets.a-postscript-document")),
    (b"{\\rtf", Message("datasets.an-rtf-document")),
    (b"\x7fELF", Message("datasets.a-linux-program")),
    (b"MZ\x90\x00", Message("datasets.a-windows-program")),
    (b"\xcf\xfa\xed\xfe", Message("datasets.a-macos-program")),
    (b"SQLite format 3\x00", Message("datasets.an-sqlite-database")),
    (b"\x89HDF\r\n\x1a\n", Message("datasets.an-hdf5-file")),
    (b"\x93NUMPY", Message("datasets.a-numpy-array")),
    (b"RDX2\n", Message("datasets.an-r-data-file")),
    (b"RDX3\n", Message("datasets.an-r-data-file")),
    (b"X\n\x00\x00\x00\x02", Message("datasets.an-r-object")),
    (b"X\n\x00\x00\x00\x03", Message("datasets.an-r-object")),
    (b"<stata_dta>", Message("datasets.a-stata-data-set")),
    (b"$FL2", Message("datasets.an-spss-data-set")),
    (b"$FL3", Message("datasets.an-spss-data-set")),
    (b"Obj\x01", Message("datasets.an-avro-file")),
    (b"ORC", Message("datasets.an-orc-file")),
    (b"FEA1", Message("datasets.a-feather-file-of-version-1")),
    (b"PARE", Message("datasets.an-encrypted-parquet-file")),
    (b"7z\xbc\xaf\x27\x1c", Message("datasets.a-7-zip-archive")),
    (b"Rar!\x1a\x07", Message("datasets.a-rar-archive")),
    (b"OggS", Message("datasets.an-ogg-media-file")),
    (b"ID3", Message("datasets.an-mp3-file")),
)
_MOST_SHOWN = 10
_CFB = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Archive:
    kind: Literal["spreadsheet", "single", "other"]
    member: str = ""
    what: str = ""


def not_a_table(what: Message) -> UnreadableFile:
    """The error for a file that was recognised as something else."""
    return UnreadableFile(Message("datasets.not-a-table", tried=TRIED, what=what))


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
        raise not_a_table(Message("datasets.a-media-file"))
    if head[257:262] == b"ustar":
        raise not_a_table(Message("datasets.a-tar-archive"))
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:200].lower()
    if start.startswith((b"<!doctype html", b"<html")):
        raise not_a_table(Message("datasets.an-html-page"))
    if start.startswith(b"<?xml"):
        raise not_a_table(Message("datasets.an-xml-document"))
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
        raise UnreadableFile(Message("datasets.broken-zip-archive", reason=str(error))) from error
    if any(name.startswith("xl/") for name in names):
        return _Archive(kind="spreadsheet")
    if mimetype.startswith(b"application/vnd.oasis.opendocument.spreadsheet"):
        return _Archive(kind="spreadsheet")
    if any(name.startswith("word/") for name in names):
        raise not_a_table(Message("datasets.a-word-document"))
    if any(name.startswith("ppt/") for name in names):
        raise not_a_table(Message("datasets.a-powerpoint-presentation"))
    files = [info for info in members if not info.filename.startswith(("__MACOSX/", ".")) and info.file_size]
    if len(files) != 1:
        names_shown = sorted(info.filename for info in files)[:_MOST_SHOWN]
        raise not_a_table(
            Message("datasets.zip-archive-of-files", count=len(files), names=names_shown)
            if files
            else Message("datasets.zip-archive-of-nothing")
        )
    if files[0].flag_bits & 1:
        raise not_a_table(Message("datasets.a-zip-archive-locked-by-a-password"))
    return _Archive(kind="single", member=files[0].filename)


def _compound(source: Source) -> Container:
    content = source.head(1 << 22)
    for stream in ("Workbook", "Book"):
        if stream.encode("utf-16-le") in content:
            return "spreadsheet"
    if "EncryptedPackage".encode("utf-16-le") in content:
        raise not_a_table(Message("datasets.an-office-document-locked-by-a-password"))
    return _workbook_far_in(source)


def _workbook_far_in(source: Source) -> Container:
    # The directory of a compound file may lie anywhere; blocks overlap by the length of the name sought.
    sought = "Workbook".encode("utf-16-le")
    tail = b""
    for block in source.blocks():
        if sought in tail + block:
            return "spreadsheet"
        tail = block[-len(sought) :]
    raise not_a_table(Message("datasets.an-old-office-document-without-a-workbook"))
