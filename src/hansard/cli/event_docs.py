"""The list of all events in docs/events.md, made from domain/events.py: what stands there is what is told here."""

import ast
import inspect
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import typer

from hansard.domain import events
from hansard.domain.events import EVENT_TYPES, Event

MARK = "<!-- What follows is made from src/hansard/domain/events.py by `make docs`. Don't edit. -->"

_SECTION = re.compile("# ── (.+?) ─+$")
_SHAPES = {
    "str": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "UUID": "string, a UUID",
    "datetime": "string, a time",
    "Failure": "object, a failure",
    "tuple[str, ...]": "array of strings",
}


class Field(NamedTuple):
    name: str
    shape: str
    description: str


def write(document: Path, *, check: bool) -> None:
    """Put the list in place of the one that is there. `check`: write nothing, and exit with 1 where it lags."""
    text = document.read_text(encoding="utf-8")
    wanted = text.partition(MARK)[0] + event_list()
    if not check:
        document.write_text(wanted, encoding="utf-8")
    elif text != wanted:
        typer.echo(f"{document} lags behind src/hansard/domain/events.py. Run: make docs", err=True)
        raise typer.Exit(1)


def event_list() -> str:
    lines = [MARK]
    module = ast.parse(inspect.getsource(events))
    described = {node.name: node for node in module.body if isinstance(node, ast.ClassDef)}
    for section, names in _sections().items():
        lines += ["", f"## {section}"]
        for kind in (kind for kind in EVENT_TYPES.values() if kind.__name__ in names):
            lines += ["", f"### `{kind.type}`", "", description(kind), *_table(described[kind.__name__])]
    return "\n".join(lines) + "\n"


def description(kind: type[Event]) -> str:
    """Its docstring. Raises `ValueError` where there is none: a dataclass then has its signature for one."""
    text = inspect.cleandoc(kind.__doc__ or "")
    if not text or text.startswith(f"{kind.__name__}("):
        raise ValueError(f"{kind.__name__} has no docstring, which docs/events.md is made from.")
    return " ".join(text.split())


def _sections() -> Mapping[str, list[str]]:
    """The names of the classes under the headings of the module."""
    sections: dict[str, list[str]] = {}
    names: list[str] = []
    for line in inspect.getsource(events).splitlines():
        if heading := _SECTION.match(line):
            names = sections[heading[1]] = []
        elif line.startswith("class "):
            names.append(line.removeprefix("class ").partition("(")[0])
    return sections


def _table(kind: ast.ClassDef) -> Iterator[str]:
    fields = list(_fields(kind))
    if fields:
        yield from ("", "| `data` | |", "| --- | --- |")
        yield from (
            f"| `{field.name}` | {field.shape}{field.description and f'. {field.description}'} |" for field in fields
        )


def _fields(kind: ast.ClassDef) -> Iterator[Field]:
    """Each with the docstring below it, if there is one."""
    for node, following in zip(kind.body, [*kind.body[1:], None], strict=True):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            text = ""
            match following:
                case ast.Expr(value=ast.Constant(value=str(below))):
                    text = " ".join(below.split())
                case _:
                    pass
            yield Field(node.target.id, _shape(ast.unparse(node.annotation)), text)


def _shape(annotation: str) -> str:
    plain = annotation.removesuffix(" | None")
    return _SHAPES[plain] + (", or null" if plain != annotation else "")
