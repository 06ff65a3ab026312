"""What routes are given: the container, and the id of the request they serve."""

from typing import Annotated, cast

from fastapi import Depends, Request

from hansard.bootstrap import Container


# async: a dependency that is a plain function would cost a thread each time.
async def _container(request: Request) -> Container:
    return cast(Container, request.app.state.container)


async def _request_id(request: Request) -> str:
    return cast(str, request.state.request_id)


TheContainer = Annotated[Container, Depends(_container)]
RequestId = Annotated[str, Depends(_request_id)]
