from pathlib import Path

import pytest

from cqox.chaos.simulation.ledger import Ledger, LedgerMismatch
from cqox.chaos.simulation.runner import Outcome

OUTCOME = Outcome(seed=7, minutes=4, digest="ab", events=3, violations=("it forgot",), cpu_seconds=1.5, faults=("one",))


def opened(path: Path, code: str = "c") -> Ledger:
    return Ledger(path, system="toy", minutes=4, code=code)


def test_what_is_done_is_there_when_the_ledger_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "ledger"
    ledger = opened(path)
    ledger.add(OUTCOME)
    assert list(opened(path)) == [OUTCOME]
    assert opened(path).done == {7: OUTCOME}


def test_a_line_that_was_cut_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    opened(path).add(OUTCOME)
    with path.open("a") as file:
        file.write('{"seed": 8, "min')
    assert list(opened(path)) == [OUTCOME]


@pytest.mark.parametrize("content", ["", "no ledger\n"], ids=["empty", "text"])
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "ledger"
    path.write_text(content)
    with pytest.raises(LedgerMismatch, match="name another file"):
        opened(path)


def test_a_ledger_of_other_code_is_refused(tmp_path: Path) -> None:
    opened(tmp_path / "ledger")
    with pytest.raises(LedgerMismatch, match="'code': 'c'"):
        opened(tmp_path / "ledger", code="d")
