"""Video files of many kinds, and damaged ones: which frames, when, and how they look."""

import tracemalloc
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from rpstn.data.paths import find_data
from rpstn.video.decoding import decode
from rpstn.video.frames import VideoWriter, open_frames
from rpstn.video.readers import VideoReader
from rpstn.video.structures import Damage, UnreadableFrameError

from video_files import damaged, encode, greys, numbers, turned


def shown(path: Path) -> tuple[list[int], list[float], list[int]]:
    """Numbers and times that frames are given, and which frames of ``greys`` they are."""
    frames = list(open_frames(path))
    return (
        [frame.index for frame in frames],
        [round(frame.time, 3) for frame in frames],
        numbers([frame.image for frame in frames]),
    )


# With B-frames, of which every other or more is decoded before its turn.
KINDS = {
    'h264.mp4': dict(codec='libx264', options={'bf': '3'}),
    'h264.ts': dict(codec='libx264', options={'bf': '3'}),
    'hevc.mkv': dict(codec='libx265', options={'x265-params': 'log-level=none'}),
    'mpeg4.avi': dict(codec='mpeg4'),
    'mpeg4_b.avi': dict(codec='mpeg4', options={'bf': '2'}),
    'mpeg2.mpg': dict(codec='mpeg2video', fps=25),
    'vp9.webm': dict(codec='libvpx-vp9', options={'lag-in-frames': '16', 'auto-alt-ref': '1'}),
    'vp8.webm': dict(codec='libvpx', options={'lag-in-frames': '16', 'auto-alt-ref': '1'}),
    'ten_bits.mp4': dict(
        codec='libx265', pixels='yuv420p10le', options={'x265-params': 'log-level=none'}
    ),
    'mjpeg.avi': dict(codec='mjpeg', pixels='yuvj420p'),
    'ffv1.mkv': dict(codec='ffv1', pixels='yuv444p'),
    'single.mp4': dict(frames=1),
}


@pytest.mark.parametrize('name', KINDS)
def test_every_frame_has_its_number_and_time(tmp_path, name):
    options = {'frames': 14, 'fps': 10, **KINDS[name]}
    count, fps = options.pop('frames'), options['fps']
    path = encode(tmp_path / name, greys(count), **options)
    expected = list(range(count))
    assert shown(path) == (expected, [round(t / fps, 3) for t in expected], expected)
    reader = VideoReader(str(path))
    assert reader.count() == count and reader.size() == (64, 48)
    asked = [count - 1, 0, count // 2, 0]
    assert numbers(reader.read(asked)) == asked


SLICE = b'\x00\x00\x00\x10\x01'  # of H.264, after its length; what it holds cannot be decoded
UNKNOWN = b'\x00\x00\x00\x10\x1f'  # what the standard leaves open, which is passed over in silence


@pytest.mark.parametrize('threads', [0, 1])
@pytest.mark.parametrize(
    ('name', 'codec', 'lost', 'begin'),
    [
        ('b_frames.mp4', 'libx264', [7], SLICE),
        ('b_frames.mp4', 'libx264', [6, 7, 13], SLICE),
        ('b_frames.mkv', 'libx264', [6, 7, 13], UNKNOWN),
        ('alone.mp4', 'libx264', [0, 3], SLICE),
        ('alone.mp4', 'libx264', [0, 3], UNKNOWN),
        ('a.avi', 'mpeg4', [5, 13], b''),
        ('a.webm', 'libvpx-vp9', [8, 13], b''),
        ('alone.mkv', 'ffv1', [0, 4, 5], b''),
    ],
)
def test_damaged_frames_are_left_out_and_the_others_keep_their_place(
    tmp_path, name, codec, lost, begin, threads
):
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 255, (48, 64, 3), np.uint8) for _ in range(14)]
    path = encode(tmp_path / name, images, codec, options={'g': '1'} if 'alone' in name else {})
    whole = {frame.index: frame.image() for frame in decode(path)}
    damaged(path, lost, begin)
    kept = [t for t in range(14) if t not in lost]
    damage = Damage()
    frames = list(decode(path, damage, threads))
    assert [frame.index for frame in frames] == kept and damage.frames == lost
    np.testing.assert_allclose([f.time for f in frames], [t / 10 for t in kept], atol=1e-3)
    for frame in frames:
        if frame.index < lost[0] or 'alone' in name:
            np.testing.assert_array_equal(frame.image(), whole[frame.index])
    for t in lost:
        with pytest.raises(UnreadableFrameError, match=f'{name}: frame {t} cannot be decoded'):
            VideoReader(str(path)).read([t])
    assert str(damage).startswith(f'frame{"s" * (len(lost) > 1)} {lost[0]}')


