"""The page over HTTP, as a browser asks, and as another page or a hostile client would."""

import errno
import json
import multiprocessing
import os
import socket
import threading
import time
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
import uvicorn

from rpstn.assess.serving.jobs import Full, Jobs, Limits, shown
from rpstn.assess.serving.run import serve
from rpstn.assess.serving.worker import Task, TaskFailed, Worker

from .conftest import Page

SQUAT = Path(__file__).parents[3] / 'demo/squat.mp4'


def test_a_video_becomes_a_report_and_is_removed(page):
    job = page.send(
        SQUAT.read_bytes(), 'name=..%2F..%2Fmy%3Cb%3Esquat.mp4&blur_faces=true&height=175'
    )
    assert job['name'] == 'my<b>squat.mp4'
    told = page.told(job)
    assert told[-1]['state'] == 'done' and '1 repetition' in told[-1]['text']
    assert any(one['state'] == 'running' and one['seconds'] > 0 for one in told)
    status, headers, body = page.ask('GET', f'/jobs/{job["id"]}/files/report.html')
    assert status == 200 and b'my&lt;b&gt;squat.mp4' in body and b'<b>squat' not in body
    assert b'scaled to the stated height' in body
    assert "default-src 'none'" in headers['content-security-policy']
    assert 'script-src' not in headers['content-security-policy']
    status, headers, body = page.ask('GET', f'/jobs/{job["id"]}/files/report.json')
    assert status == 200 and str(page.jobs.folder) not in body.decode()
    assert page.ask('GET', f'/jobs/{job["id"]}/files/video.mp4')[0] == 200
    folder = page.jobs.get(job['id']).folder
    assert sorted(path.name for path in folder.iterdir()) == ['report']  # the video is gone
    assert page.ask('DELETE', f'/jobs/{job["id"]}')[0] == 204
    assert page.ask('GET', f'/jobs/{job["id"]}')[0] == 404 and not folder.exists()


@pytest.mark.parametrize(
    'name', ['..%2F..%2Fvideo.bin', '%2Fetc%2Fpasswd', 'video.bin', 'report.html%00', '.', 'C:%5Cx']
)
def test_no_name_leads_to_another_file(page, name):
    job = page.jobs.new('x', {})
    job.report.mkdir()
    (job.report / 'report.html').write_text('x')
    job.state = 'done'
    assert page.ask('GET', f'/jobs/{job.id}/files/report.html')[0] == 200
    assert page.ask('GET', f'/jobs/{job.id}/files/{name}')[0] == 404
    page.jobs.remove(job)


@pytest.mark.parametrize(
    'headers, status',
    [
        (dict(Host='evil.example:80'), 421),  # a name that points to this machine
        (dict(Host='127.0.0.1:1'), 421),
        (dict(Origin='http://evil.example'), 403),
        (dict(Origin='null'), 403),
        (dict(Sec_Fetch_Site='cross-site'), 403),
        (dict(Sec_Fetch_Site='same-site'), 403),  # another port of this machine
        (dict(Sec_Fetch_Site='same-origin'), 200),
        ({}, 200),
    ],
)
def test_other_pages_do_not_reach_it(page, headers, status):
    got, sent, _ = page.ask('GET', '/', **headers)
    assert got == status
    if status == 200:
        assert sent['cross-origin-resource-policy'] == 'same-origin'
        assert "frame-ancestors 'none'" in sent['content-security-policy']
        assert "script-src 'self'" in sent['content-security-policy']
    # Nor may they send a video.
    if status != 200:
        assert page.ask('POST', '/jobs', b'x', **headers)[0] == status


@pytest.mark.parametrize('token', ['', 'secre', 'secret2', 'Secret', 'gehe\xefm'])
def test_who_was_not_told_the_token_is_refused(page, token):
    """As another user of this machine is."""
    cookie = f'{page.door.cookie}={token}'
    for path in ('/', f'/?token={quote(token)}', '/page/serve.js', '/jobs', '/events'):
        status, _, body = page.ask('GET', path, Cookie=cookie)
        assert (status, body) == (403, b'open the whole address that rpstn serve has printed')
    assert page.ask('POST', '/jobs', b'x', Cookie=cookie)[0] == 403
    assert page.ask('DELETE', '/live', Cookie=cookie)[0] == 403


