import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from cqox.datasets.signatures import archive_kind, compression, container
from cqox.datasets.temp_files import Source
from cqox.errors import UnreadableFile

type Make = Callable[[bytes], Source]
CFB = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


@pytest.fixture
def source(tmp_path: Path) -> Make:
    def make(content: bytes) -> Source:
        path = tmp_path / "f"
        path.write_bytes(content)
        return Source(path=str(path), size=len(content))

    return make


def archive(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        for name, content in files.items():
            opened.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (gzip.compress(b"x", mtime=0), "gzip"),
        (bz2.compress(b"x"), "bzip2"),
        (bz2.compress(b""), "bzip2"),
        (lzma.compress(b"x"), "xz"),
        (zstandard.ZstdCompressor().compress(b"x"), "zstd"),
        (b"BZh,BZi\n1,2\n3,4\n", None),
        (b"BZh91,2,3,4", None),
        (archive(a=b"x"), None),
        (b"y,w\n", None),
        (b"", None),
    ],
)
def test_a_compression_is_known_by_its_first_bytes(head: bytes, name: str | None) -> None:
    assert compression(head[:16]) == name


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"PAR1....PAR1", "parquet"),
        (b"ARROW1\0\0", "arrow file"),
        (b"\xff\xff\xff\xff\x10\0\0\0\0", "arrow stream"),
        (b"\xff\xff\xff\xff", "text"),
        (archive(**{"xl/workbook.xml": b"x"}), "spreadsheet"),
        (archive(mimetype=b"application/vnd.oasis.opendocument.spreadsheet", **{"content.xml": b"x"}), "spreadsheet"),
        (archive(**{"data.csv": b"y,w\n"}), "zip archive"),
        (CFB + "Workbook".encode("utf-16-le"), "spreadsheet"),
        (CFB + "Book".encode("utf-16-le"), "spreadsheet"),
        (b"y,w\n1,2\n", "text"),
        (b"", "text"),
        (b"<p>,w\n", "text"),
    ],
)
def test_the_reader_is_chosen_by_content(source: Make, content: bytes, kind: str) -> None:
    assert container(source(content)) == kind


def test_a_directory_at_any_place_of_an_old_workbook_is_found(source: Make) -> None:
    sought = "Workbook".encode("utf-16-le")
    for place in ((1 << 22) + 100, (5 << 20) - 7, 5 << 20):
        content = bytearray(6 << 20)
        content[: len(CFB)] = CFB
        content[place : place + len(sought)] = sought
        assert container(source(bytes(content))) == "spreadsheet"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (CFB + "EncryptedPackage".encode("utf-16-le"), "an-office-document-locked-by-a-password"),
        (CFB + bytes(100), "an-old-office-document-without-a-workbook"),
        (archive(**{"word/document.xml": b"x"}), "a-word-document"),
        (archive(**{"ppt/slides.xml": b"x"}), "a-powerpoint-presentation"),
        (archive(), "zip-archive-of-nothing"),
        (archive(**{"empty.csv": b""}), "zip-archive-of-nothing"),
        (archive(**{"a.csv": b"x", "b.csv": b"x"}), "zip-archive-of-files"),
        (b" \t\n<HTML><table>", "an-html-page"),
    ],
)
def test_what_is_no_table_is_named(source: Make, content: bytes, what: str) -> None:
    with pytest.raises(UnreadableFile) as caught:
        container(source(content))
    assert caught.value.detail.params["what"].code == f"datasets.{what}"


def test_the_one_file_of_an_archive_is_found_among_what_programs_add(source: Make) -> None:
    content = archive(**{"__MACOSX/._d.csv": b"x", ".DS_Store": b"x", "folder/": b"", "folder/d.csv": b"y\n", "e": b""})
    found = archive_kind(source(content))
    assert (found.kind, found.member) == ("single", "folder/d.csv")


def test_an_archive_with_a_password_is_named(source: Make) -> None:
    content = bytearray(archive(**{"d.csv": b"y\n"}))
    # The flag of encryption, in the header of the file and in the directory.
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(UnreadableFile) as caught:
        archive_kind(source(bytes(content)))
    assert caught.value.detail.params["what"].code == "datasets.a-zip-archive-locked-by-a-password"


def test_a_broken_archive_is_refused(source: Make) -> None:
    with pytest.raises(UnreadableFile) as caught:
        container(source(archive(**{"d.csv": b"y\n"})[:-10]))
    assert caught.value.detail.code == "datasets.broken-zip-archive"
