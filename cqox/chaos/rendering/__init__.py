"""Experiments rendered for other tools: manifests of Chaos Mesh, and files of Chaos Toolkit."""

from cqox.chaos.rendering.cluster import Cluster, ClusterInvalid
from cqox.chaos.rendering.files import rendered_files, write_files
from cqox.chaos.rendering.mesh import mesh_experiment, workflow

__all__ = ["Cluster", "ClusterInvalid", "mesh_experiment", "rendered_files", "workflow", "write_files"]
