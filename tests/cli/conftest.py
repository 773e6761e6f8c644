"""One session and one report for the whole room."""

from collections.abc import Iterator

import pytest

from cqox.api.report import Report
from cqox.api.session import Session
from tests.cli.stored import made


@pytest.fixture(scope="package")
def session() -> Iterator[Session]:
    with Session() as opened:
        yield opened


@pytest.fixture(scope="package")
def report(session: Session) -> Report:
    return made(session)
