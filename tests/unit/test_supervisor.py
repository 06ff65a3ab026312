"""The supervisor with small real processes, in a process of its own: it works by signals."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

PREAMBLE = """
import sys, threading
from pathlib import Path
from hansard.cli.supervisor import Supervisor
from hansard.observability import logging

logging.configure(process="up", level="INFO", format="pretty", colour=False)
"""

# One write a line: those of several processes must not mix, however Python buffers its output here.
SLEEPER = r"import os, time; os.write(1, b'sleeper %d\n' % os.getpid()); time.sleep(600)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEPER.replace('sleeper', 'stubborn')}"


class Running:
    """A process with its output, which ends when it and all that it started are gone."""

    def __init__(self, program: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PREAMBLE + program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def wait_for(self, text: str) -> str:
        """The next line with `text` in it."""
        assert self.process.stdout
        for line in self.process.stdout:
            if text in line:
                return line
        raise AssertionError(f"{text!r} never came")

    def pid_of(self, name: str) -> int:
        return int(self.wait_for(f"{name} ").split()[-1])

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def rest(self) -> str:
        """What is still said until everything is over."""
        assert self.process.stdout
        rest = self.process.stdout.read()
        self.process.wait()
        return rest


@pytest.fixture
def run() -> Iterator[Callable[[str], Running]]:
    started: list[Running] = []

    def start(program: str) -> Running:
        started.append(Running(program))
        return started[-1]

    yield start
    for running in started:
        running.signal(signal.SIGTERM)
        running.signal(signal.SIGINT)
        running.process.wait()
        for stream in (running.process.stdin, running.process.stdout):
            assert stream
            stream.close()


def keeping(*programs: str, options: str = "grace_seconds=600, backoff_seconds=0.01") -> str:
    kept = "".join(f"s.keep('p{n}', [sys.executable, '-c', {program!r}])\n" for n, program in enumerate(programs))
    return f"s = Supervisor({options})\n{kept}s.run()\nprint('over', s.hurried, flush=True)"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_every_process_and_then_the_supervisor(run: Callable[[str], Running], number: int) -> None:
    running = run(keeping(SLEEPER, SLEEPER))
    running.pid_of("sleeper")
    running.pid_of("sleeper")

    running.signal(number)

    assert running.rest().endswith("over False\n")
    assert running.process.returncode == 0


def test_a_killed_process_is_started_again(run: Callable[[str], Running]) -> None:
    running = run(keeping(SLEEPER))

    os.kill(running.pid_of("sleeper"), signal.SIGKILL)

    assert "ended_by=SIGKILL" in running.wait_for("started again")
    assert running.pid_of("sleeper")


def test_the_death_of_one_process_leaves_the_others_alone(run: Callable[[str], Running]) -> None:
    running = run(keeping(STUBBORN, SLEEPER))
    first, second = (running.wait_for(" ").split() for _ in range(2))
    pids = {first[0]: int(first[1]), second[0]: int(second[1])}

    os.kill(pids["sleeper"], signal.SIGKILL)
    running.pid_of("sleeper")

    os.kill(pids["stubborn"], 0)


def test_a_process_that_cannot_stay_up_is_started_at_ever_longer_intervals(run: Callable[[str], Running]) -> None:
    running = run(keeping("raise SystemExit(3)", options="backoff_seconds=0.01, longest_backoff_seconds=0.04"))

    pauses = [running.wait_for("exit code 3").split("again_in_seconds=")[1].strip() for _ in range(4)]

    assert pauses == ["0.01", "0.02", "0.04", "0.04"]


def test_a_process_that_does_not_stop_is_killed_after_the_grace(run: Callable[[str], Running]) -> None:
    running = run(keeping(STUBBORN, options="grace_seconds=0.1"))
    running.pid_of("stubborn")

    running.signal(signal.SIGINT)

    assert running.rest().endswith("over False\n")


def test_a_second_signal_does_not_wait_for_the_grace(run: Callable[[str], Running]) -> None:
    running = run(keeping(STUBBORN))
    running.pid_of("stubborn")

    running.signal(signal.SIGINT)
    running.wait_for("Stopping")
    running.signal(signal.SIGINT)

    assert running.rest() == "over True\n"


def test_what_a_dead_process_left_behind_ends_with_it(run: Callable[[str], Running]) -> None:
    leaving = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {STUBBORN!r}]); {SLEEPER}"
    running = run(keeping(leaving))
    os.kill(running.pid_of("sleeper"), signal.SIGKILL)
    running.pid_of("sleeper")
    running.signal(signal.SIGINT)

    # Reads until nobody holds the output any more.
    assert running.rest().endswith("over False\n")


def test_processes_end_when_the_supervisor_is_killed(run: Callable[[str], Running]) -> None:
    watching = f"import sys; from hansard.cli.supervisor import end_with; end_with(int(sys.argv[1])); {SLEEPER}"
    running = run(
        f"import os; s = Supervisor(); s.keep('p', [sys.executable, '-c', {watching!r}, str(os.getpid())]); s.run()"
    )
    running.pid_of("sleeper")

    running.signal(signal.SIGKILL)

    assert "is gone" in running.rest()


def test_a_restart_replaces_processes_without_a_pause(run: Callable[[str], Running]) -> None:
    running = run(
        "def on_enter():\n"
        "    for _ in sys.stdin: s.restart()\n"
        "threading.Thread(target=on_enter, daemon=True).start()\n" + keeping(SLEEPER, options="backoff_seconds=600")
    )
    before = running.pid_of("sleeper")
    assert running.process.stdin

    running.process.stdin.write("\n")
    running.process.stdin.flush()

    assert running.pid_of("sleeper") != before


def test_changed_code_restarts_processes(run: Callable[[str], Running], tmp_path: Path) -> None:
    running = run(
        f"place = Path({str(tmp_path)!r})\n"
        "def change():\n"
        "    for n in range(10**9):\n"
        "        (place / 'changed.py').write_text(str(n))\n"
        "        threading.Event().wait(0.2)\n"
        "threading.Thread(target=change, daemon=True).start()\n"
        + keeping(SLEEPER).replace("s.run()", "s.restart_on_change(place)\ns.run()")
    )
    before = running.pid_of("sleeper")

    assert "files=changed.py" in running.wait_for("The code changed")
    assert running.pid_of("sleeper") != before


def test_a_process_inherits_the_descriptors_it_is_given(run: Callable[[str], Running]) -> None:
    running = run(
        "import os\n"
        "s = Supervisor()\n"
        "reading, writing = os.pipe()\n"
        "os.write(writing, b'handed down')\n"
        "child = 'import os, sys; print(os.read(int(sys.argv[1]), 99), flush=True)'\n"
        "s.keep('p', [sys.executable, '-c', child, str(reading)], pass_fds=[reading])\n"
        "s.run()"
    )

    assert running.wait_for("handed") == "b'handed down'\n"
