"""Experiments for the tests of rendering: those of the repository, and small ones made of parts."""

from pathlib import Path

from cqox.chaos.experiments import (
    After,
    Experiment,
    Fault,
    Load,
    Needs,
    Probe,
    SteadyState,
    Target,
    Text,
    read_experiments,
)

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "deploy" / "chaos" / "experiments"
ALL = read_experiments(FOLDER)
READY = Probe(kind="ready", parameters={"component": "gateway"})
GOODPUT = Probe(kind="goodput", parameters={"at_least": 0.99})
STATUSES = Probe(kind="statuses")


def fault(
    kind: str, target: str, *, mode: str = "one", seconds: float = 6.0, begin: float = 0.0, **parameters
) -> Fault:
    source, arrow, component = target.rpartition("->")
    return Fault(
        kind=kind,
        target=Target(component=component, source=source if arrow else None, mode=mode),
        seconds=seconds,
        begin=begin,
        parameters=parameters,
    )


def experiment(
    *faults: Fault,
    steady: tuple[Probe, ...] = (GOODPUT, READY),
    during: tuple[Probe, ...] = (STATUSES,),
    schedule: str = "@every 24h",
    name: str = "engine-killed",
) -> Experiment:
    return Experiment(
        name=name,
        title=Text(en="A title", ja="題"),
        hypothesis=Text(en="It holds.", ja="成り立つ。"),
        needs=Needs(),
        load=Load(per_second=10, mix={"health": 1.0}),
        steady_state=SteadyState(seconds=4, probes=steady),
        faults=faults or (fault("process-kill", "engine"),),
        during=during,
        after=After(healed_within=20),
        schedule=schedule,
    )
