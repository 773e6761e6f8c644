"""The tables of the chaos pages."""

from docs.chaos import table

FOUND = {
    "name": "engine-killed",
    "title": {"en": "An engine is killed", "ja": "エンジンを強制終了する"},
    "skipped": "",
    "recovery_seconds": 3.24,
    "recovery_limit": 20.0,
    "faults": [{"kind": "process-kill", "target": "engine", "mode": "all", "seconds": 6.0}],
    "fault_intervals": [[1.2, 2.4]],
    "seconds": [{"sent": 10, "good": 1}, {"sent": 10, "good": 9}, {"sent": 10, "good": 6}, {"sent": 10, "good": 0}],
    "reports": 40,
    "jobs": {"interrupted": 1, "succeeded": 7},
}


def test_a_row_has_what_was_measured() -> None:
    assert table([FOUND], "en").splitlines()[2] == (
        "| An engine is killed (`engine-killed`) | `process-kill` engine ×n, 6 s | 75% | 3.2 s | 20 s | 40 "
        "| 1 interrupted, 7 succeeded |"
    )
    assert "エンジンを強制終了する" in table([FOUND], "ja")


def test_what_did_not_heal_or_run_is_said() -> None:
    assert "**not in time**" in table([FOUND | {"recovery_seconds": None}], "en")
    assert "| not run |" in table([FOUND | {"skipped": "there is no vault"}], "en")
