"""`cqox rekey` on whole services: plain data are sealed, keys are replaced while an engine serves, and the way back."""

import shutil
from pathlib import Path

from tests.e2e.planted import check_reading, cqox_of, found_in, started, work
from tests.e2e.stack import build


def test_what_was_plain_is_sealed_by_a_command_and_plain_again_by_another(tmp_path: Path) -> None:
    stack = build(tmp_path)
    with started(stack), stack.client() as client:
        report = work(client)
    data = tmp_path / "data"
    assert set(found_in(data)) >= {"results.sqlite"}
    stack.engine.environment["CQOX_KEYS"] = "file"
    # Uploads in pieces stay as they are for a day.
    shutil.rmtree(data / "partial")
    done = cqox_of(stack, "rekey")
    assert done.returncode == 0, done.stdout + done.stderr
    assert found_in(data) == {}
    with started(stack), stack.client() as client:
        check_reading(client, report)
        # Also while an engine serves.
        done = cqox_of(stack, "rekey", "--rotate")
        assert done.returncode == 0, done.stdout + done.stderr
        check_reading(client, report)
    assert "0 rows" not in done.stdout
    again = cqox_of(stack, "rekey")
    assert "default: 0 data sets and 0 rows written again." in again.stdout
    assert found_in(data) == {}
    done = cqox_of(stack, "rekey", "--plain")
    assert done.returncode == 0, done.stdout + done.stderr
    stack.engine.environment["CQOX_KEYS"] = "none"
    with started(stack), stack.client() as client:
        check_reading(client, report)
    refused = cqox_of(stack, "rekey")
    assert refused.returncode == 2
    assert "CQOX_KEYS is none" in refused.stderr
