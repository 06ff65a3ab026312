"""OpenAI's transcription and translation endpoints on the loopback interface, as far as an engine can tell.

It checks what the API checks, in the API's words, and answers in the API's three shapes. `answer_with` puts another
answer, or an accident, in front of the next request; `Moods` are a whole bad day. Source of the shapes and messages:
the API reference and what clients report of the live service (November 2026).
"""

import io
import json
import select
import sys
import weakref
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Any, Self

import av
import numpy as np
from python_multipart import parse_form

from hansard.domain.audio import BYTES_PER_SECOND
from hansard.engines.openai import OpenAiEngine

API_KEY = "sk-test-3f9a71c2"
FORMATS = ["flac", "m4a", "mp3", "mp4", "mpeg", "mpga", "oga", "ogg", "wav", "webm"]
MOST_BYTES = 26_214_400
TRANSCRIPTIONS, TRANSLATIONS = "/v1/audio/transcriptions", "/v1/audio/translations"
SAID = ("Order, order!", "The House will rise.")
LOGPROB = -0.25

RESPONSE_FORMATS = {
    "whisper-1": {"json", "text", "srt", "verbose_json", "vtt"},
    "gpt-transcribe": {"json", "text"},
    "gpt-4o-transcribe": {"json", "text"},
    "gpt-4o-mini-transcribe": {"json", "text"},
    "gpt-4o-mini-transcribe-2025-12-15": {"json", "text"},
    "gpt-4o-transcribe-diarize": {"json", "text", "diarized_json"},
}


@dataclass(frozen=True)
class Received:
    """A request, as the server read it. `fields` has a list for each name, in order."""

    path: str
    fields: dict[str, list[str]]
    file_name: str
    file: bytes
    headers: dict[str, str]
    """By lower-case names."""

    @property
    def pcm(self) -> bytes:
        """The uploaded audio, decoded. Raises `av.error.FFmpegError` when it is no audio."""
        with av.open(io.BytesIO(self.file)) as container:
            resampler = av.AudioResampler(format="s16", layout="mono", rate=16_000)
            frames = [frame for decoded in container.decode(audio=0) for frame in resampler.resample(decoded)]
            frames += resampler.resample(None)
        return b"".join(np.ascontiguousarray(frame.to_ndarray()).tobytes() for frame in frames)

    def field(self, name: str) -> str | None:
        return self.fields.get(name, [None])[0]


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


Accident = Callable[[BaseHTTPRequestHandler, Event], None]


def as_json(body: Any, *, status: int = 200, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, json.dumps(body).encode(), {"content-type": "application/json", **named})


def refusal(status: int, message: str, *, code: str | None = None, type: str | None = None, **headers: str) -> Answer:
    error = {"message": message, "type": type or "invalid_request_error", "param": None, "code": code}
    return as_json({"error": error}, status=status, **headers)


def html(status: int, page: str = "<html><body>Bad Gateway</body></html>") -> Answer:
    """What a proxy says in place of the API."""
    return Answer(status, page.encode(), {"content-type": "text/html"})


@dataclass(frozen=True)
class Silence:
    """An accident: says `begun`, and then nothing more. `asked` is set when the request is there, `left` when the
    client has closed the connection; set `over` to close it from here.
    """

    begun: bytes = b""
    asked: Event = field(default_factory=Event)
    left: Event = field(default_factory=Event)
    over: Event = field(default_factory=Event)

    def __call__(self, handler: BaseHTTPRequestHandler, closing: Event) -> None:
        handler.close_connection = True
        handler.wfile.write(self.begun)
        self.asked.set()
        while not (closing.is_set() or self.left.is_set() or self.over.is_set()):
            # A client that has asked has nothing more to say: all that can come is the end.
            if select.select([handler.connection], [], [], 0.01)[0]:
                self.left.set()


def half_an_answer() -> Silence:
    """With its request id, `req_half`, and the first words."""
    return Silence(
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: req_half\r\n"
        b'content-length: 1000\r\n\r\n{"text": "Order'
    )


def never_answer(handler: BaseHTTPRequestHandler, closing: Event) -> None:
    Silence()(handler, closing)


def drop_the_connection(handler: BaseHTTPRequestHandler, closing: Event) -> None:
    handler.close_connection = True


