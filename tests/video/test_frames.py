"""Frames out of files: times, turned and odd pictures, kinds of images, parts, reading ahead."""

import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from rpstn.names import hide_password
from rpstn.video.frames import VideoWriter, open_frames
from rpstn.video.inputs import expand_inputs, is_live, open_input
from rpstn.video.part import Moment, Part
from rpstn.video.readahead import read_ahead
from rpstn.video.readers import UnreadableFrameError

from video_files import encode, greys, turned


def write_mp4(path: Path, frames: int = 6, fps: float = 10.0) -> Path:
    """Frame t is a grey of 40 t, 64x48, its left half a little lighter."""
    with VideoWriter(path, fps, (64, 48)) as video:
        for t in range(frames):
            image = np.full((48, 64, 3), 40 * t, np.uint8)
            image[:, :32] += 30
            video.write(image)
    return path


def test_times_of_an_uneven_video_are_those_of_the_file(tmp_path):
    times = [0, 0.1, 0.2, 0.4, 0.45, 0.5]
    path = encode(tmp_path / 'a.mp4', greys(6), times=times)
    frames = list(open_frames(path))
    np.testing.assert_allclose([f.time for f in frames], times, atol=1e-6)
    assert [f.index for f in frames] == list(range(6))
    # Seconds mean these times, and a stated rate takes their place.
    late = open_frames(path, part=Part(Moment(0.35, seconds=True)))
    assert [f.index for f in late] == [3, 4, 5]
    assert [f.time for f in open_frames(path, fps=5)] == [t / 5 for t in range(6)]


