"""The chaos test in short; `make chaos` is the long one."""

import pytest

from tests.chaos.run import Plan, run
from tests.e2e.service import open_directory

SHORT = Plan(seed=1, seconds=9, calm_seconds=60, pause_seconds=0.9, clients=3)


@pytest.mark.xdist_group("chaos")
@pytest.mark.timeout(180)
def test_every_promise_is_kept_while_everything_dies() -> None:
    with open_directory() as directory:
        report = run(SHORT, directory)
        log = (directory / "log").read_text()
    assert not report.problems, "\n".join([*report.problems, log])
    assert sum(report.counts["injuries"].values()) >= 3
    assert report.counts["outcomes"]["completed"] >= 3
