"""What a server may make a live stream read: addresses, and no file of this computer."""

import http.server
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rpstn.video.live import LiveSource
from rpstn.video.structures import UnreadableFrameError

from video_files import encode, greys


@contextmanager
def serving(answers: dict[str, bytes]) -> Iterator[tuple[str, list[str]]]:
    """An address, and the paths that are asked for there."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            body = answers.get(self.path.split('?')[0])
            self.send_response(404 if body is None else 200)
            self.send_header('Content-Length', str(len(body or b'')))
            self.end_headers()
            self.wfile.write(body or b'')

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f'http://127.0.0.1:{server.server_port}', asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize('options', [None, 'rtsp_transport;udp|protocol_whitelist;file,http,tcp'])
def test_a_list_from_the_network_reads_no_file(tmp_path, monkeypatch, options):
    """Whatever the environment allows."""
    encode(tmp_path / 'a.ts', greys(3))
    monkeypatch.delenv('OPENCV_FFMPEG_CAPTURE_OPTIONS', raising=False)
    if options:
        monkeypatch.setenv('OPENCV_FFMPEG_CAPTURE_OPTIONS', options)
    place = f'file://{tmp_path}/a.ts'
    hls = f'#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\n{place}\n#EXT-X-ENDLIST\n'
    lists = {'/a.m3u8': hls.encode(), '/list': f'ffconcat version 1.0\nfile {place}\n'.encode()}
    with serving(lists) as (address, asked):
        for path in lists:
            with pytest.raises(UnreadableFrameError, match='cannot be opened'):
                LiveSource(f'{address}{path}', wait=0, timeout=5)
            assert path in asked
    assert ('udp' in os.environ['OPENCV_FFMPEG_CAPTURE_OPTIONS']) or not options


def test_a_stream_above_the_limit_is_refused(tmp_path, monkeypatch):
    video = encode(Path(tmp_path) / 'a.ts', greys(3)).read_bytes()
    monkeypatch.setenv('RPSTN_MAX_PIXELS', '3071')
    with serving({'/a.ts': video}) as (address, _):
        with pytest.raises(UnreadableFrameError, match='64x48 pixels, above the limit') as refused:
            LiveSource(f'{address}/a.ts?pwd=S3cret', wait=0, timeout=5)
        assert 'S3cret' not in str(refused.value)
