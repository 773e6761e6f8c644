"""The statements for Grafana, run by a real PostgreSQL as a role that may read nothing else, against our own panels."""

import math
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import psycopg
import pytest

from cqox import clock
from cqox.analysis.service import Analyses
from cqox.analysis.stores import StoreAddresses
from cqox.analysis.study_panels import StudyPanels
from cqox.dashboards import PanelAnswer, Span
from cqox.dashboards.analyses import ANALYSIS, PANELS
from cqox.dashboards.views import VIEWS
from cqox.storage import DEFAULT_TENANT
from deploy.grafana.studies import target_of
from tests.analysis.test_study_panels import BOUNDS, worked
from tests.servers import Postgres, running

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300), pytest.mark.xdist_group("servers")]
READER = Path(__file__).parents[3] / "deploy" / "grafana" / "reader.sql"
STEP = 3600.0
CODES = {"skip-reasons", "skipped", "estimators-failed"}
"""Panels whose reasons are sentences on our own page and codes in Grafana."""

type Row = Sequence[object]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "trio"


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with running(Postgres()) as made:
        yield made


def run(url: str, sql: str, span: Span) -> tuple[list[str], list[Row]]:
    """Run a statement as Grafana does, with its macros and variables filled."""
    filled = sql.replace("$__unixEpochFrom()", str(int(span.start)))
    filled = filled.replace("$__unixEpochTo()", str(int(span.end + span.step)))
    filled = filled.replace("$__interval_ms", str(int(span.step * 1000)))
    assert "$" not in filled
    with psycopg.connect(url) as connection:
        cursor = connection.execute(filled)  # type: ignore[arg-type]
        assert cursor.description is not None
        return [column.name for column in cursor.description], cursor.fetchall()


def same(left: object, right: object) -> bool:
    """Return whether a cell of our page is that of Grafana."""
    if isinstance(right, datetime):
        return datetime.fromisoformat(str(left)) == right
    if isinstance(left, int | float):
        return math.isclose(left, float(right), rel_tol=1e-12)  # type: ignore[arg-type]
    return left == right


def lines_of(kind: str, heads: list[str], rows: list[Row]) -> dict[str, list[tuple[float, float]]]:
    """Return rows of a drawing as lines: long with a name in each row, or wide with a column for each line."""
    found: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        if kind == "bars":
            found[str(row[0])] = [(0.0, float(row[1]))]  # type: ignore[arg-type]
        elif heads[1:] == ["metric", "value"]:
            found.setdefault(str(row[1]), []).append((float(row[0]), float(row[2])))  # type: ignore[arg-type]
        else:
            for name, value in zip(heads[1:], row[1:], strict=True):
                if value is not None:
                    found.setdefault(name, []).append((float(row[0]), float(value)))  # type: ignore[arg-type]
    return found


def compare(panel_id: str, ours: PanelAnswer, heads: list[str], rows: list[Row]) -> None:
    """Compare a panel of our page with the rows for Grafana."""
    kind = PANELS[panel_id].panel.kind
    if kind == "table":
        assert heads == list(ours.columns or ())
        left = [list(row) for row in ours.rows or ()]
        right = [list(row) for row in rows]
        # The page counts days up to the last step, and Grafana up to the end of the range, which is an hour later.
        if panel_id in CODES or "days" in heads:
            place = heads.index("days" if "days" in heads else "reason")
            left, right = ([[*row[:place], *row[place + 1 :]] for row in each] for each in (left, right))
        assert len(left) == len(right)
        # Equal keys of the order may come in another order: the rows are compared as a set.
        for row in right:
            match = next((one for one in left if all(map(same, one, row))), None)
            assert match is not None, (row, left)
            left.remove(match)
    elif kind == "stat":
        [[value]] = rows
        [line] = ours.lines
        assert same(line.points[-1][1], value)
    elif panel_id in CODES:
        assert sorted(line.points[-1][1] for line in ours.lines) == sorted(float(row[1]) for row in rows)  # type: ignore[arg-type]
    else:
        theirs = lines_of(kind, heads, rows)
        assert theirs.keys() == {str(line.name) for line in ours.lines}
        for line in ours.lines:
            found = theirs[line.name]
            if kind == "bars":
                assert found[0][1] == line.points[-1][1]
            else:
                assert [at for at, _ in found] == [at for at, _ in line.points]
                assert [value for _, value in found] == pytest.approx([value for _, value in line.points])


async def test_every_panel_has_the_numbers_of_our_own_page_for_a_role_that_reads_nothing_else(
    server: Postgres, tmp_path: Path
) -> None:
    url = server.fresh()
    async with Analyses.open(tmp_path / "data", BOUNDS, StoreAddresses(postgres_url=url), samples=False) as analyses:
        tenant = analyses.within(DEFAULT_TENANT)
        await worked(tenant, tmp_path)
        now = math.ceil(clock.wall_time() / STEP) * STEP
        # Reuses are counted at the beginning of their day.
        span, source = Span(start=now - 48 * STEP, end=now, step=STEP), StudyPanels(tenant.store)
        ours = {panel.id: await source.answer(panel, span) for panel in ANALYSIS.panels}
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(READER.read_text(encoding="utf-8"))  # type: ignore[arg-type]
    reader = re.sub(r"//cqox@", "//cqox_reader@", url)
    for panel in ANALYSIS.panels:
        heads, rows = run(reader, target_of(panel.id).sql, span)
        assert rows, panel.id
        compare(panel.id, ours[panel.id], heads, rows)
    with psycopg.connect(reader) as connection:
        for view in VIEWS:
            assert connection.execute(f"SELECT count(*) FROM {view}").fetchone()  # type: ignore[arg-type]
        for forbidden in ("SELECT * FROM reports", "SELECT description FROM datasets", "SELECT * FROM annotations"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(forbidden)  # type: ignore[arg-type]
            connection.rollback()
