import os
from pathlib import Path

import pytest
from rich.text import Text

from services.cli.up import Output


def test_lines_to_a_closed_pipe_are_dropped():
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as file:
        output = Output(file=file)
        for _ in range(3):
            output.write_line(Text("a line"))
        assert output.quiet


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_lines_that_a_full_disk_does_not_take_are_dropped_and_later_ones_are_written(tmp_path: Path):
    with Path("/dev/full").open("w") as full, (tmp_path / "log").open("w+") as kept:
        output = Output(file=full)
        for _ in range(3):
            output.write_line(Text("lost"))
        os.dup2(kept.fileno(), full.fileno())
        # What the file itself still holds comes first.
        full.flush()
        before = kept.seek(0, os.SEEK_END)
        output.write_line(Text("kept"))
        kept.seek(before)
        assert kept.read() == "kept\n"
