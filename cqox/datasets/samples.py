"""The built-in data sets: files of `cqox-assets`, and the simulations with published seeds that made them.

`python -m cqox.datasets.samples FOLDER` writes them again. Both are simulated here and carry the project's licence.
"""

import sys
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from cqox.assets import asset_folder
from cqox.contract.messages import Message
from cqox.errors import NotFound

__all__ = ["EFFECTS", "SEEDS", "sample_names", "sample_path", "simulate"]

SEEDS: Mapping[str, int] = {"test": 20240401, "mini_retail": 20240701}
"""The seed of each simulation, for `numpy.random.default_rng`."""

EFFECTS: Mapping[str, float] = {"test": 2.0, "mini_retail": 120.0}
"""The effect of the treatment on the outcome that each simulation was given, the same for every unit."""

_STORES = 60
_WEEKS = 26
_CAMPAIGN_WEEK = 13
_FIRST_WEEK = date(2024, 4, 1)
_PREFECTURES = ("北海道", "宮城県", "東京都", "神奈川県", "愛知県", "大阪府", "兵庫県", "福岡県")
_LOCATIONS = ("駅前", "郊外", "商業施設")


def sample_names() -> tuple[str, ...]:
    """The names of the built-in data sets."""
    return tuple(SEEDS)


def sample_path(name: str) -> Path:
    """The CSV file of a built-in data set.

    Raises:
        NotFound: there is none of this name.
    """
    if name not in SEEDS:
        raise NotFound(Message("datasets.no-such-sample", name=name[:100]), choices=sample_names())
    return asset_folder("samples") / f"{name}.csv"


def simulate(name: str) -> str:
    """Simulate the built-in data set of this name, as CSV."""
    makers: Mapping[str, Callable[[np.random.Generator], pl.DataFrame]] = {"test": _test, "mini_retail": _mini_retail}
    return makers[name](np.random.default_rng(SEEDS[name])).write_csv()


def _test(rng: np.random.Generator) -> pl.DataFrame:
    """1,500 people; treatment is likelier where the outcome is high anyway, so the plain difference is too large.

    y = 10 + 2 w + 1.5 x1 - x2 + 0.8 x3 + 1.2 x4 + e, with sd(e) = 1.5; every effect is 2, hence ATE = ATT = 2.
    logit P(w = 1) = -0.3 + 0.7 x1 - 0.5 x2 + 0.6 x4; x3 moves the outcome alone. x4 is 0 or 1.
    """
    n = 1_500
    x1, x2, x3 = rng.standard_normal((3, n))
    x4 = (rng.random(n) < 0.4).astype(np.int64)
    logit = -0.3 + 0.7 * x1 - 0.5 * x2 + 0.6 * x4
    w = (rng.random(n) < 1.0 / (1.0 + np.exp(-logit))).astype(np.int64)
    noise = 1.5 * rng.standard_normal(n)
    y = 10.0 + EFFECTS["test"] * w + 1.5 * x1 - x2 + 0.8 * x3 + 1.2 * x4 + noise
    columns = {"id": np.arange(1, n + 1), "w": w, "y": y.round(4), "x1": x1.round(4), "x2": x2.round(4)}
    return pl.DataFrame({**columns, "x3": x3.round(4), "x4": x4})


def _mini_retail(rng: np.random.Generator) -> pl.DataFrame:
    """60 stores over 26 weeks; a campaign starts in week 14 in about half of them, rather in the large ones.

    Sales (thousand yen a week) = store level + week + 120 during the campaign + noise. The store level grows with floor
    space and depends on the location, so campaign stores sell more anyway; differences over time are not confounded.
    """
    stores = _stores(rng)
    week = np.tile(np.arange(_WEEKS), _STORES)
    store = np.repeat(np.arange(_STORES), _WEEKS)
    temperature = (
        14.0 + 13.0 * np.sin(np.pi * (week + 1) / 34.0) + rng.normal(0.0, 1.2, week.size) + stores.warmth[store]
    )
    season = 45.0 * np.sin(2.0 * np.pi * week / 26.0) + 2.0 * week
    campaign = ((week >= _CAMPAIGN_WEEK) & stores.chosen[store]).astype(np.int64)
    sales = stores.level[store] + season + EFFECTS["mini_retail"] * campaign + rng.normal(0.0, 55.0, week.size)
    return pl.DataFrame(
        {
            "店舗ID": [f"S{number + 1:03d}" for number in store],
            "週": [(_FIRST_WEEK + timedelta(weeks=int(number))).isoformat() for number in week],
            "都道府県": [_PREFECTURES[stores.prefecture[number]] for number in store],
            "立地": [_LOCATIONS[stores.location[number]] for number in store],
            "売場面積": stores.space[store],
            "平均気温": temperature.round(1),
            "キャンペーン": campaign,
            "売上": sales.round(1),
        }
    )


class _Stores(NamedTuple):
    prefecture: np.ndarray[tuple[int], np.dtype[np.int64]]
    location: np.ndarray[tuple[int], np.dtype[np.int64]]
    space: np.ndarray[tuple[int], np.dtype[np.int64]]
    warmth: np.ndarray[tuple[int], np.dtype[np.float64]]
    level: np.ndarray[tuple[int], np.dtype[np.float64]]
    chosen: np.ndarray[tuple[int], np.dtype[np.bool_]]


def _stores(rng: np.random.Generator) -> _Stores:
    prefecture = rng.integers(0, len(_PREFECTURES), _STORES)
    location = rng.integers(0, len(_LOCATIONS), _STORES)
    space = (rng.gamma(6.0, 25.0, _STORES) + 80.0).round().astype(np.int64)
    warmth = np.array([-7.0, -2.0, 0.0, 0.0, 0.5, 1.0, 1.0, 1.5])[prefecture]
    level = 300.0 + 1.8 * space + np.array([120.0, 0.0, 60.0])[location] + rng.normal(0.0, 30.0, _STORES)
    logit = 0.018 * (space - space.mean()) + np.array([0.4, -0.3, 0.0])[location]
    chosen = rng.random(_STORES) < 1.0 / (1.0 + np.exp(-logit))
    return _Stores(prefecture, location, space, warmth, level, chosen)


def _write_all(folder: Path) -> None:
    for name in sample_names():
        (folder / f"{name}.csv").write_text(simulate(name), encoding="utf-8")


if __name__ == "__main__":
    _write_all(Path(sys.argv[1]))
