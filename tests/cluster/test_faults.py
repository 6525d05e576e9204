"""What goes wrong for real: killed workers, machines and commands, poison, storage that fails."""

import http.client
import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rpstn.assess.run import AssessOptions
from rpstn.cluster.assess_job import AssessJob
from rpstn.cluster.pool import import_ray
from rpstn.cluster.run import Archive, run_archive
from rpstn.cluster.storage import Folder

from video_files import encode

ROOT = Path(__file__).parents[2]
VIDEOS, FRAMES = 10, 40
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures('nothing_left')]


@pytest.fixture
def flaky_s3(s3, monkeypatch) -> Iterator[str]:
    """The S3 server behind one that answers every third request with an error."""
    host = os.environ['AWS_ENDPOINT_URL'].removeprefix('http://')
    count = Counter()

    class Proxy(http.server.BaseHTTPRequestHandler):
        protocol_version = 'HTTP/1.1'

        def _pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get('Content-Length') or 0))
            count['all'] += 1
            if count['all'] % 3 == 0:
                self.send_response(503)
                self.send_header('Content-Length', '0')
                self.end_headers()
                return
            server = http.client.HTTPConnection(host)
            server.request(self.command, self.path, body, dict(self.headers.items()))
            answer = server.getresponse()
            data = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ('transfer-encoding', 'connection', 'content-length'):
                    self.send_header(name, value)
            length = answer.getheader('Content-Length') if self.command == 'HEAD' else len(data)
            self.send_header('Content-Length', str(length))
            self.end_headers()
            self.wfile.write(data)
            server.close()

        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _pass_on  # noqa: N815

        def log_message(self, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Proxy)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv('AWS_ENDPOINT_URL', f'http://127.0.0.1:{server.server_port}')
    # fsspec keeps file systems, and these their addresses.
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    yield s3
    s3fs.S3FileSystem.clear_instance_cache()
    server.shutdown()
    thread.join()
    server.server_close()
    assert count['all'] > 30


def table(folder: Folder, name: str) -> list[dict]:
    return pq.read_table(pa.BufferReader(folder.read(name))).to_pylist()


def notes(log: Path) -> list[list[str]]:
    return [line.split() for line in log.read_text().splitlines()] if log.exists() else []


def when(ready: Callable[[], object], act: Callable[[], object]) -> threading.Thread:
    """Do something once it is time for it, while the test goes on."""

    def watch() -> None:
        until = time.monotonic() + 300
        while not ready():
            if time.monotonic() > until:
                return
            time.sleep(0.02)
        act()

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def processes(log: Path) -> set[int]:
    return {int(pid) for word, pid, _ in notes(log) if word == 'begin'}


def test_s3_that_fails_a_killed_worker_and_poison(flaky_s3, slow_job, tmp_path):
    log = tmp_path / 'log'
    inputs, out = Folder(f'{flaky_s3}/in'), Folder(f'{flaky_s3}/out')
    names = [f'video{number}' for number in range(12)]
    for name in (*names, 'poison', 'bad'):
        inputs.write(f'day/{name}.mp4', name.encode())
    out.write('day/video3.txt', b'of somebody else')
    killed: list[int] = []

    def kill() -> None:
        killed.append(notes(log)[-1][1])
        os.kill(int(killed[0]), signal.SIGKILL)

    thread = when(lambda: len(notes(log)) > 6, kill)
    archive = Archive([f'{flaky_s3}/in/'], f'{flaky_s3}/out', workers=2)
    summary = run_archive(slow_job(log), archive)
    thread.join()

    assert killed
    assert (summary.done, summary.failed, summary.workers) == (11, 3, 2), summary
    rows = {row['name']: row for row in table(out, 'manifest.parquet')}
    done = {name for name in names if name != 'video3'}
    assert set(rows) == {f'day/{name}' for name in (*done, 'poison', 'bad')}
    for name in done:
        row = rows[f'day/{name}']
        assert (row['state'], row['frames']) == ('done', len(name))
        assert out.read(f'day/{name}.txt') == name.encode()
        assert sum(word == 'end' for word, _, one in notes(log) if one == name) <= row['tries'] <= 2
    assert sum(row['tries'] for row in rows.values()) <= 11 + 1 + 3 + 1
    poison = rows['day/poison']
    assert (poison['state'], poison['tries']) == ('failed', 3)
    assert poison['error'].startswith(f'{flaky_s3}/in/day/poison.mp4: 3 workers died at it')
    assert rows['day/bad']['error'] == f'{flaky_s3}/in/day/bad.mp4: cannot be read'
    assert out.read('day/video3.txt') == b'of somebody else'
    for name in ('repetitions', 'angles'):
        assert sorted(row['video'] for row in table(out, f'{name}.parquet')) == sorted(
            f'{flaky_s3}/in/day/{name}.mp4' for name in done
        )
    assert out.files() == {
        *('manifest.parquet', 'repetitions.parquet', 'angles.parquet'),
        *(f'day/{name}.txt' for name in names),
    }

    # Again: what failed is tried once more, and nothing else; a new one is done.
    before = len(notes(log))
    inputs.write('day/new.mp4', b'new')
    inputs.write('day/video0.mp4', b'another')
    out.remove('day/video1.txt')
    summary = run_archive(slow_job(log), archive)
    begun = Counter(name for word, _, name in notes(log)[before:] if word == 'begin')
    assert begun == dict(new=1, bad=1, poison=3, video1=1)
    assert (summary.already, summary.done, summary.failed) == (9, 2, 4)
    assert any('video0.mp4: is another video' in line for line in summary.errors)
    assert out.read('day/video0.txt') == b'video0'


