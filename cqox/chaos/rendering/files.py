"""Files that experiments are rendered to, and the index that names what is not rendered and why."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from cqox.chaos.experiments.experiment import Experiment
from cqox.chaos.rendering.cluster import Cluster
from cqox.chaos.rendering.mesh import MeshExperiment, mesh_experiment, workflow
from cqox.chaos.rendering.toolkit import toolkit_experiment
from cqox.chaos.rendering.yaml_text import to_yaml

__all__ = ["MARK", "rendered_files", "write_files"]

MARK = "Rendered by `python -m cqox.chaos experiments render` from deploy/chaos/experiments; change it there."
"""A line of every file, by which one that is no longer rendered is known."""


def rendered_files(experiments: Sequence[Experiment], cluster: Cluster) -> dict[str, str]:
    """Return the text of every file by its path below `deploy/chaos`.

    Raises:
        SteadyStateMissing: an experiment has no steady state.
    """
    return _mesh(experiments, cluster) | {
        "toolkit/README.md": _toolkit_index(experiments),
        **_toolkit(experiments),
    }


def _toolkit(experiments: Iterable[Experiment]) -> dict[str, str]:
    return {
        f"toolkit/{each.name}.json": json.dumps(toolkit_experiment(each, MARK), indent=2, ensure_ascii=False) + "\n"
        for each in experiments
    }


def write_files(files: Mapping[str, str], folder: Path) -> list[str]:
    """Write files below a folder, remove those that were rendered earlier and are no more, and return their paths.

    Raises:
        OSError: a file cannot be written.
    """
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    removed = []
    for parent in sorted({(folder / name).parent for name in files}):
        for path in sorted(parent.iterdir()):
            name = path.relative_to(folder).as_posix()
            if path.is_file() and name not in files and MARK in path.read_text(encoding="utf-8", errors="replace"):
                path.unlink()
                removed.append(name)
    return removed


def _mesh(experiments: Sequence[Experiment], cluster: Cluster) -> dict[str, str]:
    made = {each.name: mesh_experiment(each, cluster) for each in experiments}
    rendered = [each for each in made.values() if isinstance(each, MeshExperiment)]
    files = {"mesh/README.md": _mesh_index(experiments, made)}
    if rendered:
        files["mesh/workflow.yaml"] = _yaml([workflow(rendered, cluster)])
    for each in rendered:
        name = each.experiment.name
        files[f"mesh/faults/{name}.yaml"] = _yaml(each.fault_documents(), each.experiment.title.en)
        if (schedule := each.schedule_document()) is not None:
            files[f"mesh/schedules/{name}.yaml"] = _yaml([schedule], each.experiment.title.en)
    return files


def _yaml(documents: Iterable[Mapping[str, object]], title: str = "") -> str:
    head = f"# {MARK}\n" + (f"# {title}\n" if title else "")
    return head + "---\n".join(to_yaml(each) for each in documents)


def _mesh_index(experiments: Sequence[Experiment], made: Mapping[str, MeshExperiment | str]) -> str:
    rendered = [
        (
            f"`{name}`",
            ", ".join(dict.fromkeys(fault.kind for fault in each.faults)),
            _needs(each.experiment),
            each.differs,
        )
        for name, each in made.items()
        if isinstance(each, MeshExperiment)
    ]
    others = [(f"`{each.name}`", made[each.name]) for each in experiments if isinstance(made[each.name], str)]
    return "\n".join(
        (
            f"<!-- {MARK} -->",
            "",
            "# Chaos Mesh manifests",
            "",
            f"{len(rendered)} of {len(experiments)} experiments are here: `faults/` has each fault alone, `schedules/`",
            "repeats an experiment with the checks of its steady state, and `workflow.yaml` runs all of them in turn.",
            "[How to apply them](../../../docs/how-to/chaos-mesh.md).",
            "",
            *_table(("experiment", "kinds", "the chart needs", "differs from the one on processes"), rendered),
            "",
            "## Not rendered",
            "",
            "`make chaos` runs these on processes.",
            "",
            *_table(("experiment", "why"), others),
            "",
        )
    )


def _toolkit_index(experiments: Sequence[Experiment]) -> str:
    rows = [(f"`{each.name}`", ", ".join(each.needs.parts) or "nothing else", _unsaid(each)) for each in experiments]
    return "\n".join(
        (
            f"<!-- {MARK} -->",
            "",
            "# Chaos Toolkit experiments",
            "",
            f"All {len(experiments)} experiments are here. Each starts its own system on this machine and breaks that",
            "alone. [How to run them](../../../docs/how-to/chaos-mesh.md#chaos-toolkit).",
            "",
            "Chaos Toolkit has no words for some things of a definition. The load is sent by the system that the",
            "experiment starts, and is no activity. What must hold during the faults is judged after them, by the",
            "probe `healed`, and is part of the hypothesis from then on. A schedule is left out: an experiment runs",
            "once. The goodput over time is in the report of `make chaos` alone.",
            "",
            *_table(("experiment", "what it needs besides gateway and engines", "left out"), rows),
            "",
        )
    )


def _unsaid(experiment: Experiment) -> str:
    return f"schedule `{experiment.schedule}`" if experiment.schedule else ""


def _needs(experiment: Experiment) -> str:
    needs = experiment.needs
    found = [f"{needs.engines} engine{'s' if needs.engines > 1 else ''}"]
    if needs.gateways > 1:
        found.append(f"{needs.gateways} gateways")
    # Those are ways of processes on one machine to be broken, which a cluster has always.
    found += [part for part in needs.parts if part not in ("small-disk", "packets", "clock")]
    found += [f"{name} `{json.dumps(changes)}`" for name, changes in needs.policies.items()]
    return ", ".join(found)


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    return [_row(head), _row(["---"] * len(head)), *(_row(row) for row in rows)]


def _row(cells: Iterable[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"
