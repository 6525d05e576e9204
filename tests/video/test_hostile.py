"""Files made to take the memory, to read other files, or named to be taken for something else."""

import os
import socket
import struct
import threading
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from rpstn.limits import PIXELS
from rpstn.video.frames import open_frames
from rpstn.video.headers import picture_size
from rpstn.video.inputs import expand_inputs, is_live, open_input
from rpstn.video.structures import UnreadableFrameError

from video_files import encode, greys, numbers

NAMES = [
    '2024-01-01T10:30:00.mp4',
    'pipe:0',
    'http:',
    'concat:a.mp4|b.mp4',
    'fd:',
    '-',
    '-.mp4',
    '%03d.mp4',
    'a\nb.mp4',
    'a\x1b[31m.mp4',
    ' .mp4',
    "it's [bold]?.mp4",
    'ä 你好 🙂.mp4',
    os.fsdecode(b'squat-\xff\xfe.mp4'),
    os.fsdecode(b'\xe4\xf6'),
]


@pytest.fixture(scope='module')
def video(tmp_path_factory) -> bytes:
    return encode(tmp_path_factory.mktemp('video') / 'a.mp4', greys(3)).read_bytes()


@pytest.mark.parametrize('name', NAMES, ids=ascii)
def test_any_name_is_a_name(tmp_path, monkeypatch, video, name):
    """By its path, from its own folder, and among the videos of a folder."""
    (tmp_path / name).write_bytes(video)
    monkeypatch.chdir(tmp_path)
    for given in (str(tmp_path / name), name):
        assert not is_live(given) and expand_inputs([given]) == [given]
        assert numbers([frame.image for frame in open_input(given)]) == [0, 1, 2]


@pytest.mark.parametrize('folder', ['http:', 'rtsp:', os.fsdecode(b'\xff'), 'concat:x'], ids=ascii)
def test_any_folder_is_a_folder(tmp_path, monkeypatch, video, folder):
    (tmp_path / folder).mkdir()
    (tmp_path / folder / '127.0.0.1.mp4').write_bytes(video)
    monkeypatch.chdir(tmp_path)
    for given in (folder, f'{folder}/127.0.0.1.mp4', f'{folder}//127.0.0.1.mp4'):
        (entry,) = expand_inputs([given])
        assert len(list(open_input(entry))) == 3


@pytest.mark.parametrize('name', [os.fsdecode(b'\xff.png'), 'a:b.jpg', 'http:.webp'], ids=ascii)
def test_any_picture_and_any_folder_of_pictures(tmp_path, name):
    _, data = cv2.imencode(Path(name).suffix, greys(1)[0])
    (tmp_path / name).write_bytes(data.tobytes())
    assert len(list(open_input(tmp_path / name))) == len(list(open_input(tmp_path))) == 1


def playlists(folder: Path, port: int) -> dict[str, str]:
    """Text by name: each names a video that lies there, or an address."""
    places = ['a.ts', f'{folder}/a.ts', f'file://{folder}/a.ts', f'../{folder.name}/a.ts']
    hls = '#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n'
    texts = {f'hls {i}': hls.format(place) for i, place in enumerate(places)}
    texts |= {f'ffconcat {i}': f'ffconcat version 1.0\nfile {p}\n' for i, p in enumerate(places)}
    address = f'http://127.0.0.1:{port}/a.ts'
    texts['hls http'], texts['ffconcat http'] = hls.format(address), f'ffconcat\nfile {address}\n'
    texts['sdp'] = (
        f'v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n'
        f'm=video {port} RTP/AVP 96\na=rtpmap:96 H264/90000\n'
    )
    texts['dash'] = (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'profiles="urn:mpeg:dash:profile:isoff-main:2011" mediaPresentationDuration="PT1S">'
        '<Period><AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1">'
        f'<BaseURL>{folder}/a.mp4</BaseURL></Representation></AdaptationSet></Period></MPD>'
    )
    return texts


