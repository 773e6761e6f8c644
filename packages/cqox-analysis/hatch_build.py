"""The dependency of `cqox-analysis`: cqox in the same version, with which it shares the package `cqox`."""

from hatchling.metadata.plugin.interface import MetadataHookInterface


class Dependencies(MetadataHookInterface):
    """Requires cqox in the version that is built."""

    def update(self, metadata: dict[str, object]) -> None:
        """Add `dependencies` to the metadata. A source distribution has them already."""
        metadata.setdefault("dependencies", [f"cqox=={metadata['version']}"])
