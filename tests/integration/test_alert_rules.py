"""The alert rules and dashboards by themselves; e2e/test_prometheus.py asks a running service for what they want."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.prometheus import DASHBOARDS, DEPLOY, RULES, program, rules

DOCS = DEPLOY.parent / "docs"


def promtool(*arguments: str) -> None:
    ran = subprocess.run(
        [program("promtool"), *arguments], cwd=RULES.parent, capture_output=True, check=False, text=True
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_rules_are_as_prometheus_wants_them() -> None:
    promtool("check", "rules", "alerts.yml")


def test_the_configuration_is_as_prometheus_wants_it() -> None:
    promtool("check", "config", "prometheus.yml")


def test_each_rule_fires_when_it_should_and_not_otherwise() -> None:
    promtool("test", "rules", "alerts_test.yml")


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_a_rule_says_what_is_wrong_and_where_to_read_on(rule: dict[str, object]) -> None:
    annotations = rule["annotations"]
    assert isinstance(annotations, dict)
    assert set(annotations) == {"summary", "description", "runbook"}
    assert rule["labels"] in ({"severity": "critical"}, {"severity": "warning"})
    document, anchor = annotations["runbook"].split("#")
    assert anchor in anchors(DEPLOY.parent / document)


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_each_rule_is_tested(rule: dict[str, object]) -> None:
    tested = (RULES.parent / "alerts_test.yml").read_text("utf-8")
    assert re.search(rf"\b{rule['alert']}\b", tested)


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_a_dashboard_has_a_name_of_its_own_and_its_panels_do_not_overlap(file: Path) -> None:
    dashboard = json.loads(file.read_text("utf-8"))
    assert dashboard["uid"] == f"hansard-{file.stem}"
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + dx, place["y"] + dy) for dx in range(place["w"]) for dy in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells


def anchors(document: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.*)$", document.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
