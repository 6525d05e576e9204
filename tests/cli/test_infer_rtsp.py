"""`rpstn infer` of a true RTSP stream.

The camera is a small server of one MPEG-2 video in an MPEG transport stream, over RTP within the
connection: RFC 2326 (RTSP), RFC 3550 (RTP) and RFC 2250 (MPEG-2 streams in RTP), as far as a player
asks.
"""

import itertools
import json
import socketserver
import struct
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS

from rpstn.cli.main import main

FPS, PACKET = 25, 7 * 188
SDP = (
    'v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n'
    'm=video 0 RTP/AVP 33\r\na=rtpmap:33 MP2T/90000\r\na=control:video\r\n'
)


def transport_stream(path: Path, frames: int, size: tuple[int, int] = (64, 48)) -> bytes:
    """Grey frames that become lighter."""
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*'MPG2'), FPS, size)
    for number in range(frames):
        writer.write(np.full((*size[::-1], 3), 50 + number % 150, np.uint8))
    writer.release()
    return path.read_bytes()


class Connection(socketserver.StreamRequestHandler):
    """One player."""

    def handle(self) -> None:
        while request := self.rfile.readline().decode().split():
            headers = {}
            while line := self.rfile.readline().decode().strip():
                name, _, value = line.partition(':')
                headers[name.lower()] = value.strip()
            method, body, status, more = request[0], '', '200 OK', ''
            self.server.methods.append(method)
            if method == 'OPTIONS':
                more = 'Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n'
            elif method == 'DESCRIBE':
                body, more = SDP, 'Content-Type: application/sdp\r\n'
            elif method == 'SETUP' and 'TCP' not in headers['transport']:
                status = '461 Unsupported Transport'
            elif method == 'SETUP':
                more = 'Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n'
            self.wfile.write(
                f'RTSP/1.0 {status}\r\nCSeq: {headers["cseq"]}\r\nSession: 1\r\n{more}'
                f'Content-Length: {len(body)}\r\n\r\n{body}'.encode()
            )
            if method == 'PLAY':
                self.play()
                return

    def play(self) -> None:
        data, seconds = self.server.data, self.server.seconds
        packets = [data[i : i + PACKET] for i in range(0, len(data), PACKET)]
        try:
            for number, packet in zip(itertools.count(), packets):
                stamp = int(90_000 * seconds * number / len(packets))
                rtp = struct.pack('>BBHII', 0x80, 33, number % 2**16, stamp, 1) + packet
                self.wfile.write(b'$\0' + struct.pack('>H', len(rtp)) + rtp)
                time.sleep(self.server.pause)
        except OSError:  # the player is gone
            pass


class RtspCamera(socketserver.ThreadingTCPServer):
    """Serves a video from its beginning to each player; ``url`` is its address.

    Args:
        folder: for the video.
        seconds: of the video.
        speed: times real time.
    """

    allow_reuse_address = daemon_threads = True

    def __init__(self, folder: Path, seconds: float = 20.0, speed: float = 4.0) -> None:
        super().__init__(('127.0.0.1', 0), Connection)
        self.seconds, self.methods = seconds, []
        self.data = transport_stream(folder / 'camera.ts', round(FPS * seconds))
        self.pause = seconds / speed / (len(self.data) / PACKET)
        self.url = f'rtsp://me:secret@127.0.0.1:{self.server_address[1]}/live'
        threading.Thread(target=self.serve_forever, daemon=True).start()


def test_an_rtsp_stream_is_followed_until_it_is_told_to_end(configs, tmp_path):
    init_default_scope('mmpose')
    weights = tmp_path / 'tiny.pth'
    torch.save(
        dict(state_dict=MODELS.build(Config.fromfile(configs['tiny']).model).state_dict()), weights
    )
    with RtspCamera(tmp_path) as camera:
        assert (
            main(
                [
                    'infer',
                    str(configs['tiny']),
                    str(weights),
                    camera.url,
                    '--end',
                    '2s',
                    '--out',
                    str(tmp_path / 'out'),
                    '--save',
                    'json',
                ]
            )
            == 0
        )
        assert camera.methods[-1] == 'PLAY' and camera.methods.count('SETUP') == 1  # TCP at once
        camera.shutdown()
    (file,) = (tmp_path / 'out').iterdir()
    assert file.name == f'127.0.0.1_{camera.server_address[1]}_live.json'
    text = file.read_text()
    data = json.loads(text)
    assert data['mode'] == 'stream' and 'secret' not in text
    numbers = [frame['frame'] for frame in data['frames']]
    assert numbers == sorted(set(numbers)) and numbers[-1] > 10
    assert data['frames'][-1]['time'] < 2
