"""Grouped bars on a logarithmic scale: the plot of docs/performance.md."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bench.clones.contenders import CONTENDERS
from bench.clones.measuring import Measured

_GREYS, _OTHERS = ("#8a8a8a", "#5f5f5f", "#c8c8c8"), ("#b07aa1", "#9c755f", "#d6b656")
_COLOURS = (*_GREYS, *_OTHERS, "#4e79a7", "#59a14f", "#2f6b3a", "#b6992d", "#a0cbe8", "#8cd17d")
_LOW, _HIGH = 1.0, 10_000.0


def plot(found: Sequence[Measured]) -> str:
    """Grouped bars on a logarithmic scale, for one worker: fsync off, and durable."""
    one_worker = [one for one in found if one.setting.workers == min(m.setting.workers for m in found)]
    panels = [durable for durable in (False, True) if any(m.setting.durable == durable for m in one_worker)]
    width, height, left, top = 470, 220, 52, 40
    shapes: list[str] = []

    def y_of(milliseconds: float) -> float:
        share = math.log10(max(milliseconds, _LOW) / _LOW) / math.log10(_HIGH / _LOW)
        return top + height * (1 - min(share, 1.0))

    for number, durable in enumerate(panels):
        at = left + number * (width + 40)
        shapes.append(f'<text x="{at}" y="24" class="t">{"durable" if durable else "fsync off"}</text>')
        for mark in (1, 10, 100, 1000, 10000):
            y = y_of(mark)
            shapes.append(f'<line x1="{at}" y1="{y:.1f}" x2="{at + width}" y2="{y:.1f}" class="g"/>')
            shapes.append(f'<text x="{at - 6}" y="{y + 4:.1f}" class="n">{mark}</text>')
        sizes = sorted({m.setting.tables for m in one_worker if m.setting.durable == durable})
        for place, tables in enumerate(sizes):
            bars = [m for m in one_worker if m.setting.durable == durable and m.setting.tables == tables]
            group = width / len(sizes)
            bar = (group - 24) / len(CONTENDERS)
            for each in bars:
                index = list(CONTENDERS).index(each.contender)
                x, y = at + place * group + 12 + index * bar, y_of(each.median)
                shapes.append(
                    f'<rect x="{x:.1f}" y="{y:.1f}" width="{bar - 1:.1f}" height="{top + height - y:.1f}"'
                    f' fill="{_COLOURS[index]}"><title>{each.contender}: {each.median:.1f} ms</title></rect>'
                )
            middle = at + (place + 0.5) * group
            shapes.append(f'<text x="{middle:.1f}" y="{top + height + 16}" class="m">{tables} tables</text>')
    for index, name in enumerate(CONTENDERS):
        x, y = left + (index % 4) * 245, top + height + 40 + (index // 4) * 20
        shapes.append(f'<rect x="{x}" y="{y - 10}" width="12" height="12" fill="{_COLOURS[index]}"/>')
        shapes.append(f'<text x="{x + 18}" y="{y}" class="l">{name}</text>')
    total = left + max(len(panels) * (width + 40), 4 * 245)
    style = (
        "text{font:12px sans-serif;fill:#777}.t{font-weight:bold}.n{text-anchor:end}.m{text-anchor:middle}"
        ".g{stroke:#8884}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total} {top + height + 92}">'
        f"<style>{style}</style>\n" + "\n".join(shapes) + "\n</svg>\n"
    )
