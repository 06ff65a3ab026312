"""`hansard transcribe` on fakes: both ways to have it done, each with somebody who does it."""

import subprocess

import httpx

from hansard.cli.local_transcriptions import LocalTranscriptions
from hansard.cli.transcriptions import RemoteTranscriptions
from tests.unit.http.api import client_of


def finish_jobs(container):
    for job in container.database.jobs:
        container.transcribe(job)


class FakeWorker:
    """Does all that is queued whenever somebody asks whether it is alive."""

    def __init__(self, container):
        self.container = container
        self.exit_code = None
        self.stubborn = False

    def poll(self):
        if self.exit_code is None:
            finish_jobs(self.container)
        return self.exit_code

    def terminate(self):
        self.exit_code = None if self.stubborn else -15

    def kill(self):
        self.exit_code = -9

    def wait(self, timeout=None):
        if self.exit_code is None:
            raise subprocess.TimeoutExpired("worker", timeout)
        return self.exit_code


def local(container, *, workers_alive=lambda: False):
    return LocalTranscriptions(container, workers_alive, lambda: FakeWorker(container))


def remote(container, *, work=finish_jobs):
    """Over the real API without a socket between; its workers are done between two requests."""
    api = client_of(container)

    def answer(request):
        if request.method == "GET":
            work(container)
        response = api.request(request.method, str(request.url), content=request.read(), headers=request.headers)
        return httpx.Response(response.status_code, headers=response.headers, content=response.content)

    return RemoteTranscriptions(httpx.Client(transport=httpx.MockTransport(answer), base_url="http://hansard"))
