"""Tables, lists and JSON on stdout; remarks on stderr."""

import json
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

json_option: Callable[[Any], Any] = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON instead of text."
)


def print_json(value: object) -> None:
    """Print a result for programs."""
    click.echo(json.dumps(value, indent=2, default=str))


def print_table(header: Sequence[str], rows: Sequence[Sequence[object]], right: str = "") -> None:
    """Print rows in columns as wide as their longest cell.

    Args:
        header: names of the columns.
        rows: cells; None becomes "-".
        right: the names, separated by spaces, of the columns that are aligned to the right.
    """
    cells = [["-" if cell is None else one_line(str(cell)) for cell in row] for row in rows]
    widths = [max(map(_width, column)) for column in zip(header, *cells, strict=True)]
    to_right = [name in right.split() for name in header]
    for row in (header, *cells):
        padded = map(_padded, row, widths, to_right)
        click.echo("  ".join(padded).rstrip())


def print_fields(fields: Mapping[str, object]) -> None:
    """Print names and values, one pair a line; leaves out what is None or empty."""
    width = max(map(len, fields))
    for name, value in fields.items():
        if value not in (None, ""):
            click.echo(f"{name:<{width}}  {one_line(str(value))}")


def say(message: str) -> None:
    """Tell the person something that is not the result."""
    click.echo(plain(message), err=True)


def warn(message: str) -> None:
    """Tell the person of something that they may not expect."""
    click.echo(f"{click.style('warning:', fg='yellow')} {plain(message)}", err=True)


def plain(text: str) -> str:
    r"""Make what can't be shown visible: a name or a card must not steer the terminal.

    >>> plain("a\x1b[2J\nb")
    'a\\x1b[2J\nb'
    """
    if text.isprintable():
        return text
    shown = (c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)
    return "".join(shown)


def one_line(text: str) -> str:
    """Like `plain`, for a place that has no second line."""
    return plain(text).replace("\n", "\\n")


def size_text(n_bytes: int) -> str:
    """Say a size in decimal units, as disks and downloads do.

    >>> size_text(999), size_text(1_500), size_text(3_456_789)
    ('999 B', '1.5 kB', '3.5 MB')
    """
    if n_bytes < 1000:
        return f"{n_bytes} B"
    size = n_bytes / 1000
    for unit in ("kB", "MB", "GB"):
        if size < 999.95:  # what is not rounded up to 1000.0
            return f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def _padded(cell: str, width: int, to_right: bool) -> str:
    space = " " * (width - _width(cell))
    return space + cell if to_right else cell + space


def _width(cell: str) -> int:
    """Columns that a terminal takes for a text."""
    if cell.isascii():
        return len(cell)
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in cell)
    combining = sum(unicodedata.combining(character) > 0 for character in cell)
    return len(cell) + wide - combining
