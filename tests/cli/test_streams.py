"""Standard streams that are full, closed, unread or of a small encoding, in processes of their own."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping

import pytest

from cqox.cli.streams import is_of_output
from tests.waiting import PATIENCE_SECONDS

COMMAND = (sys.executable, "-m", "cqox")
EXPLAIN = ("explain", "overlap")
POWER = ("power", "--baseline", "0.1", "--effect", "0.02", "--json")


def ended(
    arguments: tuple[str, ...], redirection: str = "", variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command by a shell, which has the redirection."""
    return subprocess.run(
        ["sh", "-c", f'"$@" {redirection}', "sh", *COMMAND, *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        env={**os.environ, "LANG": "C.UTF-8", **(variables or {})},
    )


@pytest.mark.parametrize("arguments", [EXPLAIN, POWER, ("--help",), ("--version",)])
@pytest.mark.parametrize(
    ("redirection", "reason"), [(">/dev/full", "No space left on device"), (">&-", "Bad file descriptor")]
)
def test_output_that_cannot_be_written_ends_with_one_sentence(
    arguments: tuple[str, ...], redirection: str, reason: str
) -> None:
    done = ended(arguments, redirection)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"Standard output cannot be written: {reason}.\n"


@pytest.mark.parametrize("arguments", [EXPLAIN, POWER, ("--help",)])
def test_a_reader_that_has_gone_ends_it_in_silence(arguments: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*COMMAND, *arguments], stdout=writing, stderr=subprocess.PIPE, text=True, timeout=PATIENCE_SECONDS
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


def test_every_stream_may_be_closed() -> None:
    assert ended(EXPLAIN, "<&- >&- 2>&-").returncode == 1


def test_progress_that_cannot_be_shown_ends_nothing() -> None:
    program = (
        "from cqox.cli.streams import *; open_streams(); import sys; print('step', file=sys.stderr); print('answer')"
    )
    done = subprocess.run(
        ["sh", "-c", '"$@" 2>/dev/full', "sh", sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert (done.returncode, done.stdout) == (0, "answer\n")


def test_characters_that_the_encoding_lacks_are_replaced_in_text_and_escaped_in_json() -> None:
    ascii_ = {"PYTHONIOENCODING": "ascii"}
    done = ended((*EXPLAIN, "--lang", "ja"), variables=ascii_)
    assert (done.returncode, done.stderr) == (0, "")
    assert "overlap (???)" in done.stdout
    done = ended((*POWER, "--lang", "ja"), variables=ascii_)
    assert done.returncode == 0
    assert "検出力80%" in json.loads(done.stdout)["headline"]


def test_an_error_elsewhere_is_not_that_of_the_output() -> None:
    assert not is_of_output(OSError("elsewhere"))
