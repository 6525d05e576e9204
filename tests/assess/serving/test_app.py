"""The page over HTTP, as a browser asks, and as another page or a hostile client would."""

import errno
import multiprocessing
import os
import socket
import threading
import time
from pathlib import Path

import pytest

from rpstn.assess.serving.jobs import Full, Jobs, Limits, shown
from rpstn.assess.serving.worker import Task, TaskFailed, Worker

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
        head = f'POST /jobs HTTP/1.1\r\nHost: 127.0.0.1:{page.port}\r\nContent-Length: 999\r\n\r\n'
        connection.sendall(head.encode() + b'x')
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
    _, headers, body = page.ask('GET', '/live/events')
    assert headers['content-type'].startswith('text/event-stream')
    assert 'must be the number of a camera' in body.decode().strip().splitlines()[-1]
    assert page.ask('GET', '/live/pictures')[::2] == (200, b'')
    assert page.ask('DELETE', '/live')[0] == 204 and page.ask('GET', '/live/events')[0] == 404


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
