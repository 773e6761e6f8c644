"""Random draws that several families of studies share."""

import numpy as np

__all__ = ["assigned", "autoregressive", "chosen", "panel_errors"]


def assigned(rng: np.random.Generator, rows: int, treated: int) -> np.ndarray:
    """Return (rows,) 0/1 with exactly so many treated, every assignment as likely."""
    return rng.permutation(np.arange(rows) < treated).astype(int)


def chosen(rng: np.random.Generator, index: np.ndarray) -> np.ndarray:
    """Return (rows,) 0/1 with the logistic probabilities of an index."""
    return (rng.random(len(index)) < 1 / (1 + np.exp(-index))).astype(int)


def autoregressive(rng: np.random.Generator, periods: int, persistence: float, sd: float = 1.0) -> np.ndarray:
    """Return (periods,) a stationary autoregression of order one; sd is that of its values."""
    shocks = rng.normal(0, sd * np.sqrt(1 - persistence**2), periods)
    values = np.empty(periods)
    values[0] = rng.normal(0, sd)
    for at in range(1, periods):
        values[at] = persistence * values[at - 1] + shocks[at]
    return values


def panel_errors(rng: np.random.Generator, units: int, periods: int, persistence: float, sd: float = 1.0) -> np.ndarray:
    """Return (units, periods) autoregressive errors, independent between units."""
    return np.stack([autoregressive(rng, periods, persistence, sd) for _ in range(units)])
