import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hansard.cli import doctor
from hansard.cli.doctor import Finding, Mark
from hansard.domain.errors import ConfigurationError
from hansard.settings import Settings


def settings(**given: object) -> Settings:
    return Settings(_env_file=None, **given)


def marks(findings: Iterator[Finding]) -> list[Mark]:
    return [finding.mark for finding in findings]


def test_a_check_that_raises_an_error_of_ours_becomes_a_finding_with_its_help() -> None:
    def broken(_: Settings) -> Iterator[Finding]:
        raise ConfigurationError("It is broken.", help="Mend it.")
        yield

    assert list(doctor.examine(settings(), [broken])) == [Finding(Mark.PROBLEM, "It is broken.", "Mend it.")]


def test_a_check_that_fails_in_an_unforeseen_way_does_not_end_the_examination() -> None:
    def the_moon(_: Settings) -> Iterator[Finding]:
        raise LookupError("nowhere")
        yield

    def fine(_: Settings) -> Iterator[Finding]:
        yield Finding(Mark.FINE, "All is well")

    assert list(doctor.examine(settings(), [the_moon, fine])) == [
        Finding(Mark.PROBLEM, "The the moon could not be checked: LookupError: nowhere"),
        Finding(Mark.FINE, "All is well"),
    ]


def test_every_finding_that_is_not_fine_says_what_to_do() -> None:
    assert doctor.weigh(8, 8, cores=2, memory_bytes=64_000_000_000).help == (
        "Set HANSARD_WORKERS=2 and HANSARD_WHISPER_THREADS=1."
    )


@pytest.mark.parametrize(
    ("threads", "workers", "cores", "memory_gb", "mark"),
    [(4, 4, 4, 16, Mark.FINE), (8, 4, 4, 16, Mark.NOTICE), (4, 4, 4, 2, Mark.NOTICE), (1, 1, 1, 1, Mark.FINE)],
)
def test_workers_are_weighed_against_the_machine(
    threads: int, workers: int, cores: int, memory_gb: int, mark: Mark
) -> None:
    assert doctor.weigh(threads, workers, cores, memory_gb * 10**9).mark is mark


def test_a_data_directory_that_can_be_written_is_fine_and_keeps_nothing(tmp_path: Path) -> None:
    place = tmp_path / "data"

    findings = list(doctor.data_directory(settings(data_dir=place)))

    assert Mark.PROBLEM not in [finding.mark for finding in findings]
    assert list(place.iterdir()) == []


def test_a_data_directory_that_cannot_be_made_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    (finding,) = doctor.data_directory(settings(data_dir=tmp_path / "file" / "data"))

    assert finding.mark is Mark.PROBLEM
    assert "HANSARD_DATA_DIR" in (finding.help or "")


def test_a_full_disk_is_a_problem(tmp_path: Path) -> None:
    findings = doctor.data_directory(settings(data_dir=tmp_path, scarce_disk_bytes=10**18))

    assert marks(findings) == [Mark.PROBLEM]


def test_a_port_that_somebody_else_has_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "NETWORK_PATIENCE_SECONDS", 0.1)  # who has it does not answer
    with socket.create_server(("127.0.0.1", 0)) as other:
        (finding,) = doctor.examine(settings(port=other.getsockname()[1]), [doctor.address])

    assert finding.mark is Mark.PROBLEM
    assert "in use" in finding.text
    assert "HANSARD_PORT=" in (finding.help or "")


def test_a_free_port_is_fine() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

    assert marks(doctor.address(settings(port=port))) == [Mark.FINE]


def test_a_misspelt_setting_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANSARD_PROT", "8011")

    assert Finding(
        Mark.NOTICE, "There is no setting HANSARD_PROT; it is ignored", "Did you mean HANSARD_PORT?"
    ) in list(doctor.variables(settings()))


@pytest.mark.parametrize(("testing", "expected"), [(True, [Mark.NOTICE]), (False, [])])
def test_a_service_set_up_for_tests_is_noticed(testing: bool, expected: list[Mark]) -> None:
    assert marks(doctor.testing(settings(testing=testing))) == expected


@pytest.mark.parametrize(
    ("key", "base_url", "expected"),
    [
        (None, None, []),
        ("sk-proj-abc", None, []),
        ("abc", None, [Mark.NOTICE]),
        ("abc", "http://127.0.0.1:9/v1", []),
        ("sk-proj-abc\n", None, [Mark.PROBLEM]),
    ],
)
def test_an_openai_key_is_judged_by_its_look(key: str | None, base_url: str | None, expected: list[Mark]) -> None:
    findings = list(doctor.openai_key(settings(openai_api_key=key, openai_base_url=base_url)))

    assert [finding.mark for finding in findings] == expected
    assert not any(key in f"{finding.text}{finding.help}" for finding in findings if key)


def test_a_clock_before_the_installation_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 0.0)

    assert marks(doctor.clock(settings())) == [Mark.PROBLEM]


def test_offline_means_that_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    # A hub that would be refused by the tests' guard against the network.
    monkeypatch.setenv("HF_ENDPOINT", "http://192.0.2.1")

    assert marks(doctor.network(settings(offline=True))) == [Mark.FINE]


def test_a_hub_that_cannot_be_reached_is_noticed_with_the_ways_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{gone.getsockname()[1]}")

    (finding,) = doctor.network(settings(offline=False))

    assert finding.mark is Mark.NOTICE
    assert "HANSARD_WHISPER_MODEL" in (finding.help or "")


def test_what_is_compiled_loads_here() -> None:
    assert marks(doctor.native_packages(settings())) == [Mark.FINE]


def test_a_package_that_does_not_load_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "NATIVE_PACKAGES", ("hansard_for_another_machine",))

    assert marks(doctor.native_packages(settings())) == [Mark.PROBLEM]


@pytest.mark.parametrize(("uid", "expected"), [(0, [Mark.NOTICE]), (1000, [])])
def test_root_is_told_that_it_is_not_needed(monkeypatch: pytest.MonkeyPatch, uid: int, expected: list[Mark]) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid)

    assert marks(doctor.user(settings())) == expected
