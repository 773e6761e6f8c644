from pathlib import Path

import pytest
import yaml

from cqox.chaos.rendering.checks import SteadyStateMissing
from cqox.chaos.rendering.cluster import Cluster
from cqox.chaos.rendering.files import MARK, rendered_files, write_files
from tests.chaos.rendering.examples import ALL, ROOT, experiment, fault

FILES = rendered_files(ALL, Cluster())
COMMITTED = ROOT / "deploy" / "chaos"


@pytest.mark.parametrize("folder", sorted({name.partition("/")[0] for name in FILES}))
def test_the_committed_files_are_those_that_the_code_renders(folder: str) -> None:
    committed = {
        path.relative_to(COMMITTED).as_posix(): path.read_text(encoding="utf-8")
        for path in (COMMITTED / folder).rglob("*")
        if path.is_file() and MARK in path.read_text(encoding="utf-8")
    }
    rendered = {name: text for name, text in FILES.items() if name.startswith(f"{folder}/")}
    again = "python -m cqox.chaos experiments render --to deploy/chaos"
    assert sorted(committed) == sorted(rendered), again
    assert [name for name, text in rendered.items() if committed[name] != text] == [], again


def test_every_experiment_is_in_the_index_once_with_its_reason_if_it_is_not_rendered() -> None:
    index = FILES["mesh/README.md"]
    rendered, _, others = index.partition("## Not rendered")
    for each in ALL:
        row = f"| `{each.name}` | "
        assert index.count(row) == 1
        is_rendered = f"mesh/faults/{each.name}.yaml" in FILES
        assert (row in rendered) is is_rendered
        assert is_rendered or not others.partition(row)[2].startswith(" |")


def test_every_file_says_how_it_was_made_and_is_yaml() -> None:
    for name, text in FILES.items():
        assert MARK in text.partition("\n")[0] or name.endswith(".json")
        if name.endswith(".yaml"):
            assert all(document["apiVersion"] == "chaos-mesh.org/v1alpha1" for document in yaml.safe_load_all(text))


def test_what_is_no_longer_rendered_is_removed_and_what_others_wrote_is_not(tmp_path: Path) -> None:
    write_files(rendered_files([experiment(name="a"), experiment(name="b")], Cluster()), tmp_path)
    mine = tmp_path / "mesh" / "faults" / "mine.yaml"
    mine.write_text("kind: PodChaos\n")
    removed = write_files(rendered_files([experiment(name="a")], Cluster()), tmp_path)
    assert "mesh/faults/b.yaml" in removed
    assert not (tmp_path / "mesh" / "faults" / "b.yaml").exists()
    assert (tmp_path / "mesh" / "faults" / "a.yaml").exists()
    assert mine.exists()


def test_nothing_to_render_is_an_index_alone() -> None:
    files = rendered_files([experiment(fault("vault-seal", "openbao"))], Cluster())
    assert [name for name in files if name.startswith("mesh/")] == ["mesh/README.md"]


def test_without_a_steady_state_no_file_is_made() -> None:
    with pytest.raises(SteadyStateMissing):
        rendered_files([experiment(), experiment(name="b", steady=())], Cluster())
