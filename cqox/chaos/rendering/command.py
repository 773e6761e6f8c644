"""The action `render` of the command `python -m cqox.chaos experiments`."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from cqox.chaos.experiments.experiment import Experiment
from cqox.chaos.rendering.cluster import Cluster
from cqox.chaos.rendering.files import rendered_files, write_files

__all__ = ["add_render_arguments", "render"]


def add_render_arguments(action: argparse.ArgumentParser) -> None:
    """Add the arguments of the action."""
    action.add_argument(
        "--to", type=Path, default=Path("deploy/chaos"), help="folder of the files (default: %(default)s)"
    )
    action.add_argument(
        "--namespace", default=Cluster().namespace, help="namespace of pods and experiments (default: %(default)s)"
    )


def render(experiments: Sequence[Experiment], arguments: argparse.Namespace) -> str:
    """Write all files, and return a line that counts them.

    Raises:
        ClusterInvalid: the namespace is no name.
        SteadyStateMissing: an experiment has no steady state.
        OSError: a file cannot be written.
    """
    files = rendered_files(experiments, Cluster(namespace=arguments.namespace))
    removed = write_files(files, arguments.to)
    return f"{len(files)} files in {arguments.to}, {len(removed)} removed."
