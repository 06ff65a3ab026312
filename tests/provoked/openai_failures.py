"""Every failure of OpenAI's API, brought about by a server that answers so, or by what it is set up with."""

import pytest

from hansard.domain.transcription import Parameters, Task
from tests.error_table import Provoked, engine_fails, provokes
from tests.openai_server import (
    API_KEY,
    Accident,
    Answer,
    OpenAiServer,
    as_json,
    break_off_in_the_middle,
    drop_the_connection,
    html,
    never_answer,
    refusal,
    wrong_key,
)

SECTION = "OpenAI"
DIARIZING = "gpt-4o-transcribe-diarize"


def answers(server: OpenAiServer, answer: Answer | Accident, **asked: str) -> Provoked:
    server._next.clear()
    server.answer_with(*[answer] * 9)
    provoked = engine_fails(server.engine(), Parameters(**asked))
    if isinstance(answer, Answer):
        assert provoked.failure.provider_status == answer.status
        assert provoked.failure.provider_request_id
    assert API_KEY not in provoked.failure.message
    return provoked


def provokes_by(event: str, *answers_given: Answer | Accident) -> None:
    for answer in answers_given:

        @provokes(SECTION, event)
        def _(openai_server: OpenAiServer, answer: Answer | Accident = answer) -> Provoked:
            return answers(openai_server, answer)


provokes_by(
    "400, 415, 422: it objects to the audio or to what was asked",
    refusal(400, "Invalid file format. Supported formats: ['flac']"),
    refusal(415, "Unsupported media type."),
    as_json({"detail": "Not a language."}, status=422),
)
provokes_by("401: the key is refused", wrong_key())
provokes_by(
    "402, or 429 with `insufficient_quota` or `billing_not_active`: no credit is left",
    refusal(402, "Payment required."),
    refusal(429, "You exceeded your current quota.", code="insufficient_quota"),
    refusal(429, "You exceeded your current quota.", type="insufficient_quota"),
    refusal(429, "Your account is not active.", code="billing_not_active"),
)
provokes_by("403: the key may not do that", refusal(403, "Project may not use it"))
provokes_by("408: it took too long, it says itself", refusal(408, "Request timeout."))
provokes_by("409: it asks for another try", refusal(409, "Conflict."))
provokes_by(
    "413: a passage of five minutes is too large for it",
    refusal(413, "Maximum content size limit (26214400) exceeded (30000000 bytes read)"),
    html(413),
)
provokes_by("429: too many requests", refusal(429, "Slow down.", code="rate_limit_exceeded", retry_after="20"))
provokes_by(
    "500 and above: it is broken or overloaded",
    refusal(500, "The server had an error.", type="server_error"),
    html(502),
    refusal(503, "Overloaded."),
    html(599),
)
provokes_by("Any other status that is no success", html(304), html(405), html(407), html(451))
provokes_by(
    "A success that holds no transcription",
    html(200, "<html>Log in to the network</html>"),
    as_json({"text": None}),
    Answer(200, b'{"text": "Ord', {"content-type": "application/json"}),
)
provokes_by(
    "No connection, or one that is dropped or breaks off",
    drop_the_connection,
    break_off_in_the_middle,
)


@provokes(SECTION, "No connection, or one that is dropped or breaks off")
def nobody_is_there() -> Provoked:
    with OpenAiServer() as gone:
        engine = gone.engine()
    return engine_fails(engine)


@provokes(SECTION, "404: the model of the settings does not exist there")
def no_such_model_of_ours(openai_server: OpenAiServer) -> Provoked:
    return engine_fails(openai_server.engine(model="parrot-1"))


@provokes(SECTION, "404: the model that the request names does not exist there")
def no_such_model_of_the_request(openai_server: OpenAiServer) -> Provoked:
    return engine_fails(openai_server.engine(), Parameters(model="parrot-1"))


@provokes(SECTION, "No answer within `HANSARD_OPENAI_TIMEOUT_SECONDS`")
def no_answer(openai_server: OpenAiServer) -> Provoked:
    openai_server.answer_with(*[never_answer] * 9)
    return engine_fails(openai_server.engine(timeout_seconds=0.1))


@provokes(SECTION, "The call cannot even be begun: no files left to open, no certificates, a proxy that is none")
def no_proxy(openai_server: OpenAiServer, monkeypatch: pytest.MonkeyPatch) -> Provoked:
    monkeypatch.setenv("ALL_PROXY", "carrier-pigeon://roof")
    return engine_fails(openai_server.engine())


for changed in (
    {"api_key": None},
    {"api_key": "sk-ключ"},
    {"offline": True},
    {"base_url": "localhost:9"},
    {"base_url": "ftp://localhost/v1"},
    {"base_url": "http://[oops/v1"},
    {"base_url": "http://localhost:port/v1"},
):

    @provokes(
        SECTION,
        "No key is set, or one that cannot be one; `HANSARD_OFFLINE`; `OPENAI_BASE_URL` is no web address",
    )
    def _(openai_server: OpenAiServer, changed: dict[str, object] = changed) -> Provoked:
        provoked = engine_fails(openai_server.engine(**changed))
        assert openai_server.received == []
        return provoked


@provokes(SECTION, "`HANSARD_OPENAI_MODEL` is none of OpenAI's models")
def none_of_openais(openai_server: OpenAiServer) -> Provoked:
    return engine_fails(openai_server.engine(base_url=None, model="parrot-1"))


@provokes(SECTION, "The request names a model that OpenAI does not have")
def asked_for_none_of_openais(openai_server: OpenAiServer) -> Provoked:
    return engine_fails(openai_server.engine(base_url=None), Parameters(model="parrot-1"))


@provokes(SECTION, "A prompt or hotwords for a model that takes none")
def prompted(openai_server: OpenAiServer) -> Provoked:
    return engine_fails(openai_server.engine(model=DIARIZING), Parameters(prompt="A debate."))


@provokes(SECTION, "A translation by a model of OpenAI's that does not translate")
def asked_to_translate(openai_server: OpenAiServer) -> Provoked:
    asked = Parameters(model="gpt-4o-transcribe", task=Task.TRANSLATE)
    return engine_fails(openai_server.engine(base_url=None), asked)


@provokes(SECTION, "A language that OpenAI's models do not know")
def asked_in_volapuek(openai_server: OpenAiServer) -> Provoked:
    return engine_fails(openai_server.engine(base_url=None), Parameters(language="vo"))
