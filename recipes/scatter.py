"""A scatter plot of estimated against true figures, as SVG without any library."""

from collections.abc import Mapping, Sequence

SIZE, MARGIN = 560, 56  # pixels
LOW_DB, HIGH_DB, STEP_DB = -10, 25, 5
COLOURS = ("#0072b2", "#e69f00", "#cc79a7", "#009e73", "#d55e00")  # Okabe & Ito: for all eyes
STYLE = "font-family='sans-serif' font-size='13' fill='#333'"


def draw_scatter(points: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """Draw (true, estimated) pairs in dB of each group, in a colour each."""
    lines = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {SIZE} {SIZE}'"
        f" width='{SIZE}' height='{SIZE}' role='img' aria-label='Estimated against true SI-SDR'>",
        f"<rect width='{SIZE}' height='{SIZE}' fill='white'/>",
        *_axes(),
    ]
    for number, (name, pairs) in enumerate(points.items()):
        colour = COLOURS[number % len(COLOURS)]
        lines += [
            f"<circle cx='{_across(true):.1f}' cy='{_up(estimated):.1f}' r='3' fill='{colour}'"
            " fill-opacity='0.55'/>"
            for true, estimated in pairs
        ]
        top = MARGIN + 16 + 20 * number
        lines.append(f"<circle cx='{MARGIN + 16}' cy='{top - 4}' r='5' fill='{colour}'/>")
        lines.append(f"<text x='{MARGIN + 28}' y='{top}' {STYLE}>{name} ({len(pairs)})</text>")
    return "\n".join([*lines, "</svg>\n"])


def _axes() -> list[str]:
    lines = []
    low, high = MARGIN, SIZE - MARGIN
    for tick in range(LOW_DB, HIGH_DB + 1, STEP_DB):
        x, y = _across(tick), _up(tick)
        lines += [
            f"<path d='M{x:.1f} {low}V{high}M{low} {y:.1f}H{high}' stroke='#e4e4e4'/>",
            f"<text x='{x:.1f}' y='{high + 20}' text-anchor='middle' {STYLE}>{tick}</text>",
            f"<text x='{low - 8}' y='{y + 4:.1f}' text-anchor='end' {STYLE}>{tick}</text>",
        ]
    middle = SIZE / 2
    return [
        *lines,
        f"<path d='M{low} {high}L{high} {low}' stroke='#999' stroke-dasharray='5 4'/>",
        f"<text x='{middle}' y='{SIZE - 10}' text-anchor='middle' {STYLE}>true SI-SDR, dB</text>",
        f"<text transform='translate(16 {middle}) rotate(-90)' text-anchor='middle' {STYLE}>"
        "estimated SI-SDR, dB</text>",
    ]


def _across(value_db: float) -> float:
    bounded = min(max(value_db, LOW_DB), HIGH_DB)
    return MARGIN + (SIZE - 2 * MARGIN) * (bounded - LOW_DB) / (HIGH_DB - LOW_DB)


def _up(value_db: float) -> float:
    return SIZE - _across(value_db)
