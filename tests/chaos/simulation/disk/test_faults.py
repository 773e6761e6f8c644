import errno

from cqox.chaos.simulation.disk.faults import DiskFault


def test_a_full_disk_refuses_what_takes_room_and_a_read_only_one_what_changes_it() -> None:
    full, closed, broken = (DiskFault(error=error) for error in (errno.ENOSPC, errno.EROFS, errno.EIO))
    assert [fault.concerns("create", "a") for fault in (full, closed, broken)] == [True, True, True]
    assert [fault.concerns("remove", "a") for fault in (full, closed, broken)] == [False, True, True]
    assert [fault.concerns("read", "a") for fault in (full, closed, broken)] == [False, False, True]
    assert [fault.concerns("lock", "a") for fault in (full, closed, broken)] == [False, False, False]


def test_operations_and_paths_are_chosen() -> None:
    fault = DiskFault(error=errno.EIO, operations=frozenset({"lock"}), path="datasets/*")
    assert fault.concerns("lock", "datasets/a/b")
    assert not fault.concerns("lock", "figures/a")
    assert not fault.concerns("create", "datasets/a")
