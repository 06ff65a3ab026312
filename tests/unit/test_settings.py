import os
from pathlib import Path

import pytest

from hansard import settings as settings_module
from hansard.domain.errors import Category
from hansard.settings import Environment, LogFormat, LogLevel, Origin, Settings, SettingsError, load, origin, variable


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty directory, without a `.env`, and no variable of ours."""
    monkeypatch.chdir(tmp_path)
    ours = {variable(name) for name in Settings.model_fields}
    for name in list(os.environ):
        if name.upper() in ours or name.upper().startswith("HANSARD_"):
            monkeypatch.delenv(name)


def test_without_any_setting_the_service_listens_on_this_machine_only() -> None:
    assert (load().host, load().port) == ("127.0.0.1", 8000)


def test_every_setting_is_described_and_ends_with_a_full_stop() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("port", "HANSARD_PORT"),
        ("openai_api_key", "OPENAI_API_KEY"),
        ("testing", "TESTING"),
        ("log_level", "LOG_LEVEL"),
    ],
)
def test_a_setting_has_the_variable_that_scripts_rely_on(name: str, expected: str) -> None:
    assert variable(name) == expected


def test_variables_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANSARD_PORT", "8011")
    monkeypatch.setenv("LOG_LEVEL", "debug")
    monkeypatch.setenv("LOG_FORMAT", "json")

    settings = load()

    assert (settings.port, settings.log_level, settings.log_format) == (8011, LogLevel.DEBUG, LogFormat.JSON)


def test_the_environment_wins_over_the_env_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("HANSARD_PORT=8011\nHANSARD_WORKERS=3\n")
    monkeypatch.setenv("HANSARD_PORT", "8012")

    assert (load().port, load().workers) == (8012, 3)


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "")

    assert load().openai_api_key is None


def test_the_chain_of_engines_is_written_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANSARD_ENGINE_CHAIN", "whisper, pocketsphinx")

    assert load().engine_chain == ("whisper", "pocketsphinx")


def test_the_home_directory_may_be_written_as_a_tilde(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.setenv("HANSARD_DATA_DIR", "~/recordings")

    assert load().data_dir == Path("/home/ada/recordings")


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("HANSARD_PORT", "abc", "valid integer"),
        ("HANSARD_PORT", "70000", "65535"),
        ("LOG_LEVEL", "LOUD", "'TRACE', 'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
        ("LOG_FORMAT", "xml", "'pretty' or 'json'"),
        ("TESTING", "perhaps", "valid boolean"),
        ("HANSARD_ENGINE_CHAIN", ",", "at least 1 item"),
    ],
)
def test_a_bad_value_is_told_with_its_variable_the_reason_and_the_remedy(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, reason: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(SettingsError) as caught:
        load()

    failure = caught.value.failure
    assert failure.message.startswith(f"{name}=")
    assert reason in failure.message
    assert failure.help
    assert failure.help.startswith(f"{name} (environment): ")
    assert failure.category is Category.CONFIGURATION


def test_a_bad_value_in_the_env_file_is_said_to_stand_there() -> None:
    Path(".env").write_text("HANSARD_PORT=abc\n")

    with pytest.raises(SettingsError) as caught:
        load()

    assert caught.value.failure.help
    assert "HANSARD_PORT (.env)" in caught.value.failure.help


def test_all_bad_values_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANSARD_PORT", "abc")
    monkeypatch.setenv("HANSARD_WORKERS", "0")

    with pytest.raises(SettingsError, match=r"HANSARD_PORT=abc(.|\n)*HANSARD_WORKERS=0"):
        load()


def test_production_refuses_what_is_made_for_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TESTING", "true")
    monkeypatch.setenv("HANSARD_ENVIRONMENT", "production")

    with pytest.raises(SettingsError, match="Unset TESTING"):
        load()


def test_production_alone_is_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANSARD_ENVIRONMENT", "production")

    assert load().environment is Environment.PRODUCTION


def test_a_secret_does_not_show_in_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")

    assert "very-secret" not in repr(load())


def test_each_value_knows_where_it_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("HANSARD_WORKERS=3\nOPENAI_API_KEY=\n")
    monkeypatch.setenv("hansard_port", "8011")

    assert [origin(name) for name in ("port", "workers", "openai_api_key", "host")] == [
        Origin.ENVIRONMENT,
        Origin.ENV_FILE,
        Origin.DEFAULT,
        Origin.DEFAULT,
    ]


def test_misspelt_variables_are_found_with_what_was_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("HANSARD_WORKER=3\n")
    monkeypatch.setenv("HANSARD_PROT", "8011")
    monkeypatch.setenv("HANSARD_LOG_LEVEL", "DEBUG")
    monkeypatch.setenv("HANSARD_XYZZY", "1")

    assert settings_module.unknown_variables() == {
        "HANSARD_LOG_LEVEL": "LOG_LEVEL",
        "HANSARD_PROT": "HANSARD_PORT",
        "HANSARD_WORKER": "HANSARD_WORKERS",
        "HANSARD_XYZZY": None,
    }
