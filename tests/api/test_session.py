"""The session of a process: its worker, its folder and its end."""

import subprocess
import sys
from pathlib import Path

import pytest

from cqox.api.calls import analyze
from cqox.api.session import _OF_SERVERS, Session, default_session
from cqox.client import Client
from tests.api.conftest import trial

SCRIPT = """
import sys, tempfile
tempfile.tempdir = sys.argv[1]
sys.path.insert(0, ".")
import cqox
from tests.api.conftest import trial
print(cqox.analyze(trial(), y="sales", treatment="campaign").verdict)
"""


def test_there_is_one_session_by_default() -> None:
    assert default_session() is default_session()


def test_a_closed_session_starts_again() -> None:
    session = Session()
    first = analyze(trial(), y="sales", treatment="campaign", session=session)
    session.close()
    assert analyze(trial(), y="sales", treatment="campaign", session=session).verdict == first.verdict
    session.close()


def test_the_worker_starts_before_the_rest_of_the_library_is_loaded() -> None:
    check = (
        "import sys, cqox.api.calls as calls; "
        "sys.exit(bool({'pydantic', 'polars', 'numpy', 'cqox.analysis.local'} & {*sys.modules}))"
    )
    subprocess.run([sys.executable, "-c", check], check=True)


@pytest.mark.parametrize("interpreter", [[], ["-X", "dev"]])
def test_the_end_of_the_process_ends_the_worker_and_removes_its_folder(tmp_path: Path, interpreter: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, *interpreter, "-c", SCRIPT, str(tmp_path)],
        capture_output=True, text=True, timeout=150, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "CANARY"
    assert list(tmp_path.iterdir()) == []
    assert "Traceback" not in done.stderr


def test_what_only_a_server_has_is_refused_with_the_call_that_has_it() -> None:
    session = Session()
    with pytest.raises(AttributeError, match=r"keeps no audit log.*cqox\.Client\(url\)\.audit\(…\)"):
        session.audit()  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match="has no attribute 'audits'"):
        session.audits()  # type: ignore[attr-defined]
    # The others are functions of the package, for a session as well.
    local = {
        "url",
        "close",
        "analyze",
        "analyze_request",
        "catalog",
        "definitions",
        "export",
        "figure",
        "preview",
        "roles",
    }
    assert {name for name in dir(Client) if name[0] != "_"} - local == _OF_SERVERS
