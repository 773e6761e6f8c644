"""One session and one report for the whole room."""

from collections.abc import Iterator
from contextlib import nullcontext

import pytest

from cqox.api.report import Report
from cqox.api.session import Session
from tests.cli.stored import made


@pytest.fixture(scope="package")
def session() -> Iterator[Session]:
    with Session() as opened:
        yield opened


@pytest.fixture
def warm(session: Session, monkeypatch: pytest.MonkeyPatch) -> Session:
    """Let commands that run in the test's process use its session, whose worker is warm."""
    for module in ("analyze", "roles", "doctor.trial"):
        monkeypatch.setattr(f"cqox.cli.{module}.Session", lambda bounds: nullcontext(session))
    return session


@pytest.fixture(scope="package")
def report(session: Session) -> Report:
    return made(session)