def test_a_recording_begins_with_its_first_picture(tmp_path):
    """As a broadcast does that was switched on between two key frames."""
    path = encode(tmp_path / 'a.ts', greys(14), options={'g': '6', 'sc_threshold': '0'})
    with av.open(str(path)) as file, av.open(str(tmp_path / 'cut.ts'), 'w') as cut:
        stream = cut.add_stream_from_template(file.streams.video[0])
        for packet in list(file.demux(video=0))[3:-1]:
            packet.stream = stream
            cut.mux(packet)
    indices, times, images = shown(tmp_path / 'cut.ts')
    assert indices == list(range(8)) and images == list(range(6, 14))
    assert times == [round(t / 10, 3) for t in range(8)]


def test_a_source_notes_what_was_lost_each_time_anew(tmp_path):
    source = open_frames(damaged(encode(tmp_path / 'a.mp4', greys(14)), [7], SLICE))
    for _ in range(2):
        assert len(list(source)) == 13 and source.damage.frames == [7]
    assert str(source.damage) == 'frame 7 cannot be decoded'


def test_times_that_are_not_even(tmp_path):
    times = [0, 0.04, 0.05, 0.3, 0.31, 2]
    for name in ('a.mp4', 'a.mkv'):
        assert shown(encode(tmp_path / name, greys(6), times=times)) == (
            list(range(6)),
            times,
            list(range(6)),
        )


def test_frames_that_an_avi_repeats_count_once(tmp_path):
    """As joints do that were labelled in the frames of JHMDB's videos."""
    times = [0, 0.1, 0.2, 0.5, 0.6]  # the muxer writes empty packets for the gap
    path = encode(tmp_path / 'a.avi', greys(5), 'mpeg4', times=times)
    assert shown(path) == (list(range(5)), times, list(range(5)))


