"""Files that `cqox` reads: the typeface of figures, and the built-in data sets. No code; `cqox.assets` finds them."""