def test_a_machine_that_is_killed(slow_job, tmp_path):
    """Two nodes of a cluster on this machine, the second of which dies."""
    import_ray()
    from ray.cluster_utils import Cluster

    log, killed = tmp_path / 'log', []
    for number in range(12):
        (tmp_path / f'video{number}.mp4').write_bytes(b'12345')
    limits = dict(health_check_initial_delay_ms=1000, health_check_period_ms=1000)
    limits.update(health_check_timeout_ms=2000, health_check_failure_threshold=3)
    node = dict(num_cpus=1, object_store_memory=80 << 20, include_dashboard=False)
    Path('/tmp/ray').mkdir(exist_ok=True)  # where Ray notes the last cluster
    cluster = Cluster()
    try:
        cluster.add_node(**node, _system_config=limits, temp_dir='/tmp/rpstn-nodes')
        second = cluster.add_node(**node)
        thread = when(
            lambda: len(processes(log)) == 2 and len(notes(log)) > 5,
            lambda: (
                killed.append(len(notes(log))),
                cluster.remove_node(second, allow_graceful=False),
            ),
        )
        archive = Archive([str(tmp_path)], str(tmp_path / 'out'), 2, cluster.address)
        summary = run_archive(slow_job(log, 0.5), archive)
        thread.join()
    finally:
        cluster.shutdown()
    assert killed[0] < 24, 'before all were done'
    assert (summary.done, summary.failed, summary.workers) == (12, 0, 2)
    assert len(list((tmp_path / 'out').glob('*.txt'))) == 12
    begun = Counter(name for word, _, name in notes(log) if word == 'begin')
    assert sum(begun.values()) <= 13


def start(*words: object) -> subprocess.Popen:
    """The command line, in a process group of its own, as a terminal has it."""
    return subprocess.Popen(
        [sys.executable, '-m', 'rpstn', *map(str, words)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.parametrize('stop', [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_command_that_is_stopped_and_gone_on_with(stop, model, tmp_path):
    rng = np.random.default_rng(0)
    for number in range(VIDEOS):
        path = tmp_path / f'video{number}.mp4'
        encode(path, [rng.integers(0, 255, (48, 64, 3), np.uint8) for _ in range(FRAMES)])
    out = tmp_path / 'out'
    words = ['infer', *model, tmp_path, '--out', out, '--save', 'csv', '--workers', 2]
    process = start(*words, '--device', 'cpu')
    thread = when(
        # And a row of one is in the storage, as it is within a second.
        lambda: len(list(out.glob('*.csv'))) >= 2 and any(out.glob('manifest.parts/0*')),
        lambda: os.killpg(process.pid, stop),
    )
    _, complaint = process.communicate(timeout=900)
    thread.join()
    assert process.returncode == (-9 if stop == signal.SIGKILL else 128 + stop), complaint
    if stop != signal.SIGKILL:
        assert f'of {VIDEOS} videos; the same command goes on with the others' in complaint
        assert not (out / 'manifest.parts').exists()
    before = {path: path.stat().st_mtime_ns for path in out.glob('*.csv')}
    assert 2 <= len(before) < VIDEOS

    process = start(*words, '--device', 'cpu', '--json')
    said, complaint = process.communicate(timeout=900)
    assert process.returncode == 0, complaint
    summary = json.loads(said.splitlines()[-1])['summary']
    assert summary['already'] + summary['done'] == VIDEOS and summary['failed'] == 0
    assert summary['already'] >= 1
    after = {path: path.stat().st_mtime_ns for path in out.glob('*.csv')}
    kept = [path for path, changed in before.items() if after[path] == changed]
    assert len(kept) == summary['already'], 'done once'
    for path in after:
        assert len(path.read_text().splitlines()) == 1 + FRAMES * 13
    found = duckdb.sql(f"select name, state from '{out}/manifest.parquet' order by 1").fetchall()
    assert found == [(f'video{number}', 'done') for number in range(VIDEOS)]
    assert sorted(path.name for path in out.iterdir()) == [
        'manifest.parquet',
        *(f'video{number}.csv' for number in range(VIDEOS)),
    ]


def test_assess_has_a_table_of_repetitions_and_of_angles(tmp_path):
    """A real squat, nobody, and a file of joints that is none."""
    (tmp_path / 'in').mkdir()
    (tmp_path / 'in/squat.mp4').write_bytes((ROOT / 'demo/squat.mp4').read_bytes())
    encode(tmp_path / 'in/nobody.mp4', [np.full((96, 128, 3), 90, np.uint8)] * 5)
    (tmp_path / 'joints.trc').write_text('nothing')
    out = tmp_path / 'out'
    job = AssessJob(AssessOptions((), video=False, device='cpu'))
    inputs = [f'{tmp_path}/in', f'{tmp_path}/joints.trc']
    summary = run_archive(job, Archive(inputs, str(out), workers=2))
    assert (summary.done, summary.nothing, summary.failed) == (1, 1, 1), summary
    assert summary.errors[0].startswith(f'{tmp_path}/joints.trc: ')
    report = json.loads((out / 'squat/report.json').read_text())
    assert (out / 'squat/report.html').exists() and (out / 'nobody/report.html').exists()
    found = duckdb.sql(
        f"select repetition, bottom_frame from '{out}/repetitions.parquet'"
    ).fetchall()
    assert found == [(one['number'], one['bottom']['frame']) for one in report['repetitions']]
    measures = [one for repetition in report['repetitions'] for one in repetition['measures']]
    found = duckdb.sql(f"select angle, value from '{out}/angles.parquet'").fetchall()
    assert found == [(one['angle'], one['value']) for one in measures] and found
    ((said,),) = duckdb.sql(
        f"select summary from '{out}/manifest.parquet' where state = 'nothing'"
    ).fetchall()
    assert said.startswith('nothing to assess: ')
