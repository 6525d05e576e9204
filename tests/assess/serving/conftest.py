"""The page, served for the tests of this folder."""

import http.client
import json
import socket
import threading
import time

import pytest
import uvicorn

from rpstn.assess.serving.app import build_app
from rpstn.assess.serving.jobs import Jobs, Limits


class Page:
    """A page that is served, and what asks it."""

    def __init__(self, folder, **limits):
        self.jobs = Jobs(folder, Limits(**limits))
        listener = socket.create_server(('127.0.0.1', 0))
        self.port = listener.getsockname()[1]
        self.server = uvicorn.Server(
            uvicorn.Config(build_app(self.jobs, self.port), log_level='critical')
        )
        self.thread = threading.Thread(target=self.server.run, args=([listener],))
        self.thread.start()

    def ask(self, method, path, body=None, **headers):
        """Status, headers and body."""
        connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=120)
        headers = {name.replace('_', '-'): value for name, value in headers.items()}
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        found = answer.status, dict(answer.getheaders()), answer.read()
        connection.close()
        return found

    def send(self, body, query='name=squat.mp4', **headers):
        """The job, or status and detail."""
        status, _, said = self.ask('POST', f'/jobs?{query}', body, **headers)
        return json.loads(said) if status == 201 else (status, json.loads(said)['detail'])

    def told(self, job):
        """All that is said of a job until it ends."""
        told = []
        while not told or told[-1]['state'] not in ('done', 'failed'):
            told.append(json.loads(self.ask('GET', f'/jobs/{job["id"]}')[2]))
            time.sleep(0.1)
        return told

    def close(self):
        self.server.should_exit = True
        self.thread.join(timeout=30)


@pytest.fixture(scope='module')
def page(tmp_path_factory):
    served = Page(tmp_path_factory.mktemp('served') / 'jobs', bytes=3_000_000)
    yield served
    served.close()
    assert not served.jobs.folder.exists()
