"""Durations in words."""

_UNITS = (("days", 86_400), ("hours", 3_600), ("minutes", 60))


def spoken(seconds: float) -> str:
    """Return a duration with two digits in a fitting unit: "34 days", "2.5 hours", "40 seconds"."""
    if seconds < 0.1:
        return "under a tenth of a second"
    unit, size = next(((unit, size) for unit, size in _UNITS if seconds >= 1.5 * size), ("seconds", 1))
    count = seconds / size
    return f"{count:,.0f} {unit}" if count >= 9.5 else f"{count:.1f} {unit}".replace(".0 ", " ")