def break_off_in_the_middle(handler: BaseHTTPRequestHandler, closing: Event) -> None:
    handler.wfile.write(half_an_answer().begun)
    handler.close_connection = True


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client may be killed in the middle of a request; the rest is told on standard error."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class OpenAiServer:
    """Use it as a context manager; `received` are the requests so far. `mood` is asked for each: None is a good one."""

    def __init__(self, *, mood: Callable[[], Answer | Accident | None] = lambda: None) -> None:
        self.received: list[Received] = []
        self._mood = mood
        self._next: deque[Answer | Accident] = deque()
        self._closing = Event()
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def engine(self, **changed: Any) -> OpenAiEngine:
        usual = {"api_key": API_KEY, "base_url": self.base_url, "model": "whisper-1", "timeout_seconds": 30}
        return OpenAiEngine(**{**usual, "offline": False, **changed})

    @classmethod
    def lasting_engine(cls) -> OpenAiEngine:
        """An engine with a server of its own, which lasts as long as the engine does."""
        server = cls()
        server.start()
        engine = server.engine()
        weakref.finalize(engine, server.stop)
        return engine

    def answer_with(self, *answers: Answer | Accident) -> None:
        self._next.extend(answers)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                received = _read(self)
                server.received.append(received)
                answer = server._next.popleft() if server._next else server._mood() or self._answer(received)
                if isinstance(answer, Answer):
                    self._send(answer)
                else:
                    answer(self, server._closing)

            def _answer(self, received: Received) -> Answer:
                return transcribe(received)

            def _send(self, answer: Answer) -> None:
                self.send_response_only(answer.status)
                headers = {"date": formatdate(usegmt=True), "x-request-id": f"req_{len(server.received)}"}
                for name, value in {**headers, **answer.headers}.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(answer.body)))
                # One request a connection: none is left open when a test ends.
                self.send_header("connection", "close")
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler


def _read(handler: BaseHTTPRequestHandler) -> Received:
    fields: dict[str, list[str]] = {}
    files: list[tuple[str, bytes]] = []

    def on_file(part: Any) -> None:
        part.file_object.seek(0)
        files.append((part.file_name.decode(), part.file_object.read()))
        part.close()

    def on_field(part: Any) -> None:
        fields.setdefault(part.field_name.decode(), []).append((part.value or b"").decode())

    headers = {name: handler.headers[name].encode() for name in ("Content-Type", "Content-Length")}
    body = handler.rfile.read(int(handler.headers["Content-Length"]))
    if len(body) < int(handler.headers["Content-Length"]):
        raise ConnectionAbortedError("the client left before it had sent everything")
    parse_form(headers, io.BytesIO(body), on_field, on_file)
    ((file_name, file),) = files
    headers = {name.lower(): value for name, value in handler.headers.items()}
    return Received(handler.path, fields, file_name, file, headers)


# ── What the API says ────────────────────────────────────────────────────────────────────────────────────


def transcribe(received: Received) -> Answer:
    """The answer to a good request, or the API's objection."""
    try:
        seconds = len(received.pcm) / BYTES_PER_SECOND
    except av.error.FFmpegError:
        seconds = None
    return next(_objections(received, seconds), None) or as_json(_transcription(received, seconds or 0.0))


def _objections(received: Received, seconds: float | None) -> Iterator[Answer]:
    """The first is what the API says."""
    model = received.field("model") or ""
    shape = received.field("response_format") or "json"
    yield from _objections_to_the_call(received, model)
    if shape not in RESPONSE_FORMATS.get(model, ()):
        wrong = f"response_format '{shape}' is not compatible with model '{model}'. Use 'json' or 'text' instead."
        yield refusal(400, wrong, code="unsupported_value")
    if len(received.file) > MOST_BYTES:
        yield refusal(413, f"Maximum content size limit ({MOST_BYTES}) exceeded ({len(received.file)} bytes read)")
    if seconds is None or received.file_name.rsplit(".")[-1] not in FORMATS:
        yield refusal(400, f"Invalid file format. Supported formats: {FORMATS}")
    elif seconds < 0.1:
        short = "Audio file is too short. Minimum audio length is 0.1 seconds."
        yield refusal(400, short, code="audio_too_short")
    elif seconds > 1400 and model != "whisper-1":
        long = f"audio duration {seconds} seconds is longer than 1400 seconds which is the maximum for this model"
        yield refusal(400, long, code="invalid_value")
    elif seconds > 30 and model.endswith("diarize") and not received.field("chunking_strategy"):
        yield refusal(400, "chunking_strategy is required for diarization models", code="invalid_value")
    if model.endswith("diarize") and received.field("prompt"):
        yield refusal(400, "Prompt is not supported for diarization models.", code="unsupported_value")


def _objections_to_the_call(received: Received, model: str) -> Iterator[Answer]:
    if received.path not in {TRANSCRIPTIONS, TRANSLATIONS}:
        yield refusal(404, f"Invalid URL (POST {received.path})")
    if received.headers.get("authorization") != f"Bearer {API_KEY}":
        yield wrong_key()
    if model not in RESPONSE_FORMATS:
        gone = f"The model `{model}` does not exist or you do not have access to it."
        yield refusal(404, gone, code="model_not_found")
    if received.path == TRANSLATIONS:
        yield from _objections_to_translation(received, model)


