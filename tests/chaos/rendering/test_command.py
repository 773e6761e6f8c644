from pathlib import Path

import pytest
import yaml

from cqox.chaos.__main__ import main
from tests.chaos.rendering.examples import FOLDER


def ran(*arguments: object) -> int:
    return main(["experiments", "render", "--folder", str(FOLDER), *map(str, arguments)])


def test_files_are_written_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ran("--to", tmp_path) == 0
    number = sum(path.is_file() for path in tmp_path.rglob("*"))
    assert capsys.readouterr().out == f"{number} files in {tmp_path}, 0 removed.\n"


def test_the_namespace_is_that_of_pods_and_experiments(tmp_path: Path) -> None:
    assert ran("--to", tmp_path, "--namespace", "blue") == 0
    document = yaml.safe_load((tmp_path / "mesh/faults/engine-killed.yaml").read_text())
    assert (document["metadata"]["namespace"], document["spec"]["selector"]["namespaces"]) == ("blue", ["blue"])
    assert ".cqox.svc" not in (tmp_path / "mesh/workflow.yaml").read_text()


def test_a_wrong_namespace_or_folder_is_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ran("--to", tmp_path, "--namespace", "Blue!") == 2
    assert "'Blue!'" in capsys.readouterr().err
    (tmp_path / "mesh").write_text("a file")
    assert ran("--to", tmp_path) == 2


def test_an_experiment_without_a_steady_state_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "experiments"
    folder.mkdir()
    text = (FOLDER / "engine-killed.toml").read_text(encoding="utf-8")
    begin, end = text.index("[steady_state]"), text.index("[[faults]]")
    (folder / "engine-killed.toml").write_text(text[:begin] + text[end:], encoding="utf-8")
    assert main(["experiments", "render", "--folder", str(folder), "--to", str(tmp_path / "out")]) == 2
    assert "steady_state" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
