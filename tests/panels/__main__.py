"""Show every panel after a mixed workload: `python -m tests.panels` writes docs/dashboard-panels.md."""

import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import httpx

from cqox.contract import PanelData
from cqox.dashboards.analyses import ANALYSIS
from cqox.dashboards.operations import OPERATIONS
from tests.e2e.mixed_workload import mixed_workload
from tests.panels.page import PAGE, page, sample_of
from tests.panels.studies import analyze_variously

_SETTLED_SECONDS = 12.0
"""Facts about reports, and the last samples of the processes, are there soon after the requests."""


def main() -> int:
    """Write the page and return 0."""
    with (
        tempfile.TemporaryDirectory(prefix="cqox-panels-") as folder,
        mixed_workload(Path(folder), analyze_variously) as client,
    ):
        time.sleep(_SETTLED_SECONDS)
        samples = {
            (board.id, panel.id): sample_of(panel, _shown(client, f"/api/dashboards/{board.id}/panels/{panel.id}"))
            for board in (OPERATIONS, ANALYSIS)
            for panel in board.panels
        }
    PAGE.write_text(page(samples, day=datetime.now(UTC)), encoding="utf-8")
    empty = [f"{board} {panel}: {text}" for (board, panel), text in samples.items() if text.startswith("nothing: ")]
    sys.stdout.write("".join(f"{each}\n" for each in (f"{len(samples)} panels", *empty)))
    return 0


def _shown(client: httpx.Client, path: str) -> PanelData:
    return PanelData.model_validate(client.get(path).raise_for_status().json())


if __name__ == "__main__":
    sys.exit(main())
