"""An event as other systems get it: CloudEvents 1.0 in its structured JSON form.

Source: https://github.com/cloudevents/spec, `cloudevents/spec.md` and `formats/json-format.md`, with the extensions
`sequence` and `traceparent`. Names of attributes are lower-case letters and digits, hence `requestid`.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from hansard.domain.audit import Entry

MEDIA_TYPE = "application/cloudevents+json"
TEST_TYPE = "webhook.test"


def cloud_event(entry: Entry, *, source: str) -> str:
    """The JSON text. `source` is a URI reference that names this service.

    `sequence` is the position in the audit trail, with zeros in front, since that is how the extension is compared.
    """
    attributes = _attributes(entry.id, entry.type, subject=entry.subject, source=source, at=entry.occurred_at)
    attributes["sequence"] = f"{entry.position:020}"
    if entry.request_id is not None:
        attributes["requestid"] = entry.request_id
    if entry.trace_id is not None:
        attributes["traceparent"] = traceparent(entry)
    return _text(attributes, entry.data)


def traceparent(entry: Entry) -> str:
    """W3C's header: the trace that the event happened in; its span is the event, by the beginning of its id."""
    return f"00-{entry.trace_id}-{entry.id.hex[:16]}-01"


def trial_event(event_id: UUID, *, subject: str, source: str, at: datetime) -> str:
    """What an endpoint is tried out with: it happened nowhere, and is in no trail."""
    return _text(
        _attributes(event_id, TEST_TYPE, subject=subject, source=source, at=at),
        {"message": "This is a test, sent because somebody asked for it."},
    )


def _attributes(event_id: UUID, type: str, *, subject: str, source: str, at: datetime) -> dict[str, object]:
    return {
        "specversion": "1.0",
        "id": str(event_id),
        "source": source,
        "type": type,
        "subject": subject,
        "time": at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "datacontenttype": "application/json",
    }


def _text(attributes: Mapping[str, object], data: Mapping[str, Any]) -> str:
    return json.dumps({**attributes, "data": data}, ensure_ascii=False, separators=(",", ":"))
