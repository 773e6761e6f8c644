"""Kinds of faults, probes and requests that an experiment may name, with their parameters and bounds.

The names of faults follow those of Chaos Mesh where it has the like: `process-kill` is a PodChaos `pod-kill`,
`network-delay` a NetworkChaos `delay`, and so on; `mesh` names that kind and action.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cqox.chaos.experiments.experiment import COMPONENTS, LINKS, Value

__all__ = ["FAULTS", "MIX", "PARTS", "PROBES", "FaultKind", "Parameter", "ProbeKind"]

PARTS = (
    "postgres",
    "redis",
    "openbao",
    "object-store",
    "identity-provider",
    "tls",
    "keys",
    "small-disk",
    "packets",
    "clock",
)
"""Further parts that an experiment may need."""

MIX: Mapping[str, str] = {
    "analysis": "an analysis that waits for its report; every third repeats an earlier request",
    "job": "an analysis in the background; every third repeats an earlier one with its idempotency key",
    "long-job": "an analysis in the background that takes seconds, so that a fault finds it at work",
    "upload": "a small file that no earlier upload had",
    "stored": "a report that was stored earlier, or the list of reports",
    "health": "the health of the gateway",
}
"""Kinds of requests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter of a fault or a probe.

    Attributes:
        type: `float` takes whole numbers too.
        about: one phrase, with the unit.
        default: without one it must be given, or may be left out where `optional`.
        minimum: least number.
        maximum: largest number.
        choices: the values of a string; any where empty.
        optional: whether it may be absent.
    """

    type: type[str] | type[int] | type[float] | type[bool]
    about: str
    default: Value | None = None
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultKind:
    """One kind of fault.

    Attributes:
        about: what it does.
        targets: components or links that it can break.
        parameters: by name.
        mesh: the kind and action of Chaos Mesh that is the like, such as `NetworkChaos/delay`; empty without one.
        lasting: whether it has a duration; a kill has none, and `seconds` is then the time until a new start.
    """

    about: str
    targets: tuple[str, ...]
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    mesh: str = ""
    lasting: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeKind:
    """One kind of probe.

    Attributes:
        about: what it compares.
        parameters: by name.
    """

    about: str
    parameters: Mapping[str, Parameter] = field(default_factory=dict)


_PROCESSES = ("gateway", "engine", "worker", "postgres", "redis", "openbao", "object-store", "identity-provider")
_SERVICES = ("gateway", "engine")


def _seconds(about: str, *, default: float | None = None) -> Parameter:
    return Parameter(type=float, about=about, default=default, minimum=0.0, maximum=3600.0)


def _percent(about: str) -> Parameter:
    return Parameter(type=float, about=about, minimum=0.1, maximum=100.0)


_DIRECTION = Parameter(type=str, about="packets that are concerned", default="both", choices=("to", "from", "both"))
_PATH = Parameter(type=str, about="the paths begin so", default="/")

FAULTS: Mapping[str, FaultKind] = {
    "process-kill": FaultKind(
        about="end a process by SIGKILL, and start it again when the fault is over",
        targets=_PROCESSES,
        mesh="PodChaos/pod-kill",
    ),
    "process-terminate": FaultKind(
        about="end a process by SIGTERM, and start it again when the fault is over",
        targets=_PROCESSES,
        parameters={"grace": _seconds("seconds until it is killed", default=45.0)},
        mesh="PodChaos/pod-kill",
    ),
    "process-pause": FaultKind(
        about="stop a process by SIGSTOP; its connections stay open and nothing answers",
        targets=_PROCESSES,
        mesh="PodChaos/pod-failure",
    ),
    "network-delay": FaultKind(
        about="deliver everything later",
        targets=LINKS,
        parameters={
            "latency": _seconds("seconds for each direction"),
            "jitter": _seconds("most seconds more or less, at random", default=0.0),
        },
        mesh="NetworkChaos/delay",
    ),
    "network-loss": FaultKind(
        about="lose packets",
        targets=LINKS,
        parameters={"percent": _percent("share of the packets")},
        mesh="NetworkChaos/loss",
    ),
    "network-corrupt": FaultKind(
        about="change a byte of packets, and for links through a proxy of what has been delivered",
        targets=LINKS,
        parameters={"percent": _percent("share of the packets")},
        mesh="NetworkChaos/corrupt",
    ),
    "network-duplicate": FaultKind(
        about="deliver packets twice",
        targets=LINKS,
        parameters={"percent": _percent("share of the packets")},
        mesh="NetworkChaos/duplicate",
    ),
    "network-partition": FaultKind(
        about="deliver nothing and refuse nothing",
        targets=LINKS,
        parameters={"direction": _DIRECTION},
        mesh="NetworkChaos/partition",
    ),
    "network-bandwidth": FaultKind(
        about="bound the rate of each direction of a connection",
        targets=LINKS,
        parameters={"bytes_per_second": Parameter(type=int, about="bytes a second", minimum=1)},
        mesh="NetworkChaos/bandwidth",
    ),
    "network-refuse": FaultKind(about="refuse new connections and reset those that are open", targets=LINKS),
    "network-reset": FaultKind(
        about="reset each connection once it has delivered so many bytes of answers",
        targets=LINKS,
        parameters={"after_bytes": Parameter(type=int, about="bytes of answers", minimum=0)},
    ),
    "network-slow-read": FaultKind(
        about="read little of the answers and late, so that the sender's buffers fill up",
        targets=LINKS,
        parameters={"bytes_per_second": Parameter(type=int, about="bytes a second", minimum=1)},
    ),
    "http-abort": FaultKind(
        about="reset a connection in place of the answer to a request",
        targets=("client->gateway", "gateway->engine"),
        parameters={"percent": _percent("share of the requests"), "path": _PATH},
        mesh="HTTPChaos/abort",
    ),
    "http-delay": FaultKind(
        about="deliver requests later",
        targets=("client->gateway", "gateway->engine"),
        parameters={
            "latency": _seconds("seconds"),
            "percent": _percent("share of the requests"),
            "path": _PATH,
        },
        mesh="HTTPChaos/delay",
    ),
    "http-replace": FaultKind(
        about="answer a request in place of the target",
        targets=("client->gateway", "gateway->engine"),
        parameters={
            "status": Parameter(type=int, about="status of the answer", minimum=200, maximum=599),
            "percent": _percent("share of the requests"),
            "path": _PATH,
        },
        mesh="HTTPChaos/replace",
    ),
    "stress-cpu": FaultKind(
        about="compute next to a process, on its processors",
        targets=_SERVICES,
        parameters={"workers": Parameter(type=int, about="processes that compute", default=2, minimum=1, maximum=64)},
        mesh="StressChaos/cpu",
    ),
    "stress-memory": FaultKind(
        about="take memory of the machine next to a process",
        targets=_SERVICES,
        parameters={"size_bytes": Parameter(type=int, about="bytes", minimum=2**20, maximum=2**33)},
        mesh="StressChaos/memory",
    ),
    "io-fault": FaultKind(
        about="let writes of the data directory fail; with EROFS the engine is started again on such a disk",
        targets=("engine",),
        parameters={"errno": Parameter(type=str, about="the error", choices=("ENOSPC", "EROFS"))},
        mesh="IOChaos/fault",
    ),
    "io-latency": FaultKind(
        about="hold the write lock of the file of results, so that every write of an engine waits",
        targets=("engine",),
        parameters={"latency": _seconds("seconds for which a lock is held before it is given back for a moment")},
        mesh="IOChaos/latency",
    ),
    "clock-offset": FaultKind(
        about="start a process again with a wall clock that is wrong, and once more with the right one",
        targets=_SERVICES,
        parameters={"offset": Parameter(type=float, about="seconds", minimum=-86400.0, maximum=86400.0)},
        mesh="TimeChaos/offset",
    ),
    "vault-seal": FaultKind(about="seal the vault, and unseal it when the fault is over", targets=("openbao",)),
    "key-revoke": FaultKind(
        about="revoke an API key, and give the load a new one when the fault is over", targets=("client",)
    ),
    "certificate-expire": FaultKind(
        about="give a part a certificate that has expired, and a valid one when the fault is over",
        targets=("client", "gateway", "engine"),
    ),
    "store-read-only": FaultKind(
        about="let the database refuse every write",
        targets=("postgres",),
    ),
    "connections-terminate": FaultKind(
        about="end every connection to a server, on the server",
        targets=("postgres", "redis"),
        lasting=False,
    ),
    "cache-flush": FaultKind(about="empty the cache", targets=("redis",), lasting=False),
    "cache-full": FaultKind(about="let the cache refuse every write, as one without memory does", targets=("redis",)),
}
"""Every kind of fault by its name."""

_OF = Parameter(type=str, about="the kind of request; all where absent", choices=tuple(MIX), optional=True)
_SHARE = Parameter(type=float, about="share of the answers, from 0 to 1", minimum=0.0, maximum=1.0)

PROBES: Mapping[str, ProbeKind] = {
    "goodput": ProbeKind(
        about="the share of requests that are answered as the client wants",
        parameters={"at_least": _SHARE, "of": _OF},
    ),
    "failures": ProbeKind(
        about="at most so many requests fail; what the contract promises counts too",
        parameters={"at_most": Parameter(type=int, about="requests", minimum=0), "of": _OF},
    ),
    "statuses": ProbeKind(
        about="every status is one of the contract, and every connection that is cut was cut by the fault",
        parameters={
            "only": Parameter(
                type=str, about="statuses with spaces, 0 for no answer; those of the contract if absent", optional=True
            )
        },
    ),
    "problems": ProbeKind(
        about="every answer that refuses or fails names one of these types of problem",
        parameters={"only": Parameter(type=str, about="types with spaces")},
    ),
    "deadlines": ProbeKind(
        about="every answer comes within the deadline of its request and a slack",
        parameters={"slack": _seconds("seconds", default=2.0)},
    ),
    "latency": ProbeKind(
        about="a quantile of the latencies of good answers",
        parameters={
            "quantile": Parameter(type=float, about="from 0 to 1", default=0.9, minimum=0.0, maximum=1.0),
            "at_most": _seconds("seconds"),
            "of": _OF,
        },
    ),
    "ready": ProbeKind(
        about="/health/ready answers 200 at least once at the end of the phase",
        parameters={"component": Parameter(type=str, about="the part", default="gateway", choices=_SERVICES)},
    ),
    "degraded": ProbeKind(
        about="/health/ready names what is missing",
        parameters={
            "component": Parameter(type=str, about="the part", default="gateway", choices=_SERVICES),
            "name": Parameter(type=str, about="the name in `degraded`"),
        },
    ),
    "status-seen": ProbeKind(
        about="at least one answer has a status, so that the fault was felt",
        parameters={
            "status": Parameter(type=int, about="the status, 0 for no answer", minimum=0, maximum=599),
            "of": _OF,
        },
    ),
    "same-process": ProbeKind(
        about="no process of a component has ended but those that the fault ended",
        parameters={"component": Parameter(type=str, about="the part", choices=tuple(COMPONENTS))},
    ),
    "log": ProbeKind(
        about="the log of a part has a text, or has none",
        parameters={
            "component": Parameter(type=str, about="the part", choices=_SERVICES),
            "has": Parameter(type=str, about="the text", optional=True),
            "lacks": Parameter(type=str, about="the text", optional=True),
        },
    ),
}
"""Every kind of probe by its name."""
