"""Sizes and contents of the images, without the minutes that it takes to install them (`make image-sizes`)."""

import gzip
import io
import os
import tarfile
from pathlib import Path

import pytest

from tools import images


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "same.py").write_bytes(b"x = 1\n" * 50_000)
    (tmp_path / "lib" / "noise.so").write_bytes(os.urandom(200_000))
    (tmp_path / "python").symlink_to("/usr/bin/python3")
    return tmp_path


def test_a_layer_is_as_large_as_gzip_makes_its_archive(folder: Path) -> None:
    layer = images.measure("gateway", folder)
    archived = io.BytesIO()
    with tarfile.open(fileobj=archived, mode="w") as archive:
        archive.add(folder, arcname="opt/cqox")
    assert layer.layer_bytes == pytest.approx(len(gzip.compress(archived.getvalue(), 6)), rel=0.02)
    assert layer.files_bytes == 300_000 + 200_000 + len("/usr/bin/python3")


def test_a_layer_above_its_limit_is_said_and_fails(folder: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(images, "installed", lambda service: folder)
    assert images.main(["sizes"]) == 0
    assert "too large" not in capsys.readouterr().out
    monkeypatch.setattr(images, "LIMITS", {"gateway": 100_000, "engine": 500_000_000})
    assert images.main(["sizes"]) == 1
    first, second = capsys.readouterr().out.splitlines()
    assert first == "gateway: 0.5 MB of at most 0 MB, 0.2 MB compressed: too large"
    assert second == "engine: 0.5 MB of at most 500 MB, 0.2 MB compressed"


def test_the_limits_are_those_of_the_images() -> None:
    assert images.LIMITS == {"gateway": 75_000_000, "engine": 745_000_000}


@pytest.mark.parametrize("service", images.LIMITS)
def test_what_is_installed_is_what_the_dockerfile_installs(service: str) -> None:
    lock, projects, slim = images.steps(service)
    assert lock == ["requirements-gateway.lock" if service == "gateway" else "requirements.lock"]
    assert projects[:2] == ["--projects", "."]
    assert projects[-1] == "packages/cqox-services"
    assert slim == ["--slim", service]
    with pytest.raises(ValueError, match="builds no page"):
        images.steps("page")


def test_the_list_of_an_image_is_of_its_own_environment(folder: Path, monkeypatch, capsys) -> None:
    program = folder / "cyclonedx-py"
    program.write_text(
        '#!/bin/sh\nwhile [ $# -gt 2 ]; do [ "$1" = --output-file ] && out=$2; shift; done; echo "$2" >"$out"\n'
    )
    program.chmod(0o755)
    monkeypatch.setattr(images, "_ROOT", folder)
    monkeypatch.setattr(images, "_SBOMS", folder / "build" / "sbom")
    monkeypatch.setattr(images, "installed", lambda service: folder / service)
    assert images.main(["sbom", str(program)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "build/sbom/cqox-gateway.cdx.json",
        "build/sbom/cqox-engine.cdx.json",
    ]
    written = (folder / "build" / "sbom" / "cqox-engine.cdx.json").read_text()
    assert written.strip() == str(folder / "engine" / "bin" / "python")


def test_a_change_of_what_goes_in_is_seen(folder: Path, monkeypatch) -> None:
    monkeypatch.setattr(images, "_ROOT", folder)
    before = images._digest(folder.glob("lib/*"))
    assert images._digest(folder.glob("lib/*")) == before
    (folder / "lib" / "same.py").write_text("x = 2\n")
    assert images._digest(folder.glob("lib/*")) != before


def test_a_wrong_call_is_explained(capsys) -> None:
    assert images.main([]) == 2
    assert "tools.images sizes" in capsys.readouterr().err
