"""Progress bars on the standard error stream, for who waits at a terminal; elsewhere there are none."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress


def progress_bars(console: "Console") -> "Progress":
    """A bar has the field `activity`, and is shown anew when it is updated with `refresh`."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("{task.fields[activity]}", style="dim", markup=False),
        console=console,
        transient=True,
        auto_refresh=False,  # there is something new only after a look
        disable=not console.is_terminal,
        # The transcript belongs on the standard output, not in the bar's console.
        redirect_stdout=False,
        redirect_stderr=False,
        # The speed is that of all the time so far: progress comes in leaps, a passage at a time.
        speed_estimate_period=24 * 3600,
    )
