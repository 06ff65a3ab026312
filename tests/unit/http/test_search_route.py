"""`GET /search`, on fakes."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.search_library import NOON, a_segment, keep
from tests.unit.http.api import FakeContainer


@pytest.fixture
def said(container: FakeContainer) -> FakeContainer:
    """Two transcripts, a minute apart."""
    keep(
        container.unit_of_work,
        a_segment(3, "At noon, by the harbour.", speaker="Ann"),
        a_segment(4, "Not before noon!", speaker="Ben"),
        owner="default",
        file_name="Zürich.mp3",
        metadata={"case": "7", "at": "12:00"},
    )
    keep(container.unit_of_work, a_segment(5, "noon", language="de"), owner="default", minute=1)
    return container


def found(client: TestClient, **parameters: Any) -> list[str]:
    answer = client.get("/search", params=parameters)
    assert answer.status_code == 200, answer.text
    return [item["text"] for item in answer.json()["items"]]


def test_a_result_tells_what_where_and_when(client: TestClient, said: FakeContainer) -> None:
    made = next(each for each in said.database.transcriptions.values() if each.created_at == NOON)
    (item,) = client.get("/search", params={"q": "harbour"}).json()["items"]
    assert item == {
        "transcription_id": str(made.id),
        "audio_id": str(made.audio_id),
        "audio_url": f"/audio/{made.audio_id}/download",
        "file_name": "Zürich.mp3",
        "created_at": "2026-01-01T12:00:00Z",
        "start_seconds": 3.0,
        "end_seconds": 4.0,
        "speaker": "Ann",
        "language": "en",
        "text": "At noon, by the harbour.",
        "matches": [{"start": 16, "end": 23, "seconds": 3.4}],
    }


@pytest.mark.parametrize(
    ("filters", "texts"),
    [
        ({}, ["noon", "At noon, by the harbour.", "Not before noon!"]),
        ({"speaker": "Ben"}, ["Not before noon!"]),
        ({"language": "de"}, ["noon"]),
        ({"file_name": "zürich"}, ["At noon, by the harbour.", "Not before noon!"]),
        ({"since": "2026-01-01T12:01:00Z"}, ["noon"]),
        ({"since": "2026-01-01T12:01:00"}, ["noon"]),
        ({"since": "2026-01-01T13:01:00+01:00"}, ["noon"]),
        ({"until": "2026-01-01T12:01:00Z"}, ["At noon, by the harbour.", "Not before noon!"]),
        ({"since": "2026-01-02"}, []),
        ({"metadata": "case:7"}, ["At noon, by the harbour.", "Not before noon!"]),
        ({"metadata": ["case:7", "at:12:00"]}, ["At noon, by the harbour.", "Not before noon!"]),
        ({"metadata": ["case:7", "at:13:00"]}, []),
    ],
)
def test_filters_narrow_it_down(
    client: TestClient, said: FakeContainer, filters: dict[str, Any], texts: list[str]
) -> None:
    assert found(client, q="noon", **filters) == texts


def test_the_next_page_goes_on_where_the_first_ended(client: TestClient, said: FakeContainer) -> None:
    first = client.get("/search", params={"q": "noon", "limit": 2}).json()
    second = client.get("/search", params={"q": "noon", "limit": 2, "cursor": first["next_cursor"]}).json()
    assert [item["start_seconds"] for item in first["items"] + second["items"]] == [5.0, 3.0, 4.0]
    assert second["next_cursor"] is None


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({}, "invalid_request"),
        ({"q": ""}, "empty_query"),
        ({"q": '-"'}, "empty_query"),
        ({"q": "noon " * 65}, "query_too_long"),
        ({"q": "noon" * 300}, "invalid_request"),
        ({"q": "noon", "metadata": "case"}, "invalid_request"),
        ({"q": "noon", "metadata": ":7"}, "invalid_request"),
        ({"q": "noon", "since": "yesterday"}, "invalid_request"),
        ({"q": "noon", "cursor": "nonsense"}, "invalid_cursor"),
        ({"q": "noon", "sort": "time"}, "invalid_request"),
        ({"q": "\0noon"}, "invalid_request"),
    ],
)
def test_what_cannot_be_answered_is_refused(client: TestClient, parameters: dict[str, Any], code: str) -> None:
    answer = client.get("/search", params=parameters)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
