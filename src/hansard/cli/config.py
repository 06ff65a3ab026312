"""`hansard config`: what the settings are and where they came from; and the documentation made from them."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

DOCUMENT = Path("docs/settings.md")
EXAMPLE = Path(".env.example")

INTRODUCTION = """\
<!-- Made from src/hansard/settings.py by `make docs`. Don't edit. -->

# Settings

Each setting is an environment variable, or a line in a file `.env` in the directory that Hansard is started in (see
[.env.example](../.env.example)); the environment wins. An empty value counts as unset. `hansard config show` prints
what is in force and where it came from; `hansard doctor` finds misspelt names.
"""

app = typer.Typer(help="The settings.", no_args_is_help=True)


@app.command()
def show(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show each setting, its value (secrets hidden) and where it came from."""
    from rich.table import Table

    from hansard.cli.start import start_quietly, warn_of_unknown_variables
    from hansard.cli.table import print_table
    from hansard.settings import Settings, origin, variable

    settings = start_quietly()
    warn_of_unknown_variables()
    shown = [
        {"setting": variable(name), "value": _shown(name, getattr(settings, name)), "origin": str(origin(name))}
        for name in Settings.model_fields
    ]
    if as_json:
        typer.echo(json.dumps(shown, indent=2))
        return
    table = Table("Setting", "Value", "From")
    for row in shown:
        table.add_row(row["setting"], row["value"], row["origin"], style="dim" if row["origin"] == "default" else "")
    print_table(table)


@app.command(hidden=True)
def docs(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail when the files lag.")] = False,
) -> None:
    """Write docs/settings.md and .env.example from the code. Run it in the project's directory."""
    for path, text in ((DOCUMENT, settings_document()), (EXAMPLE, example_file())):
        if not check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            typer.echo(f"{path} lags behind src/hansard/settings.py. Run: make docs", err=True)
            raise typer.Exit(1)


def settings_document() -> str:
    """The text of docs/settings.md."""
    from hansard.settings import Settings, variable

    lines = [INTRODUCTION]
    for section, names in _sections().items():
        lines += [f"## {section}", "", "| Setting | Default | |", "| --- | --- | --- |"]
        for name in names:
            field = Settings.model_fields[name]
            default = _default(field)
            lines.append(f"| `{variable(name)}` | {f'`{default}`' if default else ''} | {field.description} |")
        lines.append("")
    return "\n".join(lines)


def example_file() -> str:
    """The text of .env.example: every setting, commented out, with its default."""
    from hansard.settings import Settings, variable

    lines = ["# Copy to .env and uncomment what you change. Made from src/hansard/settings.py by `make docs`."]
    for section, names in _sections().items():
        lines += ["", f"# ── {section} ──"]
        for name in names:
            field = Settings.model_fields[name]
            lines += [f"# {field.description}", f"#{variable(name)}={_default(field)}"]
    return "\n".join(lines) + "\n"


def _sections() -> dict[str, list[str]]:
    """The settings' names under the headings that they belong to, in order."""
    from hansard.settings import SECTIONS, Settings

    sections: dict[str, list[str]] = {}
    section: list[str] = []
    for name in Settings.model_fields:
        if name in SECTIONS:
            sections[SECTIONS[name]] = section = []
        section.append(name)
    return sections


def _default(field: "FieldInfo") -> str:
    """Empty where there is none, or where it depends on the machine and the description says how."""
    return "" if field.default_factory is not None else _text(field.default)


def _shown(name: str, value: object) -> str:
    from hansard.observability.logging import redact
    from hansard.settings import is_secret

    if is_secret(name):
        return "set (hidden)" if value else ""
    return redact(_text(value))


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(str(part) for part in value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return os.fspath(value) if isinstance(value, Path) else str(value)
