"""Folders of the distribution `cqox-assets`: the typeface and the built-in data sets."""

from importlib.resources import files
from pathlib import Path
from typing import Literal

__all__ = ["asset_folder", "check_assets"]


def asset_folder(name: Literal["fonts", "samples"]) -> Path:
    """Return a folder of `cqox-assets`.

    Raises:
        ModuleNotFoundError: the distribution is not installed; the error names the command that installs it.
    """
    try:
        return Path(str(files("cqox_assets"))) / name
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "the typeface and the samples are in cqox-assets, which is not installed: pip install 'cqox[engine]'",
            name=error.name,
        ) from error


def check_assets() -> None:
    """Raise `ModuleNotFoundError` unless `cqox-assets` is installed."""
    asset_folder("fonts")
