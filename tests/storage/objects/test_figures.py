from pathlib import Path

from cqox.storage.objects.client import Objects
from cqox.storage.objects.figures import FigureObjects
from tests.storage.sealings import sealing_in


def test_sealed_figures_cannot_be_read_where_they_lie_and_damaged_ones_are_none(
    objects: Objects, tmp_path: Path
) -> None:
    figures = FigureObjects(objects, "default", sealing_in(tmp_path).of("default"))
    path, other = Path("figures/r/forest.svg"), Path("figures/r/other.svg")
    figures.write(path, b"<svg>of somebody</svg>")
    stored = objects.get("tenants/default/figures/r/forest.svg")
    assert stored is not None
    assert b"somebody" not in stored[0]
    assert figures.read(path) == b"<svg>of somebody</svg>"
    objects.put("tenants/default/figures/r/other.svg", stored[0])
    assert figures.read(other) is None
    assert figures.count("r") == 2
    figures.erase("r")
    assert (figures.read(path), figures.drawn()) == (None, {})
