"""Policy files as a registry first needs them: no import of the library pays for reading TOML."""

from cqox.resilience.pipeline.registry import PolicyFiles, Registry

__all__ = ["new_files"]


def new_files(registry: Registry) -> PolicyFiles:
    """Return policy files for a registry."""
    from cqox.resilience.configuration import policy_files

    return policy_files.PolicyFiles(registry)


Registry.new_files = new_files
