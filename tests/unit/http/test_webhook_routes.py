"""The routes of webhooks: what they take, what they answer, and that a secret is shown once."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi.testclient import TestClient

from hansard.domain.delivery import Answer
from hansard.domain.errors import DeliveryTimedOut, InvalidRequest
from hansard.domain.events import AudioFileErased
from tests.unit.http.api import FakeContainer

URL = "https://example.com/hook"


def register(client: TestClient, **wish: Any) -> dict[str, Any]:
    answer = client.post("/webhooks", json={"url": URL, "event_types": ["audio.erased"], **wish})
    assert answer.status_code == 201, answer.text
    return answer.json()


def happened(container: FakeContainer) -> None:
    with container.unit_of_work() as uow:
        event = AudioFileErased(
            subject=str(uuid4()), occurred_at=container.clock(), bytes_removed=True, pipeline_runs=0
        )
        uow.events.append(event)
        uow.commit()


def deliver(container: FakeContainer) -> None:
    for webhook_id in list(container.database.webhook_turns):
        del container.database.webhook_turns[webhook_id]
        container.deliver(webhook_id)


def deliveries(client: TestClient, webhook: dict[str, Any], **query: Any) -> list[dict[str, Any]]:
    answer = client.get(f"/webhooks/{webhook['id']}/deliveries", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


def refusal(answer: Any, status: int) -> str:
    assert answer.status_code == status, answer.text
    return answer.json()["code"]


# ── Webhooks ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_webhook_is_registered_and_its_secret_is_shown_once(client: TestClient) -> None:
    made = register(client, filter={"bytes_removed": True}, description="Ours")
    secret = made.pop("secret")
    assert secret.startswith("whsec_")
    assert made["enabled"]
    assert client.get(f"/webhooks/{made['id']}").json() == made
    assert client.get("/webhooks").json() == {"items": [made]}
    assert secret not in client.get("/webhooks").text


def test_without_types_it_is_told_of_everything(client: TestClient) -> None:
    assert client.post("/webhooks", json={"url": URL}).json()["event_types"] == ["*"]


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        ({"url": ""}, "invalid_request"),
        ({"url": URL, "event_types": []}, "invalid_request"),
        ({"url": URL, "event_types": ["nothing.happened"]}, "unknown_event_type"),
        ({"url": URL, "events": ["audio.erased"]}, "invalid_request"),
        ({"url": URL, "filter": ["owner"]}, "invalid_request"),
        ({"url": URL, "filter": {"a": {"b": {"c": {"d": {"e": {"f": 1}}}}}}}, "invalid_request"),
        ({"url": URL, "filter": {"a": list(range(51))}}, "invalid_request"),
        ({"url": URL, "filter": {"a\0": 1}}, "invalid_request"),
        ({"url": URL, "filter": {"a": "b\0"}}, "invalid_request"),
    ],
)
def test_what_cannot_be_honoured_is_refused(client: TestClient, wish: dict[str, Any], code: str) -> None:
    assert refusal(client.post("/webhooks", json=wish), 422) == code


def test_a_url_that_leads_inside_is_refused_when_it_is_given_and_when_it_is_changed(
    client: TestClient, container: FakeContainer
) -> None:
    made = register(client)
    container.webhook_sender.refuses = InvalidRequest("It leads inside.", code="webhook_url_refused")
    assert refusal(client.post("/webhooks", json={"url": URL}), 422) == "webhook_url_refused"
    changed = client.patch(f"/webhooks/{made['id']}", json={"url": "http://10.0.0.1/"})
    assert refusal(changed, 422) == "webhook_url_refused"
    assert client.patch(f"/webhooks/{made['id']}", json={"description": "Ours"}).status_code == 200


def test_what_is_left_out_of_a_change_stays_and_null_takes_away(client: TestClient) -> None:
    made = register(client, filter={"a": 1}, description="Ours")
    changed = client.patch(f"/webhooks/{made['id']}", json={"event_types": ["*"], "filter": None}).json()
    assert (changed["event_types"], changed["filter"], changed["description"], changed["url"]) == (
        ["*"],
        None,
        "Ours",
        URL,
    )


def test_one_that_is_disabled_holds_what_was_to_be_sent(client: TestClient, container: FakeContainer) -> None:
    made = register(client)
    happened(container)
    disabled = client.patch(f"/webhooks/{made['id']}", json={"enabled": False}).json()
    assert (disabled["enabled"], disabled["disabled_reason"]) == (False, "by_hand")
    happened(container)
    assert [each["status"] for each in deliveries(client, made)] == ["held"]
    assert client.patch(f"/webhooks/{made['id']}", json={"enabled": True}).json()["enabled"]


def test_a_deleted_one_is_gone(client: TestClient, container: FakeContainer) -> None:
    made = register(client)
    assert client.delete(f"/webhooks/{made['id']}").status_code == 204
    assert client.get("/webhooks").json() == {"items": []}
    assert container.database.events[-1].type == "webhook.deleted"


def test_a_rotation_gives_a_new_secret_and_tells_how_long_the_old_one_is_valid(client: TestClient) -> None:
    made = register(client)
    rotated = client.post(f"/webhooks/{made['id']}/rotate").json()
    assert rotated["secret"] != made["secret"]
    assert rotated["old_secret_expires_at"] == "2026-01-02T00:00:00Z"
    at_once = client.post(f"/webhooks/{made['id']}/rotate", json={"keep_old_seconds": 0}).json()
    assert at_once["old_secret_expires_at"] is None


def test_there_is_an_end_to_how_many_there_may_be(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hansard.application.webhooks.MOST_WEBHOOKS", 1)
    register(client)
    assert refusal(client.post("/webhooks", json={"url": URL}), 409) == "too_many_webhooks"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("POST", "/rotate"),
        ("POST", "/test"),
        ("POST", "/replay?since=2026-01-01"),
        ("GET", "/deliveries"),
        ("GET", f"/deliveries/{UUID(int=7)}"),
        ("POST", f"/deliveries/{UUID(int=7)}/replay"),
    ],
)
def test_one_that_is_not_there_is_told(client: TestClient, method: str, path: str) -> None:
    body = {"json": {}} if method == "PATCH" else {}
    assert refusal(client.request(method, f"/webhooks/{uuid4()}{path}", **body), 404) == "not_found"


# ── Deliveries ───────────────────────────────────────────────────────────────────────────────────────────


def test_a_delivery_tells_what_was_sent_and_what_was_answered(client: TestClient, container: FakeContainer) -> None:
    made = register(client)
    happened(container)
    container.webhook_sender.answers = [Answer(status=500, headers={"server": "x"}, body="oops")]
    deliver(container)
    (listed,) = deliveries(client, made)
    assert (listed["status"], listed["attempts"], listed["last_status"]) == ("pending", 1, 500)
    assert listed["last_error"]["code"] == "webhook_failed"
    found = client.get(f"/webhooks/{made['id']}/deliveries/{listed['id']}").json()
    (attempt,) = found["attempt_list"]
    assert attempt["response"] == {"status": 500, "headers": {"server": "x"}, "body": "oops"}
    assert (attempt["number"], attempt["latency_seconds"]) == (1, 0.0)
    assert found["body"] == container.webhook_sender.sent[0].body
    assert made["secret"] not in str(found)


def test_deliveries_come_in_pages_and_by_outcome(client: TestClient, container: FakeContainer) -> None:
    made = register(client)
    for _ in range(3):
        happened(container)
    container.webhook_sender.answers = [DeliveryTimedOut("It took too long.")]
    deliver(container)
    assert [each["status"] for each in deliveries(client, made)] == ["delivered", "delivered", "pending"]
    assert len(deliveries(client, made, outcome="delivered")) == 2
    page = client.get(f"/webhooks/{made['id']}/deliveries", params={"limit": 2}).json()
    assert len(deliveries(client, made, cursor=page["next_cursor"])) == 1


def test_a_delivery_is_sent_again_as_one_of_its_own(client: TestClient, container: FakeContainer) -> None:
    made = register(client)
    happened(container)
    deliver(container)
    (first,) = deliveries(client, made)
    answer = client.post(f"/webhooks/{made['id']}/deliveries/{first['id']}/replay")
    assert answer.status_code == 202
    assert (answer.json()["replay_of"], answer.json()["event_id"]) == (first["id"], first["event_id"])
    deliver(container)
    assert [each["status"] for each in deliveries(client, made)] == ["delivered", "delivered"]


def test_what_was_missed_is_sent_when_asked_for(client: TestClient, container: FakeContainer) -> None:
    made = register(client)
    client.patch(f"/webhooks/{made['id']}", json={"enabled": False})
    happened(container)
    replay = f"/webhooks/{made['id']}/replay?since=2025-12-31T00:00:00Z"
    assert refusal(client.post(replay), 409) == "webhook_disabled"
    client.patch(f"/webhooks/{made['id']}", json={"enabled": True})
    answer = client.post(replay)
    assert (answer.status_code, answer.json()) == (202, {"deliveries": 1})
    deliver(container)
    assert [each["status"] for each in deliveries(client, made)] == ["delivered"]


def test_a_replay_without_a_time_is_refused(client: TestClient) -> None:
    made = register(client)
    assert refusal(client.post(f"/webhooks/{made['id']}/replay"), 422) == "invalid_request"


# ── Trying it out ────────────────────────────────────────────────────────────────────────────────────────


def test_a_test_tells_how_it_went_and_leaves_nothing_behind(client: TestClient, container: FakeContainer) -> None:
    made = register(client)
    container.webhook_sender.answers = [Answer(status=200, body="hello"), DeliveryTimedOut("It took too long.")]
    good = client.post(f"/webhooks/{made['id']}/test").json()
    assert (good["delivered"], good["response"]["body"], good["error"]) == (True, "hello", None)
    bad = client.post(f"/webhooks/{made['id']}/test").json()
    assert (bad["delivered"], bad["response"], bad["error"]["code"]) == (False, None, "webhook_timed_out")
    assert '"type":"webhook.test"' in container.webhook_sender.sent[0].body
    assert deliveries(client, made) == []


def test_one_that_is_disabled_may_be_tried_out(client: TestClient) -> None:
    made = register(client)
    client.patch(f"/webhooks/{made['id']}", json={"enabled": False})
    assert client.post(f"/webhooks/{made['id']}/test").json()["delivered"]