@pytest.mark.parametrize('mirrored', [False, True])
@pytest.mark.parametrize('degrees', [0, 90, 180, 270])
def test_every_reader_sets_a_turned_video_upright(tmp_path, degrees, mirrored):
    image = np.zeros((48, 64, 3), np.uint8)
    image[:16, :16] = 200
    image[32:, :16] = 100
    path = turned(encode(tmp_path / 'a.mp4', [image] * 2), degrees, mirrored)
    upright = np.rot90(image[:, ::-1] if mirrored else image, -degrees // 90)
    reader, source = VideoReader(str(path)), open_frames(path)
    assert source.size == reader.size() == upright.shape[1::-1]
    for found in (reader.read([1])[0], next(iter(source)).image):
        assert np.abs(found.astype(int) - upright).mean() < 4
        assert found.flags.c_contiguous and found.flags.writeable


@pytest.mark.parametrize(
    ('shape', 'size'),
    [
        (Fraction(4, 3), (85, 48)),
        (Fraction(8, 9), (64, 54)),
        (Fraction(1), (64, 48)),
        (Fraction(1, 100), (64, 48)),
    ],
)
@pytest.mark.parametrize('name', ['a.mp4', 'a.mkv'])
def test_pixels_are_square(tmp_path, name, shape, size):
    image = np.zeros((48, 64, 3), np.uint8)
    image[:, 32:] = 200
    path = encode(tmp_path / name, [image] * 2, shape=shape)
    reader, source = VideoReader(str(path)), open_frames(path)
    assert source.size == reader.size() == size
    for found in (reader.read([1])[0], next(iter(source)).image):
        half = size[0] // 2
        assert found[:, : half - 2].mean() < 8 and abs(found[:, half + 3 :].mean() - 200) < 8


def test_a_stretched_video_is_turned_after_that(tmp_path):
    path = encode(tmp_path / 'a.mp4', greys(2), shape=Fraction(4, 3))
    assert open_frames(turned(path, 90)).size == (48, 85)


@pytest.mark.parametrize('suffix', ['gif', 'png', 'webp'])
def test_animated_pictures_are_read_whole(tmp_path, suffix):
    path = tmp_path / f'a.{suffix}'
    first, *others = [Image.fromarray(image) for image in greys(4, (51, 37))]
    first.save(
        path, save_all=True, append_images=others, duration=[100, 200, 50, 100], lossless=True
    )
    source = open_frames(path)
    assert source.size == (51, 37) and not source.single
    assert shown(path) == ([0, 1, 2, 3], [0, 0.1, 0.3, 0.35], [0, 1, 2, 3])
    assert VideoReader(str(path)).count() == 4
    first.save(tmp_path / f'still.{suffix}')
    assert len(list(open_frames(tmp_path / f'still.{suffix}'))) == 1


def test_alpha_is_left_out(tmp_path):
    image = np.dstack([*np.moveaxis(greys(4)[3], 2, 0), np.full((48, 64), 255, np.uint8)])
    path = encode(tmp_path / 'a.mov', [image] * 3, 'qtrle', 'argb')
    assert shown(path)[2] == [3, 3, 3]


def test_files_without_video_are_refused_in_one_line(tmp_path):
    def sound(path: Path) -> Path:
        with av.open(str(path), 'w') as file:
            stream = file.add_stream('aac', 44100)
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), 'fltp', 'mono')
            frame.sample_rate = 44100
            file.mux([*stream.encode(frame), *stream.encode()])
        return path

    (tmp_path / 'empty.mp4').write_bytes(b'')
    (tmp_path / 'noise.mp4').write_bytes(np.random.default_rng(0).bytes(5000))
    (tmp_path / 'noise.webp').write_bytes(b'RIFF' + bytes(50))
    (tmp_path / 'noise.gif').write_bytes(b'GIF89a' + bytes(50))
    for path, says in (
        (sound(tmp_path / 'sound.mp4'), 'holds no video'),
        (tmp_path / 'empty.mp4', 'the file is empty'),
        (tmp_path / 'noise.mp4', 'not a video that can be opened'),
        (tmp_path / 'missing.mp4', 'does not exist'),
        (tmp_path / 'noise.gif', ''),
        (tmp_path / 'noise.webp', ''),
        (
            damaged(encode(tmp_path / 'lost.mp4', greys(3)), [0, 1, 2], SLICE),
            'no frame that can be decoded',
        ),
    ):
        with pytest.raises(UnreadableFrameError) as stop:
            VideoReader(str(path)).size()
        assert str(path) in str(stop.value) and says in str(stop.value)
        assert '\n' not in str(stop.value)


