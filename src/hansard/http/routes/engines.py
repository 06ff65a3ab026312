"""What can listen, here and now, and what is kept from listening."""

from typing import Annotated, Any

from fastapi import APIRouter, Body

from hansard.application.engine_chain import in_order
from hansard.bootstrap import Container
from hansard.domain.circuit import Circuit
from hansard.domain.errors import NotFound
from hansard.http.dependencies import TheContainer
from hansard.http.mapping.engines import engine_json
from hansard.http.schemas import engines as schemas

router = APIRouter(prefix="/engines", tags=["engines"])

_UNKNOWN: dict[int | str, dict[str, Any]] = {404: {"description": "`unknown_engine`: there is none of that name."}}


@router.get("", summary="List engines, in the order `auto` tries them")
def list_engines(container: TheContainer) -> schemas.Engines:
    """A transcription that names an engine uses that one; the others use the first that can do the job."""
    names = in_order(container.engines, container.settings.engine_chain)
    with container.unit_of_work() as uow:
        circuits = [uow.circuits.get(name) for name in names]
    return schemas.Engines(items=[_engine_json(container, circuit) for circuit in circuits])


@router.get("/{name}", summary="Look an engine up", responses=_UNKNOWN)
def get_engine(name: str, container: TheContainer) -> schemas.Engine:
    require_engine(container, name)
    with container.unit_of_work() as uow:
        circuit = uow.circuits.get(name)
    return _engine_json(container, circuit)


@router.post("/{name}/reset", summary="Close an engine's circuit by hand", responses=_UNKNOWN)
def reset_engine(name: str, container: TheContainer) -> schemas.Engine:
    """Its failures are forgotten and the next job tries it at once. One that is disabled stays so."""
    require_engine(container, name)
    return _engine_json(container, container.circuit_breaker.reset(name))


@router.post("/{name}/disable", summary="Take an engine out of use", responses=_UNKNOWN)
def disable_engine(
    name: str, container: TheContainer, wish: Annotated[schemas.EngineDisabling | None, Body()] = None
) -> schemas.Engine:
    """On all machines, over restarts, until it is enabled. Attempts that have begun are not stopped."""
    require_engine(container, name)
    return _engine_json(container, container.circuit_breaker.disable(name, wish.reason if wish else None))


@router.post("/{name}/enable", summary="Put an engine back into use", responses=_UNKNOWN)
def enable_engine(name: str, container: TheContainer) -> schemas.Engine:
    """Enabling one that is in use changes nothing. A circuit that is open stays open: `reset` closes it."""
    require_engine(container, name)
    return _engine_json(container, container.circuit_breaker.enable(name))


def require_engine(container: Container, name: str) -> None:
    """Raises `NotFound` before a circuit is made for an engine that nobody has."""
    if name not in container.engines:
        raise NotFound(
            f"There is no engine called {name!r}.",
            code="unknown_engine",
            help=f"There are: {', '.join(container.engines)}.",
        )


def _engine_json(container: Container, circuit: Circuit) -> schemas.Engine:
    return engine_json(container.engines[circuit.engine], circuit, chain=container.settings.engine_chain)
