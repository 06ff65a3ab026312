"""Clients that don't give up: what gets no answer, or is to come later, they send again until it is answered."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from threading import Event
from typing import Any
from uuid import uuid4

import httpx

from tests.chaos.book import Book, Promise
from tests.chaos.orders import REFUSED, Order, Recording, an_order

MOST_OPEN = 3
"""What one client waits for at the same time, so that the load ends soon after its clients."""

PATIENCE_SECONDS = 90.0
PAUSE_SECONDS = 0.5

ENDED = {"completed", "failed", "cancelled"}


@dataclass
class Client:
    """One person's requests, one after the other, until `over`."""

    base_url: str
    random: Random
    book: Book
    over: Event
    _open: list[Promise] = field(default_factory=list)
    _ended: list[Promise] = field(default_factory=list)

    def live(self) -> None:
        """Every act in turn, in any order, again and again."""
        with httpx.Client(base_url=self.base_url, timeout=httpx.Timeout(20.0)) as self._http:
            while not self.over.is_set():
                for act in self.random.sample(ACTS, len(ACTS)):
                    act(self)
                    self._wait_for_room()
                    if self.over.is_set():
                        break

    # ── What a client does ───────────────────────────────────────────────────────────────────────────────

    def _submit(self) -> None:
        order = an_order(self.random)
        headers = {"Idempotency-Key": str(uuid4())} if self.random.random() < 0.8 else {}
        made = self._post_file("/transcriptions", order.recording, order.fields, headers)
        if made is None:
            return
        self._note(made, order)
        if headers and self.random.random() < 0.3:
            again = self._post_file("/transcriptions", order.recording, order.fields, headers)
            self.book.done["replayed"] += 1
            if again is not None and again["id"] != made["id"]:
                self.book.lies.append(f"{made['id']}: sent again with its Idempotency-Key, it became {again['id']}")

    def _submit_in_two_steps(self) -> None:
        order = an_order(self.random)
        audio = self._post_file("/audio", order.recording, {}, {"Idempotency-Key": str(uuid4())})
        if audio is None:
            return
        wish = {**order.fields, **({"fallback": True} if "fallback" in order.fields else {})}
        if order.name == "mock":
            wish["fallback"] = False
        made = self._ask(
            "POST", f"/audio/{audio['id']}/transcriptions", json=wish, headers={"Idempotency-Key": str(uuid4())}
        )
        if made is not None and made.status_code == 202:
            self._note(made.json(), order)

    def _send_what_is_refused(self) -> None:
        recording = self.random.choice(REFUSED)
        answer = self._send_file("/transcriptions", recording, {}, {})
        self.book.done["refused"] += 1
        if answer is not None and answer.status_code != 422:
            self.book.lies.append(f"{recording.name} was answered with {answer.status_code}")

    def _cancel(self) -> None:
        if promise := self._any(self._open):
            promise.cancel_asked = True
            answer = self._ask("POST", f"/transcriptions/{promise.id}/cancel")
            if answer is not None and answer.status_code == 200:
                promise.cancelled = True
                self.book.done["cancelled"] += 1

    def _retry(self) -> None:
        """Sometimes for something else: then all begins anew."""
        if not (promise := self._any(self._ended)):
            return
        order = promise.order
        anew = self.random.random() < 0.3 and order.completes
        if anew:
            fields = {"engine": "mock"}
            promise.order = Order("mock", order.recording, fields, failures=order.failures | {"circuit_open"})
        promise.cancelled = False
        answer = self._ask("POST", f"/transcriptions/{promise.id}/retry", **({"json": fields} if anew else {}))
        if answer is not None and answer.status_code == 202:
            self.book.done["asked for again"] += 1
            self._ended.remove(promise)
            self._open.append(promise)

    def _delete_transcription(self) -> None:
        if promise := self._any(self._open + self._ended):
            promise.cancel_asked = True
            self._delete(promise, f"/transcriptions/{promise.id}")

    def _delete_audio(self) -> None:
        if promise := self._any(self._open + self._ended):
            promise.cancel_asked = True
            promise.audio_deleted = self._delete(promise, f"/audio/{promise.audio_id}")

    def _delete(self, promise: Promise, path: str) -> bool:
        """404: the one before it, which got no answer, did it."""
        answer = self._ask("DELETE", path)
        if answer is None or answer.status_code not in {204, 404}:
            return False
        self.book.done["deleted"] += 1
        promise.deleted = True
        (self._open if promise in self._open else self._ended).remove(promise)
        return True

    # ── How it does it ───────────────────────────────────────────────────────────────────────────────────

    def _note(self, made: dict[str, Any], order: Order) -> None:
        promise = Promise(made["id"], made["audio_id"], order)
        self.book.promises.append(promise)
        self._open.append(promise)
        self.book.done["submitted"] += 1

    def _any(self, promises: list[Promise]) -> Promise | None:
        return self.random.choice(promises) if promises else None

    def _wait_for_room(self) -> None:
        while not self.over.is_set():
            for promise in list(self._open):
                answer = self._ask("GET", f"/transcriptions/{promise.id}")
                if answer is None:
                    return
                if answer.status_code != 200:
                    self.book.lies.append(f"{promise.id}: acknowledged, and then answered with {answer.status_code}")
                    self._open.remove(promise)
                elif answer.json()["status"] in ENDED:
                    self._open.remove(promise)
                    self._ended.append(promise)
            if len(self._open) < MOST_OPEN:
                return
            self.over.wait(PAUSE_SECONDS)

    def _post_file(
        self, path: str, recording: Recording, fields: Any, headers: dict[str, str]
    ) -> dict[str, Any] | None:
        answer = self._send_file(path, recording, fields, headers)
        if answer is None:
            return None
        if not answer.is_success:
            self.book.lies.append(
                f"{recording.name}, a good file, was answered with {answer.status_code}: {answer.text}"
            )
            return None
        return answer.json()

    def _send_file(
        self, path: str, recording: Recording, fields: Any, headers: dict[str, str]
    ) -> httpx.Response | None:
        files = {"file": (recording.name, recording.data)}
        return self._ask("POST", path, files=files, data=fields, headers=headers)

    def _ask(self, method: str, path: str, **request: Any) -> httpx.Response | None:
        """The answer, unless there is none to be had for very long."""
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < give_up_at:
            try:
                answer = self._http.request(method, path, **request)
            except httpx.TransportError:
                self.book.answers["none"] += 1
            else:
                self.book.answers[str(answer.status_code)] += 1
                if answer.status_code == 500:
                    self.book.lies.append(f"{method} {path} was answered with 500: {answer.text}")
                if answer.status_code < 500 and answer.status_code != 429:
                    return answer
            time.sleep(PAUSE_SECONDS)
        self.book.lies.append(f"{method} {path} got no answer for {PATIENCE_SECONDS:.0f} s")
        return None


ACTS: list[Callable[[Client], None]] = [
    *[Client._submit] * 5,
    Client._submit_in_two_steps,
    Client._send_what_is_refused,
    *[Client._cancel] * 2,
    Client._retry,
    Client._delete_transcription,
    Client._delete_audio,
]
