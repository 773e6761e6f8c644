"""Dependencies of `cqox-services`, read from the `pyproject.toml` at the root so that each stands in one place."""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from hatchling.metadata.plugin.interface import MetadataHookInterface

_GROUP = "services"


class Dependencies(MetadataHookInterface):
    """Takes the dependency group `services`; cqox is required in the version that is built."""

    def update(self, metadata: dict[str, object]) -> None:
        """Add `dependencies` to the metadata. A source distribution has them already, and no root."""
        if "dependencies" in metadata:
            return
        project = tomllib.loads((Path(self.root).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
        metadata["dependencies"] = [
            f"{requirement}=={metadata['version']}" if requirement.startswith("cqox[") else requirement
            for requirement in _members(project["dependency-groups"], _GROUP)
        ]


def _members(groups: Mapping[str, Sequence[str | Mapping[str, str]]], name: str) -> Iterator[str]:
    for member in groups[name]:
        if isinstance(member, str):
            yield member
        else:
            yield from _members(groups, member["include-group"])
