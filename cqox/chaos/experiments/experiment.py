"""Data of an experiment: steady state, faults, what holds during them, and what holds after them.

Nothing here starts, signals or asks anything. `reading.py` makes these objects from files, `runner.py` runs them, and a
renderer may write them as experiments of another tool.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = [
    "COMPONENTS",
    "LINKS",
    "After",
    "Experiment",
    "Fault",
    "Load",
    "Needs",
    "Probe",
    "SteadyState",
    "Target",
    "Text",
    "Value",
]

type Value = str | int | float | bool
type Mode = Literal["one", "all"]

COMPONENTS = (
    "gateway",
    "engine",
    "worker",
    "postgres",
    "redis",
    "openbao",
    "object-store",
    "identity-provider",
    "client",
)
"""Parts of a system that a fault can have as its target; `client` is the load, which has certificates and keys."""

LINKS = (
    "client->gateway",
    "gateway->engine",
    "engine->postgres",
    "engine->redis",
    "engine->openbao",
    "gateway->openbao",
)
"""Connections between parts, from the part that connects to the one that listens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A sentence in both languages of the documentation."""

    en: str
    ja: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A component, or the connections from one component to another.

    Attributes:
        component: the component, or the one that listens at the end of a link.
        source: the component that connects; None where the target is a component.
        mode: `one` for the first of its kind, `all` for each.
    """

    component: str
    source: str | None = None
    mode: Mode = "one"

    @property
    def name(self) -> str:
        """The target as it is written: `engine`, or `gateway->engine`."""
        return self.component if self.source is None else f"{self.source}->{self.component}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One way to break one target, for a time.

    Attributes:
        kind: a name of `FAULTS` in `kinds.py`.
        target: what breaks.
        seconds: from its begin until it is taken away; 0 for a fault that is over at once.
        begin: seconds after the begin of the phase of faults.
        parameters: those of its kind, all of them; what a file leaves out has its default.
    """

    kind: str
    target: Target
    seconds: float
    begin: float = 0.0
    parameters: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A condition that must hold in a phase.

    Attributes:
        kind: a name of `PROBES` in `kinds.py`.
        parameters: those of its kind, all of them; what a file leaves out has its default, or is absent without one.
    """

    kind: str
    parameters: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SteadyState:
    """The conditions before anything is broken; an experiment whose steady state does not hold is not run.

    Attributes:
        seconds: how long it is watched.
        probes: at least one.
    """

    seconds: float
    probes: tuple[Probe, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class After:
    """The conditions once the last fault is over.

    Nothing acknowledged is lost, equal requests have equal numbers, and jobs end: that is checked after every
    experiment and stands in no file.

    Attributes:
        healed_within: most seconds from the end of the last fault until the steady state holds again.
        probes: what must hold besides.
    """

    healed_within: float
    probes: tuple[Probe, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """The system that an experiment needs.

    Attributes:
        gateways: number of gateways.
        engines: number of engines.
        parts: further parts: `postgres`, `redis`, `openbao`, `identity-provider`, `tls`, `keys` (API keys),
            `small-disk` (a data directory that can be filled), `packets` (engines in network namespaces, whose packets
            can be lost), `clock` (wall clocks that can be set).
        settings: environment variables of the services.
        policies: changes of policies of the gateway, by policy: `{"_call_engine_read": {"recovery_timeout": 5}}`.
    """

    gateways: int = 1
    engines: int = 2
    parts: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    policies: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Requests that are sent from the begin to the end.

    Attributes:
        per_second: requests a second, of all kinds together.
        mix: the share of each kind of request, by a name of `MIX` in `kinds.py`; they sum to 1.
    """

    per_second: float
    mix: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """One experiment, as a file describes it.

    Attributes:
        name: that of its file, in lower case with hyphens.
        title: one line.
        hypothesis: what is expected to hold, in one or two sentences.
        needs: the system.
        load: the requests.
        steady_state: before the faults.
        faults: what breaks, at least one fault.
        during: what must hold from the begin of the first fault to the end of the last one.
        after: after the faults.
        schedule: when a cluster repeats it: a cron expression, or `@every 24h`; empty for never.
        runbook: an anchor of the page of operations, where a human has to act; empty where nobody has.
    """

    name: str
    title: Text
    hypothesis: Text
    needs: Needs
    load: Load
    steady_state: SteadyState
    faults: tuple[Fault, ...]
    during: tuple[Probe, ...]
    after: After
    schedule: str = ""
    runbook: str = ""

    @property
    def fault_seconds(self) -> float:
        """Seconds from the begin of the phase of faults to the end of the last one."""
        return max(fault.begin + fault.seconds for fault in self.faults)
