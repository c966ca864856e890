"""The CPU time of a request on every server as a picture (SVG 1.1), one panel for each operation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from bench import bars
from bench.operations import OPERATIONS
from bench.subjects import HEADLINE, SUBJECTS

WIDTH, MARGIN = 860, 16
LABEL_WIDTH, VALUE_WIDTH = 200, 130
BAR_HEIGHT, BAR_STEP = 16, 22
TITLE_HEIGHT, PANEL_GAP = 26, 14
STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #24292f } .title { font-weight: 600 } .note { fill: #57606a }
  .ours { fill: #1a7f37 } .theirs { fill: #8c959f } .paper { fill: #ffffff }
"""


def draw(found: Mapping[str, Any]) -> str:
    """Return the picture of a report's document: the first size, on PostgreSQL where that was measured."""
    engine = "postgres" if "postgres" in found["options"]["engines"] else found["options"]["engines"][0]
    cells = [cell for cell in found["results"] if cell["engine"] == engine and cell["times"] == 1]
    counts = {cell["connections"] for cell in cells}
    connections = bars.CONNECTIONS if bars.CONNECTIONS in counts else max(counts)
    shown = [cell for cell in cells if cell["connections"] == connections]
    note = (
        f"CPU µs per request (scheduler's account), {connections} connections, {engine}, {found['begun_at'][:10]}. "
        "Shorter is better."
    )
    height = MARGIN + TITLE_HEIGHT
    parts = [_text(MARGIN, height - PANEL_GAP, note, "note")]
    for cell in shown:
        parts += _panel(cell, height)
        height += TITLE_HEIGHT + BAR_STEP * len(cell["servers"]) + PANEL_GAP
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" aria-label={quoteattr(note)}>'
    )
    paper = f'<rect class="paper" width="{WIDTH}" height="{height}"/>'
    return "\n".join([head, f"<style>{STYLE}</style>", paper, *parts, "</svg>", ""])


def _panel(cell: Mapping[str, Any], top: float) -> Iterator[str]:
    servers: Mapping[str, Mapping[str, float]] = cell["servers"]
    most = max(figures["cpu_us"] for figures in servers.values()) or 1.0
    room = WIDTH - 2 * MARGIN - LABEL_WIDTH - VALUE_WIDTH
    yield _text(MARGIN, top + BAR_HEIGHT, OPERATIONS[cell["operation"]].title, "title")
    for place, (name, figures) in enumerate(_fastest_first(servers)):
        y = top + TITLE_HEIGHT + place * BAR_STEP
        length = max(1.0, room * figures["cpu_us"] / most)
        ratio = cell["ratios"].get(name, {}).get("cpu_us")
        value = f"{figures['cpu_us']:,.0f}" + (f"  ({ratio:.2f}×)" if ratio is not None else "")
        side = "ours" if SUBJECTS[name].is_ours else "theirs"
        yield _text(MARGIN, y + BAR_HEIGHT - 4, SUBJECTS[name].title, "title" if name == HEADLINE else "")
        x = MARGIN + LABEL_WIDTH
        yield f'<rect class="{side}" x="{x}" y="{y}" width="{length:.1f}" height="{BAR_HEIGHT}" rx="2"/>'
        yield _text(x + length + 6, y + BAR_HEIGHT - 4, value, "")


def _fastest_first(servers: Mapping[str, Mapping[str, float]]) -> Sequence[tuple[str, Mapping[str, float]]]:
    return sorted(servers.items(), key=lambda each: each[1]["cpu_us"])


def _text(x: float, y: float, text: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'
