"""Prometheus' own programs, what the project gives them, and what is asked for in it."""

import json
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

DEPLOY = Path(__file__).parents[1] / "deploy"
RULES = DEPLOY / "prometheus" / "alerts.yml"
DASHBOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))

VARIABLES = {"$__rate_interval": "1m", "$engine": ".*", "$route": ".*", "$instance": ".*"}
"""What Grafana puts in their places before it asks."""


def program(name: str) -> str:
    """The path of `prometheus` or `promtool`; the test is skipped where it is not there."""
    unpacked = Path(sys.prefix) / "prometheus" / "usr" / "bin" / name
    found = shutil.which(name) or (str(unpacked) if unpacked.exists() else None)
    if found is None:
        pytest.skip(f"there is no {name}; on Debian and Ubuntu: apt install prometheus")
    return found


@dataclass(frozen=True)
class Question:
    """A query of an alert rule or a panel, and where it stands."""

    place: str
    expression: str

    def __str__(self) -> str:
        return self.place


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def questions_of_rules() -> list[Question]:
    return [Question(rule["alert"], rule["expr"]) for rule in rules()]


def questions_of_dashboards() -> list[Question]:
    found: list[Question] = []
    for file in DASHBOARDS:
        for panel in json.loads(file.read_text("utf-8"))["panels"]:
            for target in panel.get("targets", ()):
                place = f"{file.stem}: {panel['title']} {target['refId']}"
                found.append(Question(place, _filled_in(target["expr"])))
    return found


def variables_of_dashboards() -> Iterator[tuple[str, str]]:
    """The metric and the label that a dashboard's choices are taken from."""
    for file in DASHBOARDS:
        for variable in json.loads(file.read_text("utf-8"))["templating"]["list"]:
            if variable["type"] == "query":
                metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]).groups()  # type: ignore[union-attr]
                yield metric, label


def _filled_in(expression: str) -> str:
    for variable, value in VARIABLES.items():
        expression = expression.replace(variable, value)
    return expression


@dataclass(frozen=True)
class Selector:
    """What one expression asks of one metric: each label with the pattern that its value has to match."""

    metric: str
    labels: tuple[tuple[str, str], ...]


def selectors(expression: str) -> list[Selector]:
    found: list[Selector] = []

    def visit(node: Any) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            found.append(Selector(node.name, tuple(_patterns(node))))

    promql_parser.walk(promql_parser.parse(expression), visit)
    return found


def grouping_labels(expression: str) -> set[str]:
    """What results are put together by."""
    found: set[str] = set()

    def visit(node: Any) -> None:
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier:
            found.update(node.modifier.labels)

    promql_parser.walk(promql_parser.parse(expression), visit)
    return found


def _patterns(selector: Any) -> Iterator[tuple[str, str]]:
    for matcher in selector.matchers.matchers:
        is_pattern = matcher.op in (promql_parser.MatchOp.Re, promql_parser.MatchOp.NotRe)
        yield matcher.name, matcher.value if is_pattern else re.escape(matcher.value)
