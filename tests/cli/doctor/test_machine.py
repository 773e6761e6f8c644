import os
from pathlib import Path

import pytest

from cqox.cli.doctor.machine import check_clock, check_disk, check_memory, check_processors

KIB = {"MemTotal": 16 * 2**20, "MemAvailable": 8 * 2**20}


def meminfo(folder: Path, **kib: int) -> Path:
    path = folder / "meminfo"
    path.write_text("".join(f"{name}: {number} kB\n" for name, number in {**KIB, **kib}.items()), encoding="ascii")
    return path


def cgroup(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text, encoding="ascii")
    return folder


def test_memory_is_that_of_the_machine_within_the_control_group(tmp_path: Path):
    (found,) = check_memory({}, meminfo(tmp_path), tmp_path)
    assert (found.status, found.data["free_bytes"]) == ("ok", 8 * 2**30)
    limited = cgroup(tmp_path, memory_max=str(3 * 2**30), memory_current=str(1 * 2**30))
    (found,) = check_memory({}, meminfo(tmp_path), limited)
    assert (found.status, found.data["free_bytes"], found.data["total_bytes"]) == ("warn", 2 * 2**30, 3 * 2**30)
    assert "CQOX_WORKER_MEMORY_BYTES" in str(found.remedy)
    (found,) = check_memory({"CQOX_WORKER_MEMORY_BYTES": "2 GiB"}, meminfo(tmp_path), limited)
    assert found.status == "ok"


def test_little_free_memory_is_warned_of(tmp_path: Path):
    (found,) = check_memory({}, meminfo(tmp_path, MemAvailable=2**19), tmp_path / "none")
    assert (found.status, str(found.text)) == ("warn", "0.5 GiB of 16 GiB memory are free")


def test_without_kernel_files_memory_is_asked_from_the_system(tmp_path: Path):
    (found,) = check_memory({"CQOX_WORKER_MEMORY_BYTES": "512 MiB"}, tmp_path / "none", tmp_path / "none")
    assert found.data["total_bytes"] == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def test_a_quota_of_processors_is_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "process_cpu_count", lambda: 8)
    assert [each.status for each in check_processors(tmp_path / "none")] == ["ok"]
    assert [each.status for each in check_processors(cgroup(tmp_path, cpu_max="max 100000"))] == ["ok"]
    (found,) = check_processors(cgroup(tmp_path, cpu_max="150000 100000"))
    assert (found.status, found.data) == ("warn", {"usable": 8, "quota": 1.5})


def test_the_disk_of_a_folder_that_is_not_there_yet_is_that_of_its_parent(tmp_path: Path):
    data, temporary = check_disk({"CQOX_DATA_DIR": str(tmp_path / "a" / "b")})
    assert (data.status, temporary.status) == ("ok", "ok")
    assert not (tmp_path / "a").exists()


def test_a_file_in_the_place_of_the_data_directory_fails(tmp_path: Path):
    (tmp_path / "file").touch()
    data, _ = check_disk({"CQOX_DATA_DIR": str(tmp_path / "file" / "data")})
    assert data.status == "fail"
    assert "CQOX_DATA_DIR" in str(data.remedy)


@pytest.mark.parametrize(("free", "status"), [(2**25, "fail"), (2**30, "warn"), (2**40, "ok")])
def test_a_full_disk_fails_and_a_nearly_full_one_is_warned_of(
    free: int, status: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": free}))
    assert {each.status for each in check_disk({"CQOX_DATA_DIR": str(tmp_path)})} == {status}


def test_a_clock_behind_the_results_is_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    environ = {"CQOX_DATA_DIR": str(tmp_path)}
    monkeypatch.setattr("time.time", lambda: 1_800_000_000.0)
    assert [each.status for each in check_clock(environ)] == ["ok"]
    results = tmp_path / "results.sqlite"
    results.touch()
    os.utime(results, (1_800_100_000, 1_800_100_000))
    assert [each.status for each in check_clock(environ)] == ["warn"]
    results.unlink()
    monkeypatch.setattr("time.time", lambda: 0.0)
    assert [each.status for each in check_clock(environ)] == ["warn"]
