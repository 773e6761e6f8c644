"""Simulated disk: a real folder in which operations fail, processes die, and a power loss takes what was not synced.

The program under test uses `os`, `pathlib` and `shutil` as ever. Each of its file operations is met by an audit hook of
Python before it happens (`sys.addaudithook`). Two things are no audit events: `fsync`, and the exchange of two folders;
a program reports those at fault points (`cqox.fault_points`).

    disk = SimulatedDisk(folder, draw=random.Random(seed), who=current_process)
    with disk, hooked(disk.at_fault_point):
        disk.fail(DiskFault(error=errno.ENOSPC, share=0.5))
        ...
        disk.kill("engine-1")
        disk.power_loss()
"""

from cqox.chaos.simulation.disk.faults import DiskFault
from cqox.chaos.simulation.disk.operations import CHANGES
from cqox.chaos.simulation.disk.power_losses import PowerLoss, each_power_loss
from cqox.chaos.simulation.disk.simulated_disk import DiskEvent, PowerLost, ProcessDead, SimulatedDisk

__all__ = [
    "CHANGES",
    "DiskEvent",
    "DiskFault",
    "PowerLoss",
    "PowerLost",
    "ProcessDead",
    "SimulatedDisk",
    "each_power_loss",
]
