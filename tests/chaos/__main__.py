"""`make chaos`: is anything lost, told wrongly or left behind while everything dies?"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from random import SystemRandom

from rich.console import Console
from rich.table import Table

from tests.chaos.run import Plan, Report, run


def main() -> None:
    options = _options()
    console = Console(width=120)
    directory = Path(tempfile.mkdtemp(prefix="hansard-chaos-"))
    directory.chmod(0o755)  # as root, the database's user has to pass through
    console.print(f"Seed {options.seed}: {options.seconds:.0f} s of chaos, log in {directory / 'log'}")
    plan = Plan(
        seed=options.seed,
        seconds=options.seconds,
        calm_seconds=180,
        pause_seconds=3,
        clients=options.clients,
        workers=options.workers,
        power_cuts=True,
    )
    report = run(plan, directory)
    console.print(_table(report))
    if report.problems:
        for problem in report.problems:
            console.print(f"[red]✗[/red] {problem}", soft_wrap=True)
        sys.exit(f"{len(report.problems)} problems with seed {options.seed}; log and data are in {directory}")
    console.print(f"Every promise was kept; calm after {report.calm_after_seconds:.0f} s.")
    shutil.rmtree(directory)


def _table(report: Report) -> Table:
    table = Table("", "", "count")
    for title, counts in report.counts.items():
        for number, (name, count) in enumerate(counts.most_common()):
            table.add_row("" if number else title, name, str(count))
        table.add_section()
    return table


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos ARGS=…", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120, help="of chaos, before the calm (default 120)")
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(10**6), help="default: another each time")
    parser.add_argument("--clients", type=int, default=3, help="at the same time (default 3)")
    parser.add_argument("--workers", type=int, default=2, help="processes (default 2)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
