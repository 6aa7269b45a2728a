"""Charts of a report as SVG: vectors without a letter in them, so that every language writes beside them."""

from collections.abc import Sequence

WIDTH, HEIGHT = 240.0, 56.0
EDGE = 3.0
LINE, AIM, GROUND = "#1b2733", "#8a5a00", "#d5dbe1"


def line(values: Sequence[float | None], target: float | None) -> str:
    """A line of the values, oldest first, with gaps where one is missing and a dashed line at the target."""
    low, high = bounds(values, target)
    span = (high - low) or 1.0
    step = (WIDTH - 2 * EDGE) / max(1, len(values) - 1)

    def place(value: float) -> str:
        return f"{HEIGHT - EDGE - (HEIGHT - 2 * EDGE) * (value - low) / span:.1f}"

    parts, alone = [], []
    pen = "M"
    for number, value in enumerate(values):
        if value is None:
            pen = "M"
            continue
        at = f"{EDGE + number * step:.1f}"
        parts.append(f"{pen}{at} {place(value)}")
        if pen == "M" and (number + 1 == len(values) or values[number + 1] is None):
            # A value between two gaps has no line; it is a point.
            alone.append(f'<circle cx="{at}" cy="{place(value)}" r="1.6" fill="{LINE}"/>')
        pen = "L"
    aim = f'<path d="M0 {place(target)}H{WIDTH}" stroke="{AIM}" stroke-dasharray="4 3"/>' if target is not None else ""
    drawn = f'<path d="{"".join(parts)}" stroke="{LINE}" stroke-width="1.5" stroke-linejoin="round"/>' if parts else ""
    ground = f'<path d="M0 {HEIGHT - 0.5}H{WIDTH}" stroke="{GROUND}"/>'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" fill="none">'
    return f"{head}{ground}{aim}{drawn}{''.join(alone)}</svg>"


def bounds(values: Sequence[float | None], target: float | None) -> tuple[float, float]:
    """The lowest and highest of what is drawn."""
    shown = [value for value in (*values, target) if value is not None]
    return (min(shown), max(shown)) if shown else (0.0, 1.0)
