"""Frames of an upload in pieces; the uploads themselves are tested with sealing in `test_partial_uploads`."""

import os
from pathlib import Path

import pytest

from cqox.encryption import SealBroken
from cqox.storage.sealed_content import SealedContent, write_all
from cqox.storage.sealing import UPLOAD
from tests.storage.sealings import sealing_in


def test_two_processes_append_to_one_file(tmp_path: Path) -> None:
    path, plain = tmp_path / "content", os.urandom(2_500_000)
    with path.open("w+b", buffering=0) as file:
        content = SealedContent.begun(file.fileno(), sealing_in(tmp_path).of("acme"))
        content.append(plain[:2_000_000])
        end, number = content.end, content.number
    assert number == 2
    with path.open("r+b", buffering=0) as file:
        other = sealing_in(tmp_path).of("acme")
        again = SealedContent.found(file.fileno(), other, end, number)
        again.append(plain[2_000_000:])
        again.close()
        # The end stays where it was, for a repetition.
        assert again.number == 3
        again.close()
    assert other.read_file(path, UPLOAD) == plain


def test_a_damaged_header_is_refused(tmp_path: Path) -> None:
    sealing = sealing_in(tmp_path).of("acme")
    with (tmp_path / "content").open("w+b", buffering=0) as file:
        SealedContent.begun(file.fileno(), sealing)
        os.ftruncate(file.fileno(), 20)
        with pytest.raises(SealBroken):
            SealedContent.found(file.fileno(), sealing, 20, 0)


def test_all_bytes_are_written_at_their_place(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w+b") as file:
        write_all(file.fileno(), b"def", 3)
        write_all(file.fileno(), b"abc", 0)
    assert (tmp_path / "file").read_bytes() == b"abcdef"
