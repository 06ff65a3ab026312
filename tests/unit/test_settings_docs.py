from pathlib import Path

from dotenv import dotenv_values

from hansard.cli.config import DOCUMENT, EXAMPLE, example_file, settings_document
from hansard.settings import SECTIONS, Settings, variable

PROJECT = Path(__file__).parents[2]


def test_the_document_in_the_project_is_what_the_code_says() -> None:
    assert (PROJECT / DOCUMENT).read_text(encoding="utf-8") == settings_document(), "Run: make docs"


def test_the_example_in_the_project_is_what_the_code_says() -> None:
    assert (PROJECT / EXAMPLE).read_text(encoding="utf-8") == example_file(), "Run: make docs"


def test_every_setting_is_documented_once() -> None:
    document = settings_document()

    for name in Settings.model_fields:
        assert document.count(f"| `{variable(name)}` |") == 1


def test_every_section_begins_with_a_setting() -> None:
    assert set(SECTIONS) <= set(Settings.model_fields)
    assert next(iter(Settings.model_fields)) in SECTIONS


def test_the_example_with_every_line_uncommented_is_the_defaults(tmp_path: Path) -> None:
    env = tmp_path / ".env"
    env.write_text("\n".join(line[1:] for line in example_file().splitlines() if line[:1] == "#" and "=" in line))

    values = dotenv_values(env)

    assert {variable(name) for name in Settings.model_fields} <= set(values)
    assert Settings(_env_file=env) == Settings(_env_file=None)