def test_the_address_that_is_printed_lets_in_once_and_for_all(page):
    path = page.door.address.partition(str(page.port))[2]
    status, headers, _ = page.ask('GET', path, Cookie='')
    cookie = headers['set-cookie']
    assert (status, headers['location']) == (303, '/')  # the address shows the token no more
    assert 'HttpOnly' in cookie and 'samesite=strict' in cookie.lower()
    assert page.ask('GET', '/', Cookie=cookie.partition(';')[0])[0] == 200
    assert page.ask('GET', path, Cookie='', Sec_Fetch_Site='cross-site')[0] == 403


def test_all_that_changes_is_told_in_one_stream(page):
    with page.listening() as lines:
        assert next(lines) == 'HTTP/1.1 200 OK'
        head = dict(line.split(': ', 1) for line in iter(lambda: next(lines), ''))
        assert head['content-type'].startswith('text/event-stream')
        events = _events(lines)
        assert [next(events)[0] for _ in range(2)] == ['jobs', 'live']  # what is, at first
        job = page.jobs.new('x', {})
        assert next(events) == ('jobs', 3, page.jobs.to_list())
        page.jobs.remove(job)
        assert next(events) == ('jobs', 4, [])
        assert page.app.state.events.listeners == 1
    assert _soon(lambda: not page.app.state.events.listeners)  # the tab has gone


def _events(lines):
    """Name, number and content of each."""
    fields = {}
    for line in lines:
        name, _, value = line.partition(': ')
        if name == 'data':
            yield fields['event'], int(fields['id']), json.loads(value)
        fields[name] = value


def test_so_many_listen_at_a_time(page, monkeypatch):
    monkeypatch.setattr('rpstn.assess.serving.events.LISTENERS', 1)
    with page.listening() as lines:
        next(lines)
        assert _soon(lambda: page.app.state.events.listeners == 1)
        assert page.ask('GET', '/events')[0] == 429
        assert page.ask('GET', '/jobs')[::2] == (200, b'[]')  # what is asked for in its place
        assert page.ask('GET', '/live')[::2] == (200, b'null')


def test_silence_is_told_of_and_the_end_ends_what_listens(tmp_path, monkeypatch):
    monkeypatch.setattr('rpstn.assess.serving.events.HEARTBEAT', 0.0)
    served = Page(tmp_path / 'jobs')
    with served.listening() as lines:
        assert ': nothing new' in (next(lines) for _ in range(30))
        began = time.monotonic()
        served.close()
        list(lines)
    assert time.monotonic() - began < 5 and not served.thread.is_alive()


def test_the_command_prints_the_way_in(monkeypatch):
    servers, said = [], []

    class Server(uvicorn.Server):
        def __init__(self, config):
            super().__init__(config)
            servers.append(self)

    monkeypatch.setattr('uvicorn.Server', Server)
    thread = threading.Thread(target=serve, args=(0, None, said.append))
    thread.start()
    assert _soon(lambda: said and servers[0].started)
    address = urlsplit(said[0].split()[0])
    assert len(address.query) > len('token=') + 20
    with socket.create_connection((address.hostname, address.port)) as connection:
        head = f'GET /?{address.query} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n'
        connection.sendall(head.encode())
        assert connection.recv(100).startswith(b'HTTP/1.1 303 ')
    servers[0].should_exit = True
    thread.join(timeout=10)
    assert not thread.is_alive()


def test_its_own_origin_is_known(page):
    assert page.ask('GET', '/', Origin=f'http://localhost:{page.port}')[0] == 200
    for part in ('serve.css', 'serve.js'):
        assert page.ask('GET', f'/page/{part}')[0] == 200
    for part in ('report.html.j2', '..%2Fjobs.py', 'report.css'):
        assert page.ask('GET', f'/page/{part}')[0] == 404


def test_what_is_no_video_is_said_so(page):
    told = page.told(page.send(b'#EXTM3U\n#EXTINF:1,\n/etc/passwd\n', 'name=list.m3u8'))[-1]
    assert told['state'] == 'failed' and 'list.m3u8' in told['text']
    assert str(page.jobs.folder) not in told['text']


