"""What can listen, here and now."""

from fastapi import APIRouter

from hansard.application.ports import SpeechEngine
from hansard.http import schemas
from hansard.http.dependencies import TheContainer

router = APIRouter(prefix="/engines", tags=["engines"])


@router.get("", summary="List engines, in the order `auto` tries them")
def list_engines(container: TheContainer) -> schemas.Engines:
    """A transcription that names an engine uses that one; the others use the first that can do the job."""
    chain = container.settings.engine_chain
    positions = {name: chain.index(name) + 1 for name in container.engines if name in chain}
    ordered = sorted(container.engines.values(), key=lambda engine: positions.get(engine.name, len(chain) + 1))
    return schemas.Engines(items=[_engine_json(engine, positions.get(engine.name)) for engine in ordered])


def _engine_json(engine: SpeechEngine, chain_position: int | None) -> schemas.Engine:
    status = engine.status()
    return schemas.Engine(
        name=engine.name,
        state=status.state.value,
        detail=status.detail,
        help=status.help,
        chain_position=chain_position,
        degraded_reason=engine.degraded_reason,
    )
