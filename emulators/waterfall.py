"""A trace drawn as a waterfall: one bar for each span, below its parent, over a common time axis. SVG, no scripts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

_ROW, _LEFT, _RIGHT, _TOP = 24, 330, 640, 64
_COLOURS = ("#2f6f9f", "#3d8b5f", "#a8642a", "#7a4f9e", "#8c8c2f", "#4a7d8c")
_FAILED = "#b3261e"


def drawn(spans: Sequence[dict[str, Any]], title: str = "") -> str:
    """SVG text."""
    rows = list(_in_order(spans))
    begin = min(span["began_ns"] for span in spans)
    whole = max(max(span["ended_ns"] for span in spans) - begin, 1)
    services = sorted({str(span["resource"].get("service.name", "")) for span in spans})
    colours = {name: _COLOURS[number % len(_COLOURS)] for number, name in enumerate(services)}
    width, height = _LEFT + _RIGHT + 90, _TOP + _ROW * len(rows) + 16
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="system-ui, sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text x="12" y="20" font-weight="600">{escape(title or "trace " + spans[0]["trace_id"])}</text>',
        *_legend(colours),
        *_axis(whole, height),
    ]
    for number, (depth, span) in enumerate(rows):
        y = _TOP + number * _ROW
        x = _LEFT + _RIGHT * (span["began_ns"] - begin) / whole
        long = max(_RIGHT * (span["ended_ns"] - span["began_ns"]) / whole, 2)
        colour = _FAILED if span["error"] else colours[str(span["resource"].get("service.name", ""))]
        took = _duration(span["ended_ns"] - span["began_ns"]) + (f"  {span['error']}" if span["error"] else "")
        lines += [
            f'<text x="{12 + depth * 16}" y="{y + 16}" fill="#1f1f1f">{escape(span["name"])}</text>',
            f'<rect x="{x:.1f}" y="{y + 5}" width="{long:.1f}" height="14" rx="2" fill="{colour}"/>',
            _label(x, long, y + 16, took),
        ]
    return "\n".join((*lines, "</svg>\n"))


def _label(x: float, long: float, y: float, took: str) -> str:
    """Behind the bar, or before it where there is no room."""
    if x + long > _LEFT + _RIGHT - 60:
        return f'<text x="{x - 5:.1f}" y="{y}" text-anchor="end" fill="#5f5f5f">{escape(took)}</text>'
    return f'<text x="{x + long + 5:.1f}" y="{y}" fill="#5f5f5f">{escape(took)}</text>'


def _in_order(spans: Sequence[dict[str, Any]]) -> Iterator[tuple[int, dict[str, Any]]]:
    """(depth, span), each below its parent; one whose parent is elsewhere stands at the left."""
    known = {span["span_id"] for span in spans}
    below: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for span in sorted(spans, key=lambda span: (span["began_ns"], -span["ended_ns"])):
        below[span["parent_id"] if span["parent_id"] in known else ""].append(span)

    def walk(parent: str, depth: int) -> Iterator[tuple[int, dict[str, Any]]]:
        for span in below.pop(parent, []):
            yield depth, span
            yield from walk(span["span_id"], depth + 1)

    yield from walk("", 0)


def _legend(colours: dict[str, str]) -> Iterator[str]:
    x = 12
    for name, colour in colours.items():
        yield f'<rect x="{x}" y="32" width="12" height="12" rx="2" fill="{colour}"/>'
        yield f'<text x="{x + 17}" y="42" fill="#5f5f5f">{escape(name)}</text>'
        x += 34 + 7 * len(name)


def _axis(whole: int, height: int) -> Iterator[str]:
    for quarter in range(5):
        x = _LEFT + _RIGHT * quarter / 4
        yield f'<line x1="{x}" y1="{_TOP - 4}" x2="{x}" y2="{height - 10}" stroke="#e3e3e3"/>'
        at = _duration(whole * quarter // 4)
        yield f'<text x="{x}" y="{_TOP - 9}" text-anchor="middle" fill="#8a8a8a">{at}</text>'


def _duration(ns: int) -> str:
    ms = ns / 1e6
    return f"{ms:.1f} ms" if ms < 100 else f"{ms:.0f} ms" if ms < 10_000 else f"{ms / 1000:.1f} s"