def test_a_list_of_other_files_reads_none_of_them(tmp_path):
    encode(tmp_path / 'a.ts', greys(3))
    encode(tmp_path / 'a.mp4', greys(3))
    with socket.create_server(('127.0.0.1', 0)) as server:
        server.settimeout(0.2)
        for text in playlists(tmp_path, server.getsockname()[1]).values():
            for suffix in ('.mp4', '.m3u8', '.ts', ''):
                path = tmp_path / f'list{suffix}'
                path.write_text(text)
                with pytest.raises(UnreadableFrameError, match='none is read') as refused:
                    open_input(path)
                assert str(refused.value).startswith(f'{path}: ') and '\n' not in str(refused.value)
                path.unlink()
        with pytest.raises(TimeoutError):  # nobody has called
            server.accept()


def test_a_text_is_no_video(tmp_path):
    (tmp_path / 'notes.txt').write_text('Squats\n' * 100)
    with pytest.raises(UnreadableFrameError, match=r'notes.txt: not a video'):
        open_input(tmp_path / 'notes.txt')


SIDE = 1 << 16


def huge_pictures() -> dict[str, bytes]:
    """Headers of 2^32 pixels and what little follows, or as near as the format can come."""
    small = greys(1)[0]
    jpeg, tiff, webp = (
        cv2.imencode(kind, small, [cv2.IMWRITE_WEBP_QUALITY, 50])[1].tobytes()
        for kind in ('.jpg', '.tiff', '.webp')
    )
    start = jpeg.index(b'\xff\xc0') + 5
    chunk = b'IHDR' + struct.pack('>IIBBBBB', SIDE, SIDE, 8, 2, 0, 0, 0)
    for tag in (256, 257):
        heads = (struct.pack('<HHI', tag, kind, 1) for kind in (3, 4))  # short, long
        (place,) = (tiff.index(head) for head in heads if head in tiff)
        tiff = tiff[:place] + struct.pack('<HHII', tag, 4, 1, SIDE) + tiff[place + 12 :]
    bmp = struct.pack('<IIIIiiHHIIiiII', 154, 0, 54, 40, SIDE, -SIDE, 1, 24, *[0] * 6)
    return {
        'a.png': b'\x89PNG\r\n\x1a\n' + struct.pack('>I', 13) + chunk
        + struct.pack('>I', zlib.crc32(chunk)) + bytes(64),
        'a.jpg': jpeg[:start] + struct.pack('>HH', SIDE - 1, SIDE - 1) + jpeg[start + 4 :],
        'a.tiff': tiff,
        'a.bmp': b'BM' + bmp + bytes(100),
        'a.webp': b'RIFF' + struct.pack('<I', 30) + b'WEBPVP8X' + struct.pack('<I', 10) + bytes(4)
        + (SIDE - 1).to_bytes(3, 'little') * 2,
        'b.png': b'GIF89a' + struct.pack('<HH', SIDE - 1, SIDE - 1) + bytes(20),
        # What Pillow opens to see whether it is animated.
        'b.webp': webp[:26] + struct.pack('<HH', 0x3FFF, 0x3FFF) + webp[30:],
    }  # fmt: skip