@pytest.mark.parametrize('turn', [0, 90, 180, 270])
def test_a_video_that_was_filmed_turned_is_set_upright(tmp_path, turn):
    path = turned(write_mp4(tmp_path / 'a.mp4', 3), turn)
    source = open_frames(path)
    frames = list(source)
    assert source.size == ((48, 64) if turn in (90, 270) else (64, 48))
    image = np.full((48, 64), 40, np.uint8)
    image[:, :32] += 30
    upright = np.rot90(image, -turn // 90)
    assert frames[1].image.shape[:2] == upright.shape
    assert np.abs(frames[1].image.mean(axis=2) - upright).mean() < 5


def test_images_of_all_kinds_become_8_bit_bgr(tmp_path):
    rng = np.random.default_rng(0)
    bgr = rng.integers(0, 256, (37, 53, 3), np.uint8)
    grey = bgr[..., 0]
    cv2.imwrite(str(tmp_path / '1_colour.png'), bgr)
    cv2.imwrite(
        str(tmp_path / '2_alpha.png'), np.dstack([bgr, rng.integers(0, 256, (37, 53), np.uint8)])
    )
    cv2.imwrite(str(tmp_path / '3_grey.png'), grey)
    cv2.imwrite(str(tmp_path / '4_deep.png'), bgr.astype(np.uint16) * 257)
    cv2.imwrite(str(tmp_path / '5_deep_grey.tiff'), grey.astype(np.uint16) * 257)
    Image.fromarray(grey).convert('P').save(tmp_path / '6_palette.png')
    Image.fromarray(grey > 127).save(tmp_path / '7_bits.png')
    turned = Image.fromarray(np.rot90(bgr[..., ::-1]).copy())
    exif = turned.getexif()
    exif[0x112] = 6  # to be turned by 90 degrees clockwise
    turned.save(tmp_path / '8_turned.png', exif=exif)
    found = [frame.image for frame in open_frames(tmp_path)]
    three = np.dstack([grey] * 3)
    bits = np.where(three > 127, 255, 0)
    for image, expected in zip(found, [bgr, bgr, three, bgr, three, three, bits, bgr], strict=True):
        assert image.shape == (37, 53, 3) and image.dtype == np.uint8
        np.testing.assert_array_equal(image, expected)


def test_videos_of_odd_sizes_are_read_as_they_are_and_written_to_the_last_pair(tmp_path):
    path = tmp_path / 'odd.mjpeg'  # just one JPEG after the other: no header, and no times
    image = np.full((37, 51, 3), 90, np.uint8)
    path.write_bytes(3 * cv2.imencode('.jpg', image)[1].tobytes())
    source = open_frames(path)
    assert source.size == (51, 37)
    np.testing.assert_allclose([f.time for f in source], [0, 0.04, 0.08], atol=1e-3)
    with VideoWriter(tmp_path / 'out.mp4', 10, source.size) as video:
        for frame in source:
            video.write(frame.image)
    written = open_frames(tmp_path / 'out.mp4')
    assert written.size == (50, 36) and len(list(written)) == 3


def test_a_video_whose_size_changes_is_refused_by_name(tmp_path):
    for name, size in (('1.png', (20, 30)), ('2.png', (20, 31))):
        cv2.imwrite(str(tmp_path / name), np.zeros((*size, 3), np.uint8))
    with pytest.raises(
        UnreadableFrameError,
        match=r'2\.png has 31x20 pixels, the first frame '
        '30x20',
    ):
        list(open_frames(tmp_path))


@pytest.mark.parametrize(
    ('part', 'expected'),
    [
        (Part(), [0, 1, 2, 3, 4, 5]),
        (Part(stride=4), [0, 4]),
        (Part(Moment(1), Moment(5), 2), [1, 3]),
        (Part(Moment(0.25, True), Moment(0.5, True)), [3, 4]),
        (Part(Moment(9)), []),
        (Part(end=Moment(0.2, True), stride=3), [0]),
    ],
)
@pytest.mark.parametrize('kind', ['video', 'images'])
def test_parts(tmp_path, part, expected, kind):
    source = open_frames(write_mp4(tmp_path / 'a.mp4'))
    if kind == 'images':
        folder = tmp_path / 'frames'
        folder.mkdir()
        for frame in source:
            cv2.imwrite(str(folder / f'{frame.index}.png'), frame.image)
    opened = open_frames(
        tmp_path / ('a.mp4' if kind == 'video' else 'frames'), None if kind == 'video' else 10, part
    )
    frames = list(opened)
    assert [f.index for f in frames] == expected
    np.testing.assert_allclose([f.time for f in frames], [t / 10 for t in expected])
    assert [round((f.image[20, 50].mean() - 2) / 40) for f in frames] == expected


@pytest.mark.parametrize('text', ['', 'x', '-1', '1.5', 's', '-2s', 'nans', '1m'])
def test_moments_that_are_none(text):
    with pytest.raises(ValueError, match='must be the number of a frame'):
        Moment.parse(text)


def test_moments():
    assert Moment.parse('250') == Moment(250) and Moment.parse('2.5s') == Moment(2.5, True)
    with pytest.raises(ValueError, match='stride must be a whole number of at least 1, got 0'):
        Part(stride=0)


def test_what_is_live(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for text in (
        0,
        '0',
        'camera:2',
        'webcam:1',
        'rtsp://host/a',
        'RTSP://x',
        'http://x/a.mjpg',
        'udp://@:1234',
    ):
        assert is_live(text), text
    for text in ('a.mp4', 'folder', '*.mp4', 'camera', 'c:\\a.mp4', Path('0')):
        assert not is_live(text), text
    Path('7').mkdir()
    assert not is_live('7')
    assert hide_password('rtsp://me:p@ss@host:1/a?b') == 'rtsp://host:1/a?b'
    assert hide_password('rtsp://host/a@b') == 'rtsp://host/a@b'


def test_inputs_are_taken_apart(tmp_path):
    for name in ('v/2.mp4', 'v/10.mp4', 'v/notes.txt', 'x/[a].mp4', 'i/1.png', 'i/labels.csv'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b'')
    t, said = str(tmp_path), []
    assert expand_inputs([f'{t}/v', f'{t}/i', '0'], said.append) == [
        f'{t}/v/2.mp4',
        f'{t}/v/10.mp4',
        f'{t}/i',
        '0',
    ]
    assert said == [f'{t}/v: left out notes.txt', f'{t}/i: left out labels.csv']
    assert expand_inputs([f'{t}/v/*.mp4', f'{t}/i/*.png', f'{t}/x/[a].mp4']) == [
        f'{t}/v/2.mp4',
        f'{t}/v/10.mp4',
        f'{t}/i/*.png',
        f'{t}/x/[a].mp4',
    ]
    with pytest.raises(UnreadableFrameError, match='fits no file'):
        expand_inputs([f'{t}/*.mov'])
    with pytest.raises(UnreadableFrameError, match='is a folder of videos'):
        open_input(f'{t}/v')


def test_a_mixed_folder_is_done_or_what_is_left_out_is_named(tmp_path):
    """A camera's folder, as it looks after a Mac and a Windows machine have been there."""
    for name in ('IMG_1.JPG', 'IMG_2.MOV', 'IMG_10.3gp', 'IMG_3.heic', 'a.gif'):
        (tmp_path / name).write_bytes(b'')
    for name in ('.DS_Store', '._IMG_2.MOV', 'Thumbs.db', 'desktop.ini'):
        (tmp_path / name).write_bytes(b'')
    (tmp_path / '@eaDir').mkdir()
    (tmp_path / 'old').mkdir()
    first, second = [Image.new('RGB', (8, 8), colour) for colour in ('red', 'blue')]
    first.save(tmp_path / 'moves.webp', save_all=True, append_images=[second])
    said = []
    videos = ['a.gif', 'IMG_2.MOV', 'IMG_10.3gp', 'moves.webp']
    found = expand_inputs([str(tmp_path)], said.append)
    assert sorted(found) == sorted(str(tmp_path / name) for name in videos)
    assert said == [f'{tmp_path}: left out IMG_1.JPG, IMG_3.heic, old']
    assert sorted(expand_inputs([f'{tmp_path}/*.webp'])) == [str(tmp_path / 'moves.webp')]


def test_stray_files_are_no_frames(tmp_path):
    for number in (1, 2):
        cv2.imwrite(str(tmp_path / f'{number}.png'), np.zeros((8, 8, 3), np.uint8))
    (tmp_path / '._1.png').write_bytes(b'Mac OS X')
    said = []
    assert expand_inputs([str(tmp_path)], said.append) == [str(tmp_path)] and not said
    assert len(list(open_frames(tmp_path))) == 2


def test_reading_ahead_keeps_order_errors_and_bounds():
    made, closed = [], threading.Event()

    def items():
        try:
            for i in range(100):
                made.append(i)
                yield i
            raise OSError('the end')
        finally:
            closed.set()

    ahead = read_ahead(items(), 5)
    assert next(ahead) == 0
    time.sleep(0.2)
    assert 6 <= len(made) <= 8
    assert [next(ahead) for _ in range(99)] == list(range(1, 100))
    with pytest.raises(OSError, match='the end'):
        next(ahead)
    made.clear(), closed.clear()
    ahead = read_ahead(items(), 5)
    next(ahead)
    ahead.close()
    assert closed.is_set() and len(made) < 20
    assert not [t for t in threading.enumerate() if t.name == 'rpstn: decoding']
