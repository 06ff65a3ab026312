"""Tables on a terminal that fit it, and in a pipe that are whole."""

from rich.console import Console
from rich.table import Table

WIDTH_OF_A_PIPE = 300


def print_table(table: Table) -> None:
    """Print to the standard output. Cells are plain text, not markup."""
    console = Console(markup=False, highlight=False)
    if not console.is_terminal:
        console.width = WIDTH_OF_A_PIPE
    console.print(table)
