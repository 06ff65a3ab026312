"""What routes are given: the container, and what came in the headers of the request they serve."""

from typing import Annotated, cast

from fastapi import Depends, Header, Request

from hansard.bootstrap import Container
from hansard.http.uploads.places import UploadPlaces


# async: a dependency that is a plain function would cost a thread each time.
async def _container(request: Request) -> Container:
    return cast(Container, request.app.state.container)


async def _request_id(request: Request) -> str:
    return cast(str, request.state.request_id)


async def _places(request: Request) -> UploadPlaces:
    return cast(UploadPlaces, request.app.state.places)


TheContainer = Annotated[Container, Depends(_container)]
RequestId = Annotated[str, Depends(_request_id)]
Places = Annotated[UploadPlaces, Depends(_places)]

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern="^[ -~]*$",
        description="Your own name for this request, such as a UUID, of printable ASCII: send it again with the same "
        "key, after a connection that broke off for instance, and what was made the first time is the answer. Keys "
        "are kept for 24 hours; the same key with another request is refused with `idempotency_key_reused`.",
        examples=["8e03978e-40d5-43dd-bc93-6894a57f9324"],
    ),
]
