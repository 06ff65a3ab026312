"""The fields of the log are an interface: docs/logging.md lists each that the code binds, and no other."""

import ast
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

from hansard.application.diarize import Diarized
from hansard.application.prepare import Prepared
from hansard.application.recognise import Recognised
from hansard.application.settle import Settled
from hansard.observability.log_lines import ALWAYS

ROOT = Path(__file__).parents[2]
UNPACKED = {
    "facts": {"code", "category", "provider_status", "provider_request_id"},
    "measurements": {field.name for kind in (Prepared, Recognised, Diarized, Settled) for field in fields(kind)},
    "refusal": {"code", "category"},
    "about": {"transcription_id", "audio_id", "webhook_id"},
}
"""What stands behind the names that are bound with `**`."""


def bound() -> Iterator[tuple[str, str]]:
    """Each field, and where it is bound."""
    for file in sorted((ROOT / "src").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.Call) or not _binds(node.func):
                continue
            for keyword in node.keywords:
                where = f"{file.name}:{node.lineno}"
                for name in [keyword.arg] if keyword.arg else _unpacked(keyword.value, file):
                    yield name, where


def _binds(function: ast.expr) -> bool:
    """`logger.bind(…)`, `told.bind(…)` … and `logging.context(…)`."""
    return isinstance(function, ast.Attribute) and (
        function.attr == "bind" or ast.unparse(function) == "logging.context"
    )


def _unpacked(value: ast.expr, file: Path) -> set[str]:
    spelled = ast.unparse(value)
    for name, known in UNPACKED.items():
        if re.search(rf"\b{name}\b", spelled):
            return known
    raise AssertionError(f"{file}: what does **{spelled} bind? Say it in UNPACKED.")


def documented() -> set[str]:
    page = (ROOT / "docs" / "logging.md").read_text()
    table = page.partition("## Fields")[2].partition("\n## ")[0]
    return set(
        re.findall(r"`(\w+)`", "\n".join(row.split("|")[1] for row in table.splitlines() if row.startswith("| `")))
    )


def test_every_field_that_is_bound_is_documented() -> None:
    known = documented()
    missing = {name: where for name, where in bound() if name not in known}

    assert not missing


def test_every_documented_field_is_bound_or_always_there() -> None:
    assert documented() - {name for name, _ in bound()} - {*ALWAYS, "exception"} == set()
