"""Numbers as figures and documents write them: three to four digits, thousands separators, a true minus sign."""

import math

__all__ = ["amount", "decimals_for", "fixed", "p_text"]


def decimals_for(span: float) -> int:
    """Return the decimals that resolve a hundredth of a span."""
    if not span > 0 or not math.isfinite(span):
        return 2
    return min(max(2 - math.floor(math.log10(span)), 0), 8)


def fixed(value: float, decimals: int) -> str:
    """Format a number with fixed decimals, thousands separators and a minus sign; scientific notation if huge."""
    text = f"{value:.2e}" if abs(value) >= 1e12 else f"{value:,.{decimals}f}"
    if not text.strip("-0.,"):
        text = text.lstrip("-")
    return text.replace("-", "\N{MINUS SIGN}")


def amount(value: float) -> str:
    """Format a single number with three to four significant digits."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else "?"
    if abs(value) >= 1e7 or abs(value) < 1e-4:
        return f"{value:.2e}".replace("-", "\N{MINUS SIGN}")
    return fixed(value, max(0, 2 - math.floor(math.log10(abs(value)))))


def p_text(value: float) -> str:
    """Format a p-value as an equation, or as a bound below 0.001."""
    return "p < 0.001" if value < 0.001 else f"p = {value:.2g}"
