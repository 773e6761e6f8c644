"""Faults as specifications of Chaos Mesh, and the reason for those that have none.

A fault is rendered only if its target has pods of the chart: nothing here selects a pod of others.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from cqox.chaos.experiments.experiment import Fault
from cqox.chaos.experiments.kinds import FAULTS
from cqox.chaos.rendering.cluster import PODS, Cluster
from cqox.errors import CqoxError

__all__ = ["MeshFault", "NotRendered", "mesh_fault", "seconds_text"]

_ERRNOS = {"ENOSPC": 28, "EROFS": 30}
_GROWING = ["create", "mkdir", "write"]
_WRITING = [*_GROWING, "flush", "fsync", "link", "mknod", "rename", "rmdir", "setattr", "symlink", "unlink"]
_MIB = 2**20
_BURST_BYTES = 10_000
_QUEUE_BYTES = 20 * _MIB
_ALL_PERCENT = 100.0

_NO_COUNTERPART: Mapping[str, str] = {
    "network-refuse": "Chaos Mesh drops packets and refuses no connection",
    "network-reset": "Chaos Mesh cannot reset a connection after a number of bytes",
    "network-slow-read": "Chaos Mesh cannot read slowly in place of a client",
    "vault-seal": "sealing a vault is an operation on the vault, and Chaos Mesh has none on programs",
    "key-revoke": "revoking an API key is an operation on CQOx, and Chaos Mesh has none on programs",
    "certificate-expire": "Chaos Mesh replaces no certificate; the clock of a pod is another experiment",
    "store-read-only": "refusing writes is a setting of the database, and Chaos Mesh has no operation on it",
    "connections-terminate": "ending connections on a server is an operation on it, and Chaos Mesh has none",
    "cache-flush": "emptying a cache is an operation on it, and Chaos Mesh has none on a server of a cluster",
    "cache-full": "refusing writes is a setting of the cache, and Chaos Mesh has no operation on it",
}


class NotRendered(CqoxError):
    """A fault has no counterpart.

    Attributes:
        fault: the fault.
        reason: why it has none.
    """

    def __init__(self, fault: Fault, reason: str) -> None:
        self.fault = fault
        self.reason = reason
        super().__init__(f"{fault.kind} of {fault.target.name}: {reason}")


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshFault:
    """A fault for Chaos Mesh.

    Attributes:
        kind: such as `PodChaos`.
        spec: its specification without a duration, which a workflow must not have.
        differs: in what it is another fault than that on processes; empty where it is the same.
    """

    kind: str
    spec: Mapping[str, object]
    differs: str = ""


def seconds_text(seconds: float) -> str:
    """Return a time as Kubernetes writes it: `6s`, `0.05s`."""
    return f"{seconds:g}s"


def mesh_fault(fault: Fault, cluster: Cluster) -> MeshFault:
    """Return a fault as Chaos Mesh has it.

    Raises:
        NotRendered: Chaos Mesh has no such fault, or its target is no pod of the chart.
    """
    if not FAULTS[fault.kind].mesh:
        raise NotRendered(fault, _NO_COUNTERPART[fault.kind])
    return _RENDERERS[FAULTS[fault.kind].mesh.partition("/")[0]](fault, cluster)


def _pods(fault: Fault, cluster: Cluster) -> dict[str, object]:
    component = fault.target.component
    if component == "worker":
        raise NotRendered(fault, "workers are processes of an engine's container, and Chaos Mesh breaks whole pods")
    if component not in PODS:
        raise NotRendered(fault, f"{component} is no pod of CQOx: its own operator breaks it")
    return {"selector": cluster.selector(component), "mode": fault.target.mode}


def _pod(fault: Fault, cluster: Cluster) -> MeshFault:
    pods = _pods(fault, cluster)
    if fault.kind == "process-kill":
        return MeshFault(
            kind="PodChaos",
            spec={"action": "pod-kill", **pods, "gracePeriod": 0},
            differs="the pod is replaced at once, by a new one with another address",
        )
    if fault.kind == "process-terminate":
        return MeshFault(
            kind="PodChaos",
            spec={"action": "pod-kill", **pods, "gracePeriod": round(cast(float, fault.parameters["grace"]))},
            differs="the pod is replaced at once, by a new one with another address",
        )
    return MeshFault(
        kind="PodChaos",
        spec={"action": "pod-failure", **pods},
        differs="the containers are replaced by ones that do nothing: connections are reset and refused, not held",
    )


def _network(fault: Fault, cluster: Cluster) -> MeshFault:
    action = FAULTS[fault.kind].mesh.partition("/")[2]
    source, component = fault.target.source or "", fault.target.component
    if source not in PODS:
        raise NotRendered(fault, f"the packets are those of a {source}, which is no pod of CQOx")
    spec: dict[str, object] = {"action": action, "selector": cluster.selector(source), "mode": "all"}
    differs = []
    direction = str(fault.parameters.get("direction", "both"))
    if component in PODS:
        spec["target"] = {"selector": cluster.selector(component), "mode": fault.target.mode}
    else:
        spec["externalTargets"] = [cluster.servers[component]]
        if action != "partition":
            direction = "to"
            differs.append("only packets to the server are concerned: Chaos Mesh cannot do that to those from it")
    spec["direction"] = direction
    if action == "delay":
        latency, jitter = (cast(float, fault.parameters[name]) for name in ("latency", "jitter"))
        spec["delay"] = {"latency": seconds_text(latency), "jitter": seconds_text(jitter)}
    elif action == "bandwidth":
        rate = f"{fault.parameters['bytes_per_second']}bps"
        spec["bandwidth"] = {"rate": rate, "limit": _QUEUE_BYTES, "buffer": _BURST_BYTES}
        differs.append("all connections of a pod share the rate")
    elif action != "partition":
        spec[action] = {action: f"{fault.parameters['percent']:g}"}
        if action == "corrupt":
            differs.append("checksums of TCP find most changed packets, which are then sent again")
    return MeshFault(kind="NetworkChaos", spec=spec, differs="; ".join(differs))


def _http(fault: Fault, cluster: Cluster) -> MeshFault:
    component = fault.target.component
    answered = fault.kind == "http-replace"
    spec: dict[str, object] = {
        **_pods(fault, cluster),
        "target": "Response" if answered else "Request",
        "port": cluster.ports[component],
        "path": f"{fault.parameters['path']}*",
    }
    differs = ["only without TLS between pods"]
    if cast(float, fault.parameters["percent"]) < _ALL_PERCENT:
        differs.append(f"every request of one pod, not {fault.parameters['percent']:g}% of them")
    if fault.kind == "http-abort":
        spec["abort"] = True
    elif fault.kind == "http-delay":
        spec["delay"] = seconds_text(cast(float, fault.parameters["latency"]))
    else:
        spec["replace"] = {"code": fault.parameters["status"]}
        differs.append(f"the {component} has done its work when the status is replaced")
    return MeshFault(kind="HTTPChaos", spec=spec, differs="; ".join(differs))


def _stress(fault: Fault, cluster: Cluster) -> MeshFault:
    stressors: dict[str, object]
    if fault.kind == "stress-cpu":
        stressors = {"cpu": {"workers": fault.parameters["workers"], "load": 100}}
        differs = "within the limit of the pod's processors"
    else:
        size = f"{cast(int, fault.parameters['size_bytes']) // _MIB}MiB"
        stressors = {"memory": {"workers": 1, "size": size}}
        differs = "the memory counts for the limit of the pod, which must have room for it"
    return MeshFault(kind="StressChaos", spec={**_pods(fault, cluster), "stressors": stressors}, differs=differs)


def _io(fault: Fault, cluster: Cluster) -> MeshFault:
    spec: dict[str, object] = {
        "action": FAULTS[fault.kind].mesh.partition("/")[2],
        **_pods(fault, cluster),
        "volumePath": cluster.data,
        "path": f"{cluster.data}/**/*",
    }
    if fault.kind == "io-latency":
        latency = seconds_text(cast(float, fault.parameters["latency"]))
        spec |= {"delay": latency, "methods": ["fsync", "write"], "percent": 100}
        return MeshFault(
            kind="IOChaos", spec=spec, differs="every write of the data directory is late; no lock is held"
        )
    errno = str(fault.parameters["errno"])
    spec |= {"errno": _ERRNOS[errno], "methods": _GROWING if errno == "ENOSPC" else _WRITING, "percent": 100}
    differs = "the engine is not started again on such a disk" if errno == "EROFS" else ""
    return MeshFault(kind="IOChaos", spec=spec, differs=differs)


def _time(fault: Fault, cluster: Cluster) -> MeshFault:
    offset = seconds_text(cast(float, fault.parameters["offset"]))
    spec = {**_pods(fault, cluster), "timeOffset": offset, "clockIds": ["CLOCK_REALTIME"]}
    return MeshFault(
        kind="TimeChaos", spec=spec, differs="the clock steps while the process runs; nothing is restarted"
    )


_RENDERERS: Mapping[str, Callable[[Fault, Cluster], MeshFault]] = {
    "PodChaos": _pod,
    "NetworkChaos": _network,
    "HTTPChaos": _http,
    "StressChaos": _stress,
    "IOChaos": _io,
    "TimeChaos": _time,
}