def test_a_name_is_no_protocol_and_no_pattern(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ('http:a.mp4', 'a%03d.mp4', 'é [1].mp4'):
        encode(Path('plain.mp4'), greys(2)).rename(name)
        assert shown(Path(name))[2] == [0, 1]


def test_a_file_that_was_cut_gives_what_is_there(tmp_path):
    for name, codec in (('a.mkv', 'libx264'), ('a.ts', 'libx264'), ('a.avi', 'mpeg4')):
        images = [
            np.random.default_rng(t).integers(0, 255, (48, 64, 3), np.uint8) for t in range(20)
        ]
        path = encode(tmp_path / name, images, codec)
        data = path.read_bytes()
        path.write_bytes(data[: int(0.6 * len(data))])
        found = [frame.index for frame in open_frames(path)]
        assert 3 < len(found) < 20 and found == sorted(set(found))


def test_memory_does_not_grow_with_the_length(tmp_path):
    path = encode(tmp_path / 'a.mp4', greys(1) * 400)
    source, peaks = open_frames(path), []
    for count in (50, 400):
        tracemalloc.start()
        for frame in source:
            if frame.index == count - 1:
                break
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 2e5


def test_an_h264_file_that_browsers_play_is_written(tmp_path):
    with VideoWriter(tmp_path / 'a.mp4', 30000 / 1001, (51, 37)) as video:
        for image in greys(9, (51, 37)):
            video.write(image)
        with pytest.raises(ValueError, match='must have'):
            video.write(np.zeros((37, 52, 3), np.uint8))
    with av.open(str(tmp_path / 'a.mp4')) as file:
        (stream,) = file.streams
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ('h264', 'yuv420p')
        assert stream.average_rate == Fraction(30000, 1001)
    assert shown(tmp_path / 'a.mp4')[2] == list(range(9))
    for path, size in ((tmp_path / 'no/a.mp4', (64, 48)), (tmp_path / 'b.mp4', (1, 48))):
        with pytest.raises(OSError, match='cannot be written'):
            VideoWriter(path, 25, size)


def test_without_an_encoder_of_h264_another_is_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(av, 'codecs_available', {'mpeg4', 'h264'})
    with VideoWriter(tmp_path / 'a.mp4', 10, (64, 48)) as video:
        assert video.codec == 'mpeg4'
        for image in greys(5):
            video.write(image)
    assert shown(tmp_path / 'a.mp4')[2] == list(range(5))


def test_colours_are_those_that_the_file_states(tmp_path):
    image = np.full((48, 64, 3), (40, 180, 60), np.uint8)
    for name, space in (('ITU709', 1), ('ITU601', 5), ('ITU601', 2)):  # 2 is unspecified
        path = tmp_path / f'{space}.mp4'
        with av.open(str(path), 'w') as file:
            stream = file.add_stream('libx264', 10)
            stream.width, stream.height, stream.pix_fmt = 64, 48, 'yuv420p'
            stream.codec_context.colorspace = space
            frame = av.VideoFrame.from_ndarray(image, 'bgr24')
            frame = frame.reformat(format='yuv420p', dst_colorspace=name)
            file.mux([*stream.encode(frame), *stream.encode()])
        found = VideoReader(str(path)).read([0])[0]
        assert np.abs(found.astype(int) - image).max() <= 5


def test_a_live_video_can_be_read_while_it_grows(tmp_path):
    rng = np.random.default_rng(0)
    with VideoWriter(tmp_path / 'a.mp4', 10, (64, 48), live=True) as video:
        for _ in range(35):
            video.write(rng.integers(0, 255, (48, 64, 3), np.uint8))
        (tmp_path / 'killed.mp4').write_bytes((tmp_path / 'a.mp4').read_bytes())
    assert 20 <= len(list(open_frames(tmp_path / 'killed.mp4'))) <= 35
    assert shown(tmp_path / 'a.mp4')[0] == list(range(35))


def by_opencv(path: Path) -> list[np.ndarray]:
    capture, images = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG), []
    while (read := capture.read())[0]:
        images.append(read[1])
    return images


def test_real_files_are_read_as_opencv_reads_them():
    """Joints were labelled, and networks trained, on these frames: column t is frame t."""
    try:
        root = find_data('jhmdb') / 'ReCompress_Videos'
    except FileNotFoundError as error:
        pytest.skip(str(error))
    paths = sorted(root.glob('*/*.avi'))
    for path in paths[:: len(paths) // 6]:
        expected = by_opencv(path)
        reader = VideoReader(str(path))
        found = reader.read(range(reader.count()))
        assert len(found) == len(expected)
        for image, other in zip(found, expected):
            np.testing.assert_array_equal(image, other)


def test_frames_that_avi_has_in_another_order_are_all_there_and_in_time(tmp_path):
    # AVI knows no time stamps: H.264 with frames that look ahead has guesses for them.
    path = tmp_path / 'ahead.avi'
    with VideoWriter(path, 10, (96, 96)) as writer:
        for t in range(6):
            writer.write(np.full((96, 96, 3), 60 + 20 * t, np.uint8))
    damage = Damage()
    frames = list(decode(path, damage))
    assert not damage.frames and not damage.end
    assert [frame.index for frame in frames] == list(range(6))
    assert [frame.time for frame in frames] == pytest.approx([t / 10 for t in range(6)])
    shades = [frame.image().mean() for frame in frames]
    assert shades == pytest.approx([60 + 20 * t for t in range(6)], abs=5)
