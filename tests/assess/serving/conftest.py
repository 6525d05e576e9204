"""The page, served for the tests of this folder."""

import http.client
import json
import socket
import threading
import time
from contextlib import contextmanager

import pytest
import uvicorn

from rpstn.assess.serving.app import build_app
from rpstn.assess.serving.door import Door
from rpstn.assess.serving.jobs import Jobs, Limits


class Page:
    """A page that is served, and what asks it."""

    def __init__(self, folder, **limits):
        self.jobs = Jobs(folder, Limits(**limits))
        listener = socket.create_server(('127.0.0.1', 0))
        self.port = listener.getsockname()[1]
        self.door = Door(self.port, 'secret')
        self.app = build_app(self.jobs, self.door, lambda: self.server.should_exit)
        self.server = uvicorn.Server(uvicorn.Config(self.app, log_level='critical'))
        self.thread = threading.Thread(target=self.server.run, args=([listener],))
        self.thread.start()

    def ask(self, method, path, body=None, **headers):
        """Status, headers and body; with the cookie, unless another is given."""
        connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=120)
        headers = {'Cookie': f'{self.door.cookie}=secret'} | {
            name.replace('_', '-'): value for name, value in headers.items()
        }
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        found = answer.status, dict(answer.getheaders()), answer.read()
        connection.close()
        return found

    def send(self, body, query='name=squat.mp4', **headers):
        """The job, or status and detail."""
        status, _, said = self.ask('POST', f'/jobs?{query}', body, **headers)
        return json.loads(said) if status == 201 else (status, json.loads(said)['detail'])

    @contextmanager
    def listening(self):
        """What is streamed, line after line, until it is left."""
        with socket.create_connection(('127.0.0.1', self.port), timeout=30) as connection:
            head = f'GET /events HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n'
            cookie = f'Cookie: {self.door.cookie}=secret\r\n\r\n'
            connection.sendall((head + cookie).encode())
            with connection.makefile() as lines:
                yield (line.strip() for line in lines)

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