@pytest.mark.parametrize('name', huge_pictures())
def test_a_picture_above_the_limit_is_named_with_its_size(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(huge_pictures()[name])
    width, height = picture_size(path.read_bytes())
    assert width >= 0x3FFF and height >= 0x3FFF
    with pytest.raises(UnreadableFrameError) as refused:
        open_input(path)
    assert str(refused.value) == (
        f'{path}: frame 0 has {width}x{height} pixels, above the limit of '
        f'{PIXELS.default:,} (RPSTN_MAX_PIXELS)'
    )


@pytest.mark.parametrize('suffix', ['.png', '.jpg', '.tiff', '.bmp', '.webp', '.gif'])
def test_sizes_of_pictures_are_those_of_their_headers(tmp_path, monkeypatch, suffix):
    from PIL import Image

    path = tmp_path / f'a{suffix}'
    Image.fromarray(greys(1, (70, 46))[0]).save(path)
    assert picture_size(path.read_bytes()) == (70, 46)
    for cut in range(0, 60):  # damaged, whatever is said of it
        picture_size(path.read_bytes()[:cut])
    monkeypatch.setenv('RPSTN_MAX_PIXELS', str(70 * 46))
    assert open_frames(path).size == (70, 46)
    monkeypatch.setenv('RPSTN_MAX_PIXELS', str(70 * 46 - 1))
    with pytest.raises(UnreadableFrameError, match=r'70x46 pixels, above the limit of 3,219 \('):
        open_frames(path)


@pytest.mark.parametrize(
    ('name', 'codec', 'pixels'),
    [
        ('a.mp4', 'libx264', 'yuv420p'),
        ('a.ts', 'libx264', 'yuv420p'),
        ('a.avi', 'mpeg4', 'yuv420p'),
        ('a.webm', 'libvpx-vp9', 'yuv420p'),
        ('b.avi', 'mjpeg', 'yuvj420p'),
        ('a.mkv', 'ffv1', 'yuv444p'),
        ('a.gif', 'gif', 'rgb8'),
        ('a.apng', 'apng', 'rgb24'),
    ],
)
def test_frames_above_the_limit_are_refused(tmp_path, monkeypatch, name, codec, pixels):
    """The larger ones by FFmpeg, before it takes memory for them."""
    large = [(2112, 2048)] if name in ('a.mp4', 'b.avi') else []
    for width, height in [(64, 48), *large]:
        path = encode(tmp_path / name, greys(1, (width, height)), codec, pixels)
        monkeypatch.setenv('RPSTN_MAX_PIXELS', str(width * height))
        assert len(list(open_frames(path))) == 1
        monkeypatch.setenv('RPSTN_MAX_PIXELS', '3071')
        with pytest.raises(UnreadableFrameError) as refused:
            open_frames(path)
        assert str(refused.value) == (
            f'{path}: frames of {width}x{height} pixels, above the limit of 3,071 '
            '(RPSTN_MAX_PIXELS)'
        )


def test_pixels_that_are_made_square_count(tmp_path, monkeypatch):
    from fractions import Fraction

    path = encode(tmp_path / 'a.mp4', greys(2), shape=Fraction(4))
    monkeypatch.setenv('RPSTN_MAX_PIXELS', '4000')
    with pytest.raises(UnreadableFrameError, match='256x48 pixels'):
        open_frames(path)


def test_files_read_whole_have_a_limit(tmp_path, monkeypatch):
    path = tmp_path / 'a.png'
    cv2.imwrite(str(path), greys(1)[0])
    size = path.stat().st_size
    monkeypatch.setenv('RPSTN_MAX_FILE_BYTES', str(size - 1))
    with pytest.raises(UnreadableFrameError, match=f'{size} bytes, above the limit of {size - 1} '):
        open_frames(path)


@pytest.mark.parametrize('share', [0.05, 0.2])
@pytest.mark.parametrize('name', ['a.mp4', 'a.mov', 'a.avi'])
def test_a_zeroed_head_is_told(tmp_path, name, share):
    """FFmpeg goes on from the first frame that it finds, without times."""
    images = np.random.default_rng(0).integers(0, 255, (24, 48, 64, 3), np.uint8)
    path = encode(tmp_path / name, list(images), 'mpeg4')
    data = path.read_bytes()
    zeros = round(share * len(data))
    path.write_bytes(bytes(zeros) + data[zeros:])
    source = open_frames(path)
    count = len(list(source))
    assert 0 < count <= 24
    assert f'the head of the {name[2:].upper()} is damaged' in str(source.damage)
    assert 'first frames may be missing' in str(source.damage)


def test_a_video_is_read_beside_others(tmp_path, video):
    """Threads of their own, each with its file."""
    (tmp_path / 'a.mp4').write_bytes(video)
    counts = []
    threads = [
        threading.Thread(target=lambda: counts.append(len(list(open_frames(tmp_path / 'a.mp4')))))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [3] * 4
