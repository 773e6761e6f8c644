"""The typeface and the samples are found where `cqox-assets` is, and missed with the command that installs it."""

import sys

import pytest

import cqox
from cqox.api.session import Session
from cqox.assets import asset_folder, check_assets

COMMAND = r"cqox-assets, which is not installed: pip install 'cqox\[engine\]'$"


@pytest.fixture
def without_assets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cqox_assets", None)


def test_the_folders_hold_the_typeface_and_the_samples() -> None:
    assert {path.name for path in asset_folder("fonts").glob("*.ttf")} == {
        "CQOxGothic-Bold.ttf",
        "CQOxGothic-Regular.ttf",
    }
    assert {path.name for path in asset_folder("samples").iterdir()} == {"mini_retail.csv", "test.csv"}


@pytest.mark.usefixtures("without_assets")
def test_without_the_distribution_the_error_names_the_command() -> None:
    with pytest.raises(ModuleNotFoundError, match=COMMAND) as caught:
        check_assets()
    assert caught.value.name == "cqox_assets"


@pytest.mark.usefixtures("without_assets")
def test_an_analysis_says_it_before_a_worker_starts() -> None:
    with Session() as session, pytest.raises(ModuleNotFoundError, match=COMMAND):
        cqox.analyze({"y": [1.0, 2.0], "w": [0, 1]}, y="y", treatment="w", session=session)
