"""Search over all that was ever said."""

from typing import Annotated

from fastapi import APIRouter, Query

from hansard.application.ports.records import SearchHit
from hansard.domain.audio import DEFAULT_OWNER
from hansard.http.dependencies import TheContainer
from hansard.http.mapping.audio import audio_url
from hansard.http.schemas.search import SearchMatch, SearchPage, SearchParameters, SearchResult

router = APIRouter(tags=["transcriptions"])


@router.get(
    "/search",
    summary="Find what was said, in all transcripts",
    responses={
        422: {"description": "`empty_query`: there is no word to look for; `query_too_long`; `invalid_request`."}
    },
)
def search(parameters: Annotated[SearchParameters, Query()], container: TheContainer) -> SearchPage:
    """Segments, with the places of what was found and the time at which it is said; the newest transcription first."""
    with container.unit_of_work() as uow:
        page = uow.search.find(
            parameters.query(), owner=DEFAULT_OWNER, limit=parameters.limit, cursor=parameters.cursor
        )
    return SearchPage(items=[_result_json(hit) for hit in page.items], next_cursor=page.next_cursor)


def _result_json(hit: SearchHit) -> SearchResult:
    return SearchResult(
        transcription_id=hit.transcription_id,
        audio_id=hit.audio_id,
        audio_url=audio_url(hit.audio_id),
        file_name=hit.file_name,
        created_at=hit.created_at,
        start_seconds=hit.segment.start_seconds,
        end_seconds=hit.segment.end_seconds,
        speaker=hit.segment.speaker,
        language=hit.segment.language,
        text=hit.segment.text,
        matches=[SearchMatch(start=match.start, end=match.end, seconds=match.seconds) for match in hit.matches],
    )
