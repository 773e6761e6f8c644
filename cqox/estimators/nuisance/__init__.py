"""Models of treatment and outcome that several designs share, with and without cross-fitting."""
