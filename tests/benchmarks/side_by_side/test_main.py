"""The command line of the tasks side by side; the peers are not run here."""

import pytest

from benchmarks.side_by_side.__main__ import main


def test_the_page_takes_every_task(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--peers", "python", "--page", "--only", "trial"])
    assert ended.value.code == 2
    assert "the page takes every task" in capsys.readouterr().err


def test_a_task_that_does_not_exist_is_refused_with_those_that_do(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--peers", "python", "--only", "nothing"])
    assert ended.value.code == 2
    assert "refutation" in capsys.readouterr().err