def test_bounds(page):
    too_large = (413, 'the video must have at most 3 MB')
    assert page.send(b'', Content_Length='3000001') == too_large  # before it is sent

    def stream():  # of no stated length
        for _ in range(40):
            yield b'x' * 100_000

    try:
        assert page.send(stream(), Transfer_Encoding='chunked') == too_large
    except (BrokenPipeError, ConnectionResetError):  # the page has hung up meanwhile
        pass
    assert page.send(b'') == (422, 'no video was sent')
    assert page.send(b'x', 'exercise=plank') == (422, 'there is no exercise called plank')
    for query in ('exercise=..%2Fx', 'height=99', 'height=251', 'height=nan', 'blur_faces=perhaps'):
        assert page.send(b'x', query)[0] == 422
    assert not list(page.jobs.folder.glob('*/video.bin'))


def test_an_upload_that_breaks_off_leaves_nothing_and_is_no_error_of_the_page(page, caplog):
    with socket.create_connection(('127.0.0.1', page.port)) as connection:
        head = f'POST /jobs HTTP/1.1\r\nHost: 127.0.0.1:{page.port}\r\nContent-Length: 999\r\n'
        connection.sendall(f'{head}Cookie: {page.door.cookie}=secret\r\n\r\n'.encode() + b'x')
        assert _soon(lambda: list(page.jobs.folder.glob('*/video.bin')))
    assert _soon(lambda: not list(page.jobs.folder.glob('*/video.bin')))
    assert not [record for record in caplog.records if record.exc_info]


def test_a_full_disk_is_said_so(page, monkeypatch):
    def full(path, mode):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(Path, 'open', full)
    assert page.send(b'x') == (507, 'it cannot be stored: No space left on device')


def test_one_is_watched_at_a_time_and_never_a_file(page):
    before = set(multiprocessing.active_children())
    threads = [
        threading.Thread(target=page.ask, args=('POST', '/live?source=demo%2Fsquat.mp4'))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(multiprocessing.active_children()) - before) <= 1  # the file was refused
    assert page.ask('GET', '/live/pictures')[::2] == (200, b'')  # ends when it has ended
    state = json.loads(page.ask('GET', '/live')[2])
    assert state['ended'] and 'must be the number of a camera' in state['text']
    assert page.ask('DELETE', '/live')[0] == 204 and page.ask('GET', '/live/pictures')[0] == 404


def test_a_worker_is_ended_while_another_thread_waits_for_it(tmp_path):
    worker, said = Worker(), []

    def run():
        try:
            worker.run(Task(SQUAT, 'a', tmp_path / 'a'), 60, print)
        except TaskFailed as error:
            said.append(str(error))

    for end in (worker.stop, worker.close):
        thread = threading.Thread(target=run)
        thread.start()
        assert _soon(lambda: worker._process is not None)
        end()
        thread.join(timeout=10)
        assert not thread.is_alive()
    run()  # closed for good
    assert len(said) == 3 and worker._process is None and not (tmp_path / 'a').exists()


def _soon(holds, seconds=10):
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.02)
    return holds()


def test_only_so_many_wait_and_what_is_old_is_removed(tmp_path):
    jobs = Jobs(tmp_path / 'jobs', Limits(waiting=2, keep=0.0001))
    first, _ = jobs.new('a', {}), jobs.new('b', {})
    with pytest.raises(Full):
        jobs.new('c', {})
    first.state, first.ended = 'done', time.monotonic()
    jobs.new('c', {})  # there is room again
    deadline = time.monotonic() + 10
    while first.folder.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not first.folder.exists() and jobs.get(first.id) is None
    jobs.close()
    assert not (tmp_path / 'jobs').exists()


@pytest.mark.slow
def test_a_video_that_takes_too_long_is_given_up_and_the_next_one_done(tmp_path):
    worker = Worker()
    with pytest.raises(TaskFailed, match='longer than 0 seconds'):
        worker.run(Task(SQUAT, 'a', tmp_path / 'a'), 0.01, print)
    with pytest.raises(TaskFailed, match='squat lasts longer than 1 seconds|lasts longer than 1'):
        worker.run(Task(SQUAT, 'squat', tmp_path / 'b', longest=1.0), 120, lambda seconds: None)
    worker.stop()


def test_names_as_a_report_may_show_them():
    assert shown('a/b\\c\x00\x1b[31m\u202ed.mp4') == 'c [31m d.mp4'
    assert shown('') == shown('/') == 'video' and len(shown('x' * 300)) == 80
