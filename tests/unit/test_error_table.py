"""docs/errors.md is true: here the tables of what needs no server and no model, and that none of them can go stale.

The other tables are walked in tests/integration/test_error_table.py.
"""

import ast
import errno
import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import openai
import pytest
from httpx import Request, Response
from obstore import exceptions as obstore_exceptions

import hansard
from hansard.application.ports.engines import Recognition
from hansard.domain.errors import Category, HansardError
from hansard.engines.openai import OpenAiEngine
from hansard.storage import object_store
from tests.error_table import DOCUMENT, PROVOKERS, QUICK_SECTIONS, Row, raised_by, rows, tables, walk
from tests.provoked import (  # noqa: F401 - imported to be registered
    analytics_failures,
    database_failures,
    file_failures,
    input_failures,
    live_failures,
    local_failures,
    notification_failures,
    openai_api_failures,
    openai_failures,
    service_failures,
    storage_failures,
    webhook_failures,
)

SOURCE = Path(hansard.__file__).parent
ROWS = [row for row in rows() if row.section in QUICK_SECTIONS]
CODE = re.compile("[a-z0-9_]+")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.event)
def test_what_the_table_says_is_what_happens(row: Row, request: pytest.FixtureRequest) -> None:
    walk(row, request)


def test_every_row_has_a_provoker_and_every_provoker_a_row() -> None:
    assert {row.key for row in rows()} == set(PROVOKERS)


def test_no_row_stands_twice() -> None:
    keys = [row.key for row in rows()]
    assert len(keys) == len(set(keys))


def test_every_category_is_explained() -> None:
    explained = [row["`category`"].strip("`") for row in tables()["Categories"]]
    assert sorted(explained) == sorted(Category)


def test_a_code_has_one_category_wherever_it_stands() -> None:
    categories = defaultdict(set)
    for row in rows():
        categories[row.code].add(row.category)
    # It sums up what several engines said, so it is as bad as they are.
    del categories["no_engine"]
    assert {code: found for code, found in categories.items() if len(found) > 1} == {}


def test_every_row_says_what_to_do() -> None:
    assert [row.event for row in rows() if not row.you_do] == []


# ── Every code ───────────────────────────────────────────────────────────────────────────────────────────


def test_every_code_in_the_source_is_in_the_document() -> None:
    documented = set(re.findall(f"`({CODE.pattern})`", DOCUMENT.read_text("utf-8")))
    assert codes_in_the_source() - documented == set()


def test_every_code_in_the_tables_is_in_the_source() -> None:
    listed = {cell.strip("`") for table in tables().values() for row in table if (cell := row.get("`code`"))}
    assert listed - codes_in_the_source() == set()


@cache
def codes_in_the_source() -> frozenset[str]:
    """What is given, by name or by place, to any parameter or field called `code`, or is assigned to that name."""
    trees = [ast.parse(path.read_text("utf-8")) for path in SOURCE.rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    places = defaultdict(set)
    for node in nodes:
        places[getattr(node, "name", None)] |= places_of_code(node)
    found = {code for node in nodes for value in values_for_code(node, places) for code in texts(value)}
    return frozenset(filter(CODE.fullmatch, found))


def places_of_code(node: ast.AST) -> set[int]:
    """Where among its arguments a function, or a class made of fields, takes the code."""
    if isinstance(node, ast.FunctionDef):
        names = [each.arg for each in node.args.args]
    elif isinstance(node, ast.ClassDef):
        made_by = [each for each in node.body if isinstance(each, ast.FunctionDef) and each.name == "__init__"]
        fields = [getattr(each.target, "id", "") for each in node.body if isinstance(each, ast.AnnAssign)]
        names = [each.arg for each in made_by[0].args.args[1:]] if made_by else fields
    else:
        return set()
    return {place for place, name in enumerate(names) if name == "code"}


def values_for_code(node: ast.AST, places: Mapping[str, set[int]]) -> Iterator[ast.expr]:
    if isinstance(node, ast.Call):
        yield from (keyword.value for keyword in node.keywords if keyword.arg == "code")
        mine = places.get(getattr(node.func, "id", ""), set())
        yield from (argument for place, argument in enumerate(node.args) if place in mine)
    elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            if isinstance(target, ast.Name) and target.id in {"code", "CODE_OF"}:
                yield node.value
            elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                pairs = zip(target.elts, node.value.elts, strict=True)
                yield from (value for name, value in pairs if isinstance(name, ast.Name) and name.id == "code")


def texts(value: ast.expr) -> Iterator[str]:
    """The texts that an expression may come to."""
    match value:
        case ast.Constant(value=str(text)):
            yield text
        case ast.IfExp():
            yield from (*texts(value.body), *texts(value.orelse))
        case ast.Dict():
            yield from (text for each in value.values for text in texts(each))
        case ast.Call(func=ast.Attribute(attr="get"), args=[_, otherwise]):
            yield from texts(otherwise)


# ── The libraries' own exceptions ────────────────────────────────────────────────────────────────────────


def described(section: str) -> dict[str, str]:
    """The code that the table gives to each exception."""
    return {
        name: code.strip("`")
        for cause, code in (row.values() for row in tables()[section])
        if not cause.startswith("any of them")
        for name in re.findall(r"`(\w+Error)`", cause)
    }


def family(kind: type[Exception]) -> Iterator[type[Exception]]:
    yield kind
    for child in kind.__subclasses__():
        yield from family(child)


@pytest.mark.parametrize("kind", sorted(set(family(openai.OpenAIError)), key=lambda kind: kind.__name__))
def test_each_exception_of_openais_library_becomes_what_the_table_says(kind: type[openai.OpenAIError]) -> None:
    engine = OpenAiEngine(api_key="sk-test", base_url=None, model="whisper-1", timeout_seconds=1, offline=False)
    error = kind.__new__(kind)
    if isinstance(error, openai.APIStatusError):
        status = getattr(kind, "status_code", 500 if kind is openai.InternalServerError else 418)
        asked = Request("POST", "https://api.openai.com/v1/audio/transcriptions")
        openai.APIStatusError.__init__(error, "no", response=Response(status, request=asked), body=None)  # type: ignore[arg-type]
    told = engine._translated(error, Recognition(), None).failure
    table = described("OpenAI's own exceptions")
    assert told.code == table.get(kind.__name__, table["OpenAIError"])


@pytest.mark.parametrize("kind", sorted(set(family(obstore_exceptions.BaseError)), key=lambda kind: kind.__name__))
def test_each_exception_of_obstore_becomes_what_the_table_says(kind: type[Exception]) -> None:
    table = described("obstore's own exceptions")
    assert translated(kind("no")).failure.code == table.get(kind.__name__, table["BaseError"])


SYSTEM_ERRORS = [
    (name, row["`code`"].strip("`"))
    for row in tables()["obstore's own exceptions"]
    for name in re.findall(r"\bE[A-Z]+\b", next(iter(row.values())))
]


@pytest.mark.parametrize(("name", "code"), SYSTEM_ERRORS)
def test_an_error_of_the_system_becomes_what_the_table_says(name: str, code: str) -> None:
    number = getattr(errno, name)
    told = obstore_exceptions.GenericError(f"Unable to open: {os.strerror(number)} (os error {number})\n\nDebug: …")
    assert translated(told).failure.code == code
    assert translated(OSError(number, os.strerror(number))).failure.code == code


def translated(error: Exception) -> HansardError:
    def fail() -> None:
        with object_store._errors_translated():
            raise error

    return raised_by(fail)
