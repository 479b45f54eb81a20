"""The plot of the growth, as SVG."""

from __future__ import annotations

from collections.abc import Sequence

from bench.service.growing import Growth


def svg_of(growth: Sequence[Growth]) -> str:
    """Two plots side by side: events a second, and a query's p50 and p99, both over the number of rows."""
    ingest = [
        ("COPY", "#8a8a8a", [point.copy_per_second for point in growth]),
        ("service", "#4e79a7", [point.service_per_second for point in growth]),
    ]
    query = [
        ("p50", "#8a8a8a", [point.query_p50_ms for point in growth]),
        ("p99", "#4e79a7", [point.query_p99_ms for point in growth]),
    ]
    rows = [point.rows for point in growth]
    head = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 900 320">'
        "<style>text{font:12px sans-serif;fill:#777}</style>"
    )
    plots = _plot(60, "events a second", rows, ingest) + _plot(
        510, "query by correlation id, ms", rows, query
    )
    return f"{head}{plots}</svg>\n"


def _plot(left: int, title: str, rows: list[int], lines: list[tuple[str, str, list[float]]]) -> str:
    top, width, height = 40, 340, 220
    most = max(max(values) for _, _, values in lines) * 1.1 or 1.0
    widest = max(rows)
    parts = [
        f'<text x="{left}" y="20" font-size="14" font-weight="bold">{title}</text>',
        f'<rect x="{left}" y="{top}" width="{width}" height="{height}" fill="none" stroke="#8888"/>',
    ]
    for share in (0, 0.25, 0.5, 0.75, 1):
        y = top + height * (1 - share)
        parts.append(f'<text x="{left - 6}" y="{y + 4:.0f}" text-anchor="end">{most * share:,.3g}</text>')
        x = left + width * share
        millions = widest * share / 1e6
        parts.append(f'<text x="{x:.0f}" y="{top + height + 18}" text-anchor="middle">{millions:.3g}</text>')
    parts.append(
        f'<text x="{left + width / 2}" y="{top + height + 38}" text-anchor="middle">million rows</text>'
    )
    for number, (name, colour, values) in enumerate(lines):
        points = " ".join(
            f"{left + width * row / widest:.1f},{top + height * (1 - value / most):.1f}"
            for row, value in zip(rows, values, strict=True)
        )
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(
            f'<text x="{left + width - 60}" y="{top + 18 + 16 * number}" style="fill:{colour}">{name}</text>'
        )
    return "".join(parts)
