from functools import cached_property
from typing import Any

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from hansard.application.backlog import measure_backlog
from hansard.application.ports.webhooks import Outstanding
from hansard.domain.audio import DEFAULT_OWNER
from hansard.observability.metrics import MetricsPage
from hansard.observability.service_state import ServiceState, StateCollector
from tests.fakes import FakeUnitOfWork
from tests.unit.http.api import FakeContainer, client_of


class Container(FakeContainer):
    @cached_property
    def metrics(self) -> MetricsPage:
        return MetricsPage(self.registry, StateCollector(self._state))

    def _state(self) -> ServiceState:
        with self.unit_of_work() as uow:
            return ServiceState(
                circuits=(),
                backlog=measure_backlog(uow, DEFAULT_OWNER),
                alerts=(),
                outstanding=Outstanding(pending=0, overdue_seconds=0.0),
                database_bytes={},
            )


@pytest.fixture
def container() -> Container:
    return Container()


def test_metrics_come_in_prometheus_text_format(client: TestClient) -> None:
    answer = client.get("/metrics")

    names = {family.name for family in text_string_to_metric_families(answer.text)}
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert {"hansard_build_info", "hansard_http_requests_in_flight", "hansard_queue_waiting_jobs"} <= names


def test_metrics_are_told_while_the_database_is_away(container: Container) -> None:
    def away() -> FakeUnitOfWork:
        raise OSError("connection refused")

    container.unit_of_work = away

    answer = client_of(container).get("/metrics")

    assert answer.status_code == 200
    assert "\nhansard_database_up 0.0\n" in answer.text


def test_reading_metrics_is_logged_at_debug(client: TestClient, log: list[Any]) -> None:
    client.get("/metrics")

    assert [line["level"].name for line in log] == ["DEBUG"]


def test_metrics_are_no_part_of_the_api_that_clients_are_generated_from(client: TestClient) -> None:
    assert "/metrics" not in client.get("/openapi.json").json()["paths"]
