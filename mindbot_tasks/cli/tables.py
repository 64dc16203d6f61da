"""Tables that never lose a sign: whole where the terminal is wide enough, else folded, else one block for each row."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

_FRAME = 3  #: what each column costs beside its own width
_GAP = 2  #: and where there are no lines
_LEAST_FOLDED = 16


def show(
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Collection[int] = (),
    fold: Collection[int] = (),
    console: Console | None = None,
) -> None:
    """Print it. right: columns of numbers; fold: columns of words that may go on in a second line."""
    console = console or Console()
    widths = [
        max(cell_len(line) for cell in column for line in cell.split("\n")) for column in zip(heads, *rows, strict=True)
    ]
    framed = 1 + sum(width + _FRAME for width in widths)
    spare = framed - console.width
    can_give = sum(max(0, widths[at] - _LEAST_FOLDED) for at in fold)
    compact = framed - 1 - (_FRAME - _GAP) * len(widths)
    if spare <= 0:
        console.print(_filled(Table(), heads, rows, right, fold))
    elif compact <= console.width or spare <= can_give:
        bare = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
        console.print(_filled(bare, heads, rows, right, fold))
    else:
        _blocks(console, heads, rows)


def _filled(
    table: Table, heads: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[int], fold: Collection[int]
) -> Table:
    for at, head in enumerate(heads):
        table.add_column(
            head, justify="right" if at in right else "left", no_wrap=at not in fold,
            overflow="fold", min_width=min(cell_len(head), _LEAST_FOLDED) if at in fold else None,
        )  # fmt: skip
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def _blocks(console: Console, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Each row by itself: its first cell, and below it what the others say."""
    for row in rows:
        console.print(Text(row[0], style="bold", overflow="fold"))
        grid = Table.grid(padding=(0, 2))
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        for head, cell in zip(heads[1:], row[1:], strict=True):
            grid.add_row(f"  {head}", Text(cell))
        console.print(grid)
