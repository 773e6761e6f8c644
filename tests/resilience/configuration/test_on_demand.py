"""Policy files of a registry, made when it is first asked for one."""

from pathlib import Path

from cqox.resilience import Policy, Registry, Timeout
from cqox.resilience.configuration.on_demand import new_files
from cqox.resilience.configuration.policy_files import PolicyFiles


def test_a_registry_has_files_of_its_own_that_find_its_policies(tmp_path: Path) -> None:
    registry, other = Registry(), Registry()
    policy = Policy("store", Timeout(1.0))
    registry.add("store", policy)
    files = new_files(registry)
    assert isinstance(files, PolicyFiles)
    assert files.policy("store").call(str.upper, "a") == "A"
    path = tmp_path / "policies.toml"
    path.write_text('[[policies.prices]]\npart = "Timeout"\nseconds = 2.0\n')
    assert [*registry.load(path)] == ["prices"]
    assert "prices" in registry
    assert "prices" not in other
    # The file is loaded in this registry alone.
    assert [*other.load(path)] == ["prices"]
