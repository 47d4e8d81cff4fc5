"""Numbers as the plant reads them: as many digits as the expected range makes meaningful, in the reader's notation."""

from __future__ import annotations

import math

from cloud.notifications.notice import Language

NO_BREAK = "\u00a0"
_DASH = "–"
# Thousands and decimal marks by language, as CLDR has them.
_MARKS: dict[Language, tuple[str, str]] = {"en": (",", "."), "pt": (".", ",")}


def decimals_for(width: float) -> int:
    """Digits after the point that resolve a fifth of a range `width` wide, 0 to 6: 0.05 → 2, 1.7 → 1, 6 → 0."""
    if not math.isfinite(width) or width <= 0:
        return 2
    return min(6, max(0, math.ceil(-math.log10(width / 5))))


def decimals_apart(value: float, low: float, high: float) -> int:
    """As `decimals_for` the range, and one or two more where a value outside would else read like its limit."""
    digits = decimals_for(high - low)
    for extra in range(3):
        rounded = round(value, digits + extra)
        if (rounded > round(high, digits)) == (value > high) and (rounded < round(low, digits)) == (value < low):
            return digits + extra
    return digits + 2


def number(value: float, decimals: int, language: Language) -> str:
    """8412.5 → `8,412.5` or `8.412,5`; what is no number is a dash; the very large and small keep three digits."""
    if not math.isfinite(value):
        return _DASH
    plain = f"{value:.3g}" if abs(value) >= 1e7 or 0 < abs(value) < 10**-decimals / 2 else f"{value:,.{decimals}f}"
    thousands, point = _MARKS[language]
    return plain.translate({ord(","): thousands, ord("."): point, ord("-"): "−"})


def measure(value: float, decimals: int, unit: str, language: Language) -> str:
    """A value and its unit, never torn apart at a line's end."""
    return f"{number(value, decimals, language)}{NO_BREAK}{unit}" if unit else number(value, decimals, language)


def span(low: float, high: float, decimals: int, language: Language) -> str:
    """`0.19–0.24`, an en dash without spaces; with negative ends the dash stands free."""
    dash = _DASH if low >= 0 and high >= 0 else f"{NO_BREAK}{_DASH}{NO_BREAK}"
    return f"{number(low, decimals, language)}{dash}{number(high, decimals, language)}"


def percent(share: float, language: Language) -> str:
    """0.71 → `71 %`; a trace of a share is `<1 %`, never nothing."""
    if 0 < share <= 0.005:
        return f"<1{NO_BREAK}%"
    return f"{number(100 * share, 0, language)}{NO_BREAK}%"
