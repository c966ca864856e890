"""Tables of plain text, which stay whole in a pipe and on a narrow terminal."""

from __future__ import annotations

from collections.abc import Sequence


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return the rows under their titles, each column as wide as its longest cell; numbers stand to the right."""
    columns = list(zip(*rows, strict=True))
    lines = [_line(row, titles, columns) for row in (titles, *rows)]
    return "\n".join(lines)


def _line(row: Sequence[str], titles: Sequence[str], columns: Sequence[Sequence[str]]) -> str:
    cells = []
    for text, title, column in zip(row, titles, columns, strict=True):
        width = max(map(len, (title, *column)))
        numeric = all(cell.replace(".", "").isdecimal() for cell in column)
        cells.append(text.rjust(width) if numeric else text.ljust(width))
    return "  ".join(cells).rstrip()