def _objections_to_translation(received: Received, model: str) -> Iterator[Answer]:
    if model != "whisper-1":
        yield refusal(400, f"Model {model} is not supported for translation.", code="invalid_value")
    for name in set(received.fields) - {"model", "prompt", "response_format", "temperature"}:
        yield refusal(400, f"Unrecognized request argument supplied: {name}")


def wrong_key() -> Answer:
    told = f"Incorrect API key provided: {API_KEY[:8]}****{API_KEY[-4:]}. You can find your API key at the dashboard."
    return refusal(401, told, code="invalid_api_key")


def _transcription(received: Received, seconds: float) -> dict[str, Any]:
    shapes = {"verbose_json": _verbose, "diarized_json": _diarized}
    shape = shapes.get(received.field("response_format") or "json", _plain)
    return shape(received, seconds)


def _plain(received: Received, seconds: float) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "text": " ".join(SAID),
        "usage": {
            "type": "tokens",
            "input_tokens": 14,
            "input_token_details": {"text_tokens": 4, "audio_tokens": 10},
            "output_tokens": 46,
            "total_tokens": 60,
        },
    }
    if received.field("model") == "gpt-transcribe":
        answer["languages"] = [{"code": code} for code in received.fields.get("languages[]", ["en"])]
    elif "logprobs" in received.fields.get("include[]", []):
        answer["logprobs"] = [{"token": token, "bytes": [], "logprob": LOGPROB} for token in " ".join(SAID).split()]
    return answer


def _verbose(received: Received, seconds: float) -> dict[str, Any]:
    """Each sentence takes half of the recording, each word its share of that."""
    half = seconds / len(SAID)
    answer: dict[str, Any] = {
        "task": "translate" if received.path == TRANSLATIONS else "transcribe",
        "language": "english",
        "duration": seconds,
        "text": " ".join(SAID),
        "segments": [
            {
                "id": number,
                "seek": 0,
                "start": number * half,
                "end": (number + 1) * half,
                "text": f" {sentence}",
                "tokens": [50364, 1234, 50464],
                "temperature": float(received.field("temperature") or 0),
                "avg_logprob": LOGPROB,
                "compression_ratio": 0.9,
                "no_speech_prob": 0.01,
            }
            for number, sentence in enumerate(SAID)
        ],
        "usage": {"type": "duration", "seconds": round(seconds)},
    }
    if "word" in received.fields.get("timestamp_granularities[]", []):
        answer["words"] = [
            {
                "word": word.strip(",.!"),
                "start": (number + at / count) * half,
                "end": (number + (at + 1) / count) * half,
            }
            for number, sentence in enumerate(SAID)
            for count, words in [(len(sentence.split()), sentence.split())]
            for at, word in enumerate(words)
        ]
    return answer


def _diarized(received: Received, seconds: float) -> dict[str, Any]:
    half = seconds / len(SAID)
    return {
        "task": "transcribe",
        "duration": seconds,
        "text": " ".join(SAID),
        "segments": [
            {
                "type": "transcript.text.segment",
                "id": f"seg_{number}",
                "start": number * half,
                "end": (number + 1) * half,
                "text": f" {sentence}",
                "speaker": "AB"[number],
            }
            for number, sentence in enumerate(SAID)
        ],
        "usage": {"type": "duration", "seconds": round(seconds)},
    }


# ── A bad day ────────────────────────────────────────────────────────────────────────────────────────────


MOODS: dict[str, tuple[int, Callable[[], Answer | Accident | None]]] = {
    "fine": (10, lambda: None),
    "rate limited": (3, lambda: refusal(429, "Rate limit reached for requests", code="rate_limit_exceeded")),
    "rate limited, with Retry-After": (2, lambda: refusal(429, "Rate limit reached for requests", Retry_After="1")),
    "broken": (3, lambda: refusal(500, "The server had an error processing your request.", type="server_error")),
    "broken proxy": (2, lambda: html(502)),
    "hanging": (2, Silence),
    "hanging in the middle": (1, half_an_answer),
    "connection dropped": (2, lambda: drop_the_connection),
    "answer cut off": (2, lambda: break_off_in_the_middle),
    "key refused": (1, wrong_key),
}
"""What a provider does on a bad day, each with how often: None is a good answer."""


class Moods:
    """Draws one of `MOODS` for each request, until it is `heal`ed; `shown` counts them."""

    def __init__(self, seed: int) -> None:
        self.shown: Counter[str] = Counter()
        self._random = Random(seed)
        self._lock = Lock()
        self._weights = {name: weight for name, (weight, _) in MOODS.items()}

    def __call__(self) -> Answer | Accident | None:
        with self._lock:
            (mood,) = self._random.choices(list(self._weights), list(self._weights.values()))
            self.shown[mood] += 1
        return MOODS[mood][1]()

    def heal(self) -> None:
        with self._lock:
            self._weights = {"fine": 1}
