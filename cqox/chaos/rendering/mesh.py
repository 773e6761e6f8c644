"""Documents of Chaos Mesh: the faults of an experiment, its schedule, and a workflow of all experiments."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cqox.chaos.experiments.experiment import Experiment
from cqox.chaos.rendering.checks import SteadyStateMissing, during_check, steady_checks
from cqox.chaos.rendering.cluster import Cluster
from cqox.chaos.rendering.mesh_faults import MeshFault, NotRendered, mesh_fault, seconds_text

__all__ = ["MeshExperiment", "mesh_experiment", "workflow"]

_API = "chaos-mesh.org/v1alpha1"
_WORKFLOW = "cqox-all"
_HISTORY = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshExperiment:
    """An experiment for Chaos Mesh.

    Attributes:
        experiment: the experiment.
        faults: its faults, in their order.
        templates: those of a workflow, of which the first is the entry.
        cluster: the cluster.
    """

    experiment: Experiment
    faults: tuple[MeshFault, ...]
    templates: tuple[Mapping[str, object], ...]
    cluster: Cluster

    @property
    def differs(self) -> str:
        """In what it is another experiment than that on processes."""
        return "; ".join(dict.fromkeys(each.differs for each in self.faults if each.differs))

    def fault_documents(self) -> list[dict[str, object]]:
        """Return its faults alone, each with its duration."""
        several = len(self.faults) > 1
        documents = []
        for number, (fault, made) in enumerate(zip(self.experiment.faults, self.faults, strict=True), 1):
            name = f"{self.experiment.name}-{number}" if several else self.experiment.name
            spec = {**made.spec, "duration": seconds_text(fault.seconds)}
            documents.append(_document(made.kind, name, spec, self.cluster))
        return documents

    def schedule_document(self) -> dict[str, object] | None:
        """Return its schedule, which has the checks of its steady state; None for an experiment without one."""
        if not self.experiment.schedule:
            return None
        spec = {
            "schedule": self.experiment.schedule,
            "concurrencyPolicy": "Forbid",
            "historyLimit": _HISTORY,
            "type": "Workflow",
            "workflow": {"entry": self.experiment.name, "templates": list(self.templates)},
        }
        return _document("Schedule", self.experiment.name, spec, self.cluster)


def mesh_experiment(experiment: Experiment, cluster: Cluster) -> MeshExperiment | str:
    """Return an experiment for Chaos Mesh, or the reason why it has none.

    One of its faults without a counterpart is enough for that: half an experiment would show something else.

    Raises:
        SteadyStateMissing: it has no steady state at all.
    """
    if not experiment.steady_state.probes:
        raise SteadyStateMissing(experiment.name)
    try:
        faults = tuple(mesh_fault(fault, cluster) for fault in experiment.faults)
        templates = tuple(_templates(experiment, faults, cluster))
    except NotRendered as error:
        return error.reason
    except SteadyStateMissing as error:
        return str(error).partition(": ")[2]
    return MeshExperiment(experiment=experiment, faults=faults, templates=templates, cluster=cluster)


def workflow(experiments: Iterable[MeshExperiment], cluster: Cluster) -> dict[str, object]:
    """Return the workflow that runs experiments one after the other and ends at the first check that fails."""
    chosen = list(experiments)
    entry = _group(_WORKFLOW, "Serial", [each.experiment.name for each in chosen])
    templates = [entry, *(template for each in chosen for template in each.templates)]
    return _document("Workflow", _WORKFLOW, {"entry": _WORKFLOW, "templates": templates}, cluster)


def _templates(experiment: Experiment, faults: tuple[MeshFault, ...], cluster: Cluster) -> list[Mapping[str, object]]:
    name = experiment.name
    checks = steady_checks(experiment)
    before = [
        {"name": f"{name}-before-{check.name}", **check.before(cluster, experiment.steady_state.seconds)}
        for check in checks
    ]
    during = {"name": f"{name}-during", **during_check(experiment).during(cluster, experiment.fault_seconds)}
    after = [
        {"name": f"{name}-after-{check.name}", **check.after(cluster, experiment.after.healed_within)}
        for check in checks
    ]
    broken: list[Mapping[str, object]] = [during]
    below: list[Mapping[str, object]] = []
    for number, (fault, made) in enumerate(zip(experiment.faults, faults, strict=True), 1):
        field = made.kind[:1].lower() + made.kind[1:]
        # HTTPChaos and IOChaos begin with more than one capital.
        field = {"hTTPChaos": "httpChaos", "iOChaos": "ioChaos"}.get(field, field)
        step: dict[str, object] = {
            "name": f"{name}-fault-{number}",
            "templateType": made.kind,
            "deadline": seconds_text(fault.seconds),
            field: dict(made.spec),
        }
        if fault.begin:
            wait = {
                "name": f"{name}-wait-{number}",
                "templateType": "Suspend",
                "deadline": seconds_text(fault.begin),
            }
            below += [wait, step]
            step = _group(f"{name}-later-{number}", "Serial", [wait["name"], step["name"]])
        broken.append(step)
    groups: Mapping[str, Sequence[Mapping[str, object]]] = {"before": before, "break": broken, "after": after}
    return [
        _group(name, "Serial", [f"{name}-{phase}" for phase in groups]),
        *(_group(f"{name}-{phase}", "Parallel", [each["name"] for each in steps]) for phase, steps in groups.items()),
        *(each for steps in groups.values() for each in steps),
        *below,
    ]


def _group(name: str, kind: str, children: Iterable[object]) -> dict[str, object]:
    return {"name": name, "templateType": kind, "children": list(children)}


def _document(kind: str, name: str, spec: Mapping[str, object], cluster: Cluster) -> dict[str, object]:
    return {
        "apiVersion": _API,
        "kind": kind,
        "metadata": {"name": name, "namespace": cluster.namespace},
        "spec": dict(spec),
    }
