"""`rpstn infer`: inputs, outputs, interruption, resumption, live streams and bad input."""

import csv
import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS

from rpstn.cli.main import main
from rpstn.data.paths import find_data
from rpstn.form.datasets.converters import read_joints
from rpstn.inference.about import content_sha256
from rpstn.inference.inferencer import PoseInferencer
from rpstn.inference.kernel_smoother import KernelSmoother
from rpstn.pose.finders import MotionFinder
from rpstn.video.frames import open_frames
from rpstn.video.live import LiveSource
from rpstn.video.readers import UnreadableFrameError

from video_files import damaged, encode

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def model(configs, tmp_path_factory) -> list[str]:
    """Config and random weights, as arguments; 64x64 input, T = 3, 13 joints."""
    path = tmp_path_factory.mktemp('model') / 'tiny.pth'
    config = Config.fromfile(configs['tiny'])
    init_default_scope('mmpose')
    torch.manual_seed(0)
    torch.save(dict(state_dict=MODELS.build(config.model).state_dict()), path)
    return [str(configs['tiny']), str(path)]


def write_video(
    path: Path, frames: int, fps: float = 10.0, seed: int = 0, size: tuple[int, int] = (48, 36)
) -> Path:
    """Noise, of a width and height."""
    rng = np.random.default_rng(seed)
    code = 'MJPG' if path.suffix == '.avi' else 'mp4v'
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*code), fps, size)
    for _ in range(frames):
        writer.write(cv2.resize(rng.integers(0, 255, (6, 8, 3), np.uint8), size))
    writer.release()
    return path


@pytest.fixture(scope='module')
def clip(tmp_path_factory) -> Path:
    """Eleven frames."""
    return write_video(tmp_path_factory.mktemp('clip') / 'clip.avi', 11)


@pytest.fixture
def infer(command) -> Callable[..., str | int | None]:
    """The message of the command in this process, its status where there is none."""

    def run(model: list[str], *words) -> str | int | None:
        status, message = command('infer', *model, *words, '--device', 'cpu', '--kpt-thr', '-9')
        return message if status == 1 else status or None

    return run


def rows(path: Path) -> list[dict]:
    with open(path, newline='') as file:
        return list(csv.DictReader(file))


def frames_in(path: Path) -> list[np.ndarray]:
    capture, images = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG), []
    while capture.isOpened() and (read := capture.read())[0]:
        images.append(read[1])
    return images


@pytest.mark.parametrize('mode', ['clip', 'stream'])
def test_all_outputs_say_the_same(infer, model, clip, tmp_path, mode):
    assert (
        infer(
            model,
            clip,
            '--out',
            tmp_path,
            '--mode',
            mode,
            '--save',
            'video',
            'json',
            'csv',
            'npz',
            'coco',
            'mmpose',
        )
        is None
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        'clip.coco.json',
        'clip.csv',
        'clip.json',
        'clip.mmpose.json',
        'clip.mp4',
        'clip.npz',
    ]
    data = json.loads((tmp_path / 'clip.json').read_text())
    assert [f['frame'] for f in data['frames']] == list(range(11))
    assert data['mode'] == mode and [f['time'] for f in data['frames']] == [
        t / 10 for t in range(11)
    ]
    points = np.array([f['keypoints'] for f in data['frames']])
    assert points.shape == (11, 13, 3)
    table = rows(tmp_path / 'clip.csv')
    assert list(table[0]) == ['frame', 'time', 'person', 'joint', 'x', 'y', 'score']
    np.testing.assert_array_equal(
        [[float(r[c]) for c in ('x', 'y', 'score')] for r in table], points.reshape(-1, 3)
    )
    assert [r['joint'] for r in table[:13]] == data['joints']
    with np.load(tmp_path / 'clip.npz') as arrays:
        np.testing.assert_allclose(arrays['keypoints'], points[..., :2], atol=0.0051)
        np.testing.assert_allclose(arrays['scores'], points[..., 2], atol=0.000051)
        assert arrays['frame'].tolist() == list(range(11)) and arrays['fps'] == 10
        assert arrays['joints'].tolist() == data['joints']
        assert arrays['image_size'].tolist() == [48, 36]
    coco = json.loads((tmp_path / 'clip.coco.json').read_text())
    for entry, frame in zip(coco, points, strict=True):
        assert entry.keys() == {'image_id', 'category_id', 'keypoints', 'score', 'track_id'}
        np.testing.assert_array_equal(entry['keypoints'], frame.ravel())
        assert entry['score'] == pytest.approx(frame[:, 2].mean(), abs=2e-4)
    mmpose = read_joints(tmp_path / 'clip.mmpose.json', min_score=-9).keypoints
    np.testing.assert_allclose(mmpose, points[..., :2], atol=1e-4)
    assert len(frames_in(tmp_path / 'clip.mp4')) == 11
    states = [f['state'] for f in data['frames']]
    assert (
        states == (['started', 'tracked', 'tracked'] * 4)[:11]
        if mode == 'clip'
        else states == ['started'] + ['tracked'] * 10
    )


def test_part_of_a_video_is_the_part_of_the_whole(infer, model, clip, tmp_path):
    """Numbers and times are the whole video's; in the stream the first frame starts."""
    box = ('--box', '5,5,40,30')
    assert (
        infer(
            model, clip, '--out', tmp_path, '--start', '0.4s', '--end', '10', '--stride', '3', *box
        )
        is None
    )
    found = json.loads((tmp_path / 'clip.json').read_text())['frames']
    assert [(f['frame'], f['time']) for f in found] == [(4, 0.4), (7, 0.7)]
    assert len(frames_in(tmp_path / 'clip.mp4')) == 2
    image = frames_in(clip)[4]
    cv2.imwrite(str(tmp_path / 'still.png'), image)
    assert infer(model, tmp_path / 'still.png', '--out', tmp_path / 'one', *box) is None
    alone = json.loads((tmp_path / 'one/still.json').read_text())['frames']
    assert alone[0]['keypoints'] == found[0]['keypoints']
    says = infer(model, clip, '--out', tmp_path / 'none', '--start', '50')
    assert 'no frame from --start' in says and not (tmp_path / 'none').exists()


def test_smoothing_is_off_unless_asked_for_and_changes_joints_only(infer, model, clip, tmp_path):
    for name, options in (('raw', []), ('smooth', ['--smooth', 'min_cutoff=0.5', 'beta=0'])):
        assert infer(model, clip, '--out', tmp_path / name, '--save', 'json', *options) is None
    raw, smooth = (
        json.loads((tmp_path / name / 'clip.json').read_text())['frames']
        for name in ('raw', 'smooth')
    )
    assert raw[0] == smooth[0]
    a, b = (np.array([f['keypoints'] for f in frames]) for frames in (raw, smooth))
    np.testing.assert_array_equal(a[..., 2], b[..., 2])
    assert (
        np.abs(np.diff(b[..., :2], axis=0)).mean()
        < 0.5 * np.abs(np.diff(a[..., :2], axis=0)).mean()
    )
    assert [f['box'] for f in raw] == [f['box'] for f in smooth]
    assert 'min_cutoff must be above 0' in infer(
        model, clip, '--out', tmp_path / 'x', '--smooth', 'min_cutoff=-1'
    )


def test_files_are_smoothed_by_the_frames_before_and_after(infer, model, clip, tmp_path):
    saved = '--save', 'json', 'csv', '--smooth'
    assert infer(model, clip, '--out', tmp_path / 'smooth', *saved) is None
    written = json.loads((tmp_path / 'smooth/clip.json').read_text())
    assert written['smooth'] == dict(filter='kernel')
    found = np.array([frame['keypoints'] for frame in written['frames']])
    bare = list(PoseInferencer(*model, kpt_thr=-9)(clip))
    expected = list(KernelSmoother()(bare))
    np.testing.assert_allclose(found[..., :2], [r.keypoints[0] for r in expected], atol=0.006)
    assert np.abs(found[..., :2] - [r.keypoints[0] for r in bare]).max() > 0.5
    assert len(rows(tmp_path / 'smooth/clip.csv')) == 11 * 13
    assert infer(model, clip, '--out', tmp_path / 'past', *saved, 'beta=5') is None
    said = json.loads((tmp_path / 'past/clip.json').read_text())['smooth']
    assert said == dict(filter='one_euro', min_cutoff=2, beta=5, derivative_cutoff=1)


def test_results_that_nobody_should_trust_are_told(command, tmp_path, capsys):
    demo = Path(__file__).parents[2] / 'demo/squat.mp4'
    blank = tmp_path / 'blank'
    blank.mkdir()
    for n in range(3):
        cv2.imwrite(str(blank / f'{n}.png'), np.full((120, 160, 3), 90, np.uint8))
    for source, remark in (
        (demo, ''),
        (blank, 'nobody was found'),
        (demo, 'of the joints are right'),
    ):
        where = ['--box', '5,5,60,60'] if 'joints' in remark else []
        out = tmp_path / str(len(remark))
        status, _ = command('infer', source, '--out', out, '--save', 'json', '--end', '3', *where)
        said = capsys.readouterr()
        lines = [line for line in (said.out + said.err).splitlines() if f'{source}: ' in line]
        assert not status and [remark in line for line in lines] == [True] * bool(remark)


def test_cocos_joints_in_every_file(infer, model, clip, tmp_path):
    assert (
        infer(
            model,
            clip,
            '--out',
            tmp_path,
            '--joints',
            'coco17',
            '--save',
            'json',
            'coco',
            'mmpose',
            'video',
        )
        is None
    )
    data = json.loads((tmp_path / 'clip.json').read_text())
    assert len(data['joints']) == 17 and data['joints'][0] == 'nose'
    points = np.array([frame['keypoints'] for frame in data['frames']])
    assert (points[:, :5] == 0).all() and (points[:, 5:, 2] != 0).all(), 'Penn has no face'
    coco = json.loads((tmp_path / 'clip.coco.json').read_text())
    np.testing.assert_array_equal(coco[3]['keypoints'], points[3].ravel())
    meta = json.loads((tmp_path / 'clip.mmpose.json').read_text())['meta_info']
    assert meta['dataset_name'] == 'coco' and len(frames_in(tmp_path / 'clip.mp4')) == 11


def test_folders_and_globs(infer, model, tmp_path):
    videos, shots = tmp_path / 'videos', tmp_path / 'shots'
    videos.mkdir()
    shots.mkdir()
    for name in ('b2', 'b10'):
        write_video(videos / f'{name}.avi', 4)
    for number in (10, 9):
        cv2.imwrite(str(shots / f'shot_{number}.png'), np.zeros((36, 48, 3), np.uint8))
    (videos / 'broken.mp4').write_bytes(b'\0' * 500)
    options = ('--save', 'csv')
    says = infer(model, videos, shots / 'shot_*.png', '--out', tmp_path / 'out', *options)
    assert says.startswith(f'{videos / "broken.mp4"}: not a video that can be opened (')
    assert sorted(p.name for p in (tmp_path / 'out').iterdir()) == ['b10.csv', 'b2.csv', 'shot.csv']
    assert len(rows(tmp_path / 'out/shot.csv')) == 2 * 13
    write_video(videos / 'b2.mp4', 4)
    says = infer(model, f'{videos}/b2.*', '--out', tmp_path / 'two', *options)
    assert 'would be named as those of' in says


def test_the_command_line(model, clip, tmp_path, capsys):
    assert (
        main(
            ['infer', *model, str(clip), '--out', str(tmp_path), '--save', 'csv', '--device', 'cpu']
        )
        == 0
    )
    assert '11 frames' in capsys.readouterr().out and (tmp_path / 'clip.csv').exists()


@pytest.mark.parametrize('words', [['a.py'], ['a.py', 'b.pth']])
def test_a_config_without_checkpoint_or_input_is_refused(infer, words):
    says = infer(words)
    assert says.startswith('a.py: a config is followed by CHECKPOINT and INPUT, got ')
    assert says.endswith(words[1] if words[1:] else 'nothing')


@pytest.mark.parametrize('words', [['b.pth', 'a.py', 'v.mp4'], ['v.mp4', 'b.pth']])
def test_a_model_in_the_wrong_place_is_no_input(infer, words):
    assert 'CONFIG (NAME.py) and CHECKPOINT come first' in infer(words)


def test_help_and_nothing(capsys):
    for words, status in ((['--help'], 0), ([], 2)):
        with pytest.raises(SystemExit) as stop:
            main(['infer', *words])
        assert stop.value.code == status
    assert 'required: INPUT' in capsys.readouterr().err


# Stopped and taken up again


def wait_for(condition, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, 'nothing happens'
        time.sleep(0.01)


def lines(path: Path) -> int:
    return path.read_bytes().count(b'\n') if path.exists() else 0


def test_a_killed_run_has_kept_all_and_is_taken_up_again(infer, model, tmp_path):
    """SIGKILL, in the middle of a real process; then the rest equals an uninterrupted run."""
    # Smaller frames x264 does not code alike every time.
    video = write_video(tmp_path / 'long.avi', 120, size=(128, 96))
    saved = ('--save', 'video', 'json', 'csv', 'npz', 'coco', 'mmpose')
    common = [*model, str(video), '--device', 'cpu', '--kpt-thr', '-9', *saved]
    out = tmp_path / 'out'
    part = out / 'long.incomplete'
    process = subprocess.Popen(
        [sys.executable, '-m', 'rpstn', 'infer', *common, '--out', str(out)],
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
        stdout=subprocess.DEVNULL,
    )
    wait_for(lambda: lines(part / 'long.csv') > 30 * 13)
    seen = (lines(part / 'long.csv') - 1) // 13
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert [p.name for p in out.iterdir()] == ['long.incomplete']
    table = rows(part / 'long.csv')
    done = len(table) // 13
    assert seen <= done < 120 and len(table) == 13 * done and None not in table[-1].values()
    for name, key in (('json', 'frames'), ('mmpose.json', 'instance_info'), ('coco.json', None)):
        content = json.loads((part / f'long.{name}').read_text())
        assert abs(len(content[key] if key else content) - done) <= 1
    assert abs(lines(part / 'journal.jsonl') - 1 - done) <= 1
    # A line that the kill has cut.
    with open(part / 'journal.jsonl', 'ab') as file:
        file.write(b'{"frame": 9')
    assert 'add --resume' in infer(model, video, '--out', out, *saved)
    says = infer(model, video, '--out', out, *saved, '--resume', '--box', 'frame')
    assert 'another box ("follow" instead of "frame")' in says
    assert len(rows(part / 'long.csv')) == len(table)
    assert infer(model, video, '--out', out, *saved, '--resume') is None
    assert infer(model, video, '--out', tmp_path / 'whole', *saved) is None
    assert not part.exists()
    for name in ('json', 'csv', 'coco.json', 'mmpose.json'):
        assert (out / f'long.{name}').read_bytes() == (
            tmp_path / f'whole/long.{name}'
        ).read_bytes(), name
    with np.load(out / 'long.npz') as ours, np.load(tmp_path / 'whole/long.npz') as whole:
        for name in whole.files:
            np.testing.assert_array_equal(ours[name], whole[name])
    ours, whole = (frames_in(folder / 'long.mp4') for folder in (out, tmp_path / 'whole'))
    assert len(ours) == 120
    np.testing.assert_array_equal(ours, whole)


def test_ctrl_c_keeps_what_is_done_and_resuming_a_stream_keeps_its_people(
    infer, model, tmp_path, capsys
):
    video = write_video(tmp_path / 'long.avi', 150)
    out = tmp_path / 'out'
    part = out / 'long.incomplete'

    def press():
        wait_for(lambda: lines(part / 'long.csv') > 30 * 13)
        os.kill(os.getpid(), signal.SIGINT)

    # A shell that starts these tests in the background has them ignore it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    thread = threading.Thread(target=press)
    thread.start()
    status = infer(model, video, '--out', out, '--mode', 'stream')
    thread.join()
    signal.signal(signal.SIGINT, before)
    assert status == 130 and 'with --resume the run goes on' in capsys.readouterr().err
    before = json.loads((part / 'long.json').read_text())['frames']
    assert len(frames_in(part / 'long.mp4')) in (len(before), len(before) - 1)
    assert infer(model, video, '--out', out, '--mode', 'stream', '--resume') is None
    after = json.loads((out / 'long.json').read_text())['frames']
    assert after[: len(before)] == before and [f['frame'] for f in after] == list(range(150))
    assert {f['person'] for f in after} == {0}
    # The recurrence started anew in the first new frame, and nowhere else.
    known = [f['frame'] for f in after if f['state'] == 'started']
    assert known[0] == 0 and len(known) == 2 and abs(known[1] - len(before)) <= 1
    assert len(frames_in(out / 'long.mp4')) == 150


def test_a_folder_that_is_no_interrupted_run(infer, model, clip, tmp_path):
    (tmp_path / 'clip.incomplete').mkdir()
    (tmp_path / 'clip.incomplete/journal.jsonl').write_text('not json\n')
    assert 'no journal.jsonl that can be read' in infer(model, clip, '--out', tmp_path, '--resume')
    assert (tmp_path / 'clip.incomplete/journal.jsonl').exists()


# Live


class Camera(http.server.BaseHTTPRequestHandler):
    """A network camera: motion JPEG over HTTP, which breaks off after some frames."""

    def do_GET(self):
        camera = self.server
        if not camera.lives:
            self.send_error(503)
            return
        self.send_response(200)
        self.send_header('Content-Type', 'multipart/x-mixed-replace; boundary=frame')
        self.end_headers()
        try:
            for number in range(camera.frames):
                camera.lives -= number == 5  # not for being asked what it has only
                camera.sent += 1
                image = np.full((36, 48, 3), camera.sent % 250, np.uint8)
                data = cv2.imencode('.jpg', image)[1].tobytes()
                self.wfile.write(
                    b'--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n'
                    b'\r\n%s\r\n' % (len(data), data)
                )
                time.sleep(0.02)
        except OSError:
            pass

    def log_message(self, *args):
        pass


@pytest.fixture
def camera():
    """A server with ``lives`` connections of ``frames`` frames; ``url`` is its address."""
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Camera)
    server.lives, server.frames, server.sent = 1, 40, 0
    server.url = f'http://me:secret@127.0.0.1:{server.server_port}/live.mjpg'
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_a_live_stream_ends_where_it_is_told_to(infer, model, camera, tmp_path, capsys):
    """Streaming by itself; numbers tell of dropped frames, and the video runs in real time."""
    camera.frames = 200
    assert infer(model, camera.url, '--out', tmp_path, '--end', '1s', '--fps', '20') is None
    names = sorted(p.name for p in tmp_path.iterdir())
    stem = f'127.0.0.1_{camera.server_port}_live.mjpg'
    assert names == [f'{stem}.csv', f'{stem}.json', f'{stem}.mp4']
    text = (tmp_path / f'{stem}.json').read_text()
    data = json.loads(text)
    assert data['mode'] == 'stream' and 'secret' not in text
    times = [f['time'] for f in data['frames']]
    assert times[-1] < 1 and np.all(np.diff(times) > 0)
    assert len(frames_in(tmp_path / f'{stem}.mp4')) == round(times[-1] * 20) + 1


def test_a_stream_that_drops_is_opened_again_and_then_given_up(camera, tmp_path):
    camera.lives = 2
    source = LiveSource(camera.url, wait=0.05, retries=2, timeout=3)
    frames = []
    with pytest.raises(
        UnreadableFrameError,
        match=r'127.0.0.1:\d+/live.mjpg: the stream broke '
        'off, and could not be opened again in 2 attempts',
    ) as stop:
        for frame in source:
            frames.append(frame)
            time.sleep(0.03)  # slower than the camera
    assert source.reconnected == 1 and source.dropped > 5 and 'secret' not in str(stop.value)
    numbers = [frame.index for frame in frames]
    assert numbers == sorted(set(numbers)) and numbers[-1] >= 50
    # Newest first: what is looked at is at most a few frames old.
    shown = [int(frame.image.mean()) for frame in frames]
    assert np.all(np.diff(shown) > 0)


def test_what_a_broken_stream_has_shown_is_kept(infer, model, camera, tmp_path):
    says = infer(model, camera.url, '--out', tmp_path, '--save', 'csv', '--retries', '1')
    assert 'broke off' in says and 'secret' not in says and '\n' not in says
    assert len(rows(next(tmp_path.glob('*.csv')))) > 100
    assert not list(tmp_path.glob('*.incomplete'))


# Bad input


def truncated(path: Path, source: Path, share: float) -> Path:
    data = source.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


@pytest.fixture(scope='module')
def bad(tmp_path_factory) -> dict[str, tuple]:
    """Arguments that cannot work, and what is said of them."""
    folder = tmp_path_factory.mktemp('bad')
    whole = write_video(folder / 'whole.mp4', 12)
    (folder / 'empty.mp4').write_bytes(b'')
    (folder / 'noise.mp4').write_bytes(np.random.default_rng(0).bytes(5000))
    (folder / 'noise.png').write_bytes(b'\x89PNG\r\n\x1a\n' + bytes(50))
    (folder / 'empty.jpg').write_bytes(b'')
    (folder / 'nothing').mkdir()
    (folder / 'file').write_text('')
    return {
        'no such camera': (['41'], 'camera 41: cannot be opened'),
        'no such stream': (['rtsp://127.0.0.1:9/a'], 'rtsp://127.0.0.1:9/a: cannot be opened'),
        'empty': ([folder / 'empty.mp4'], 'empty.mp4: the file is empty'),
        'noise': ([folder / 'noise.mp4'], 'noise.mp4: not a video'),
        'without its index': ([truncated(folder / 'cut.mp4', whole, 0.8)], 'cut.mp4: not a video'),
        'broken image': ([folder / 'noise.png'], 'not an image that decodes'),
        'empty image': ([folder / 'empty.jpg'], 'not an image that decodes'),
        'empty folder': ([folder / 'nothing'], 'holds no images'),
        'glob': ([folder / '*.mov'], '*.mov: fits no file'),
        'order': ([whole, '--start', '9', '--end', '9'], '--end must come after --start'),
        'precision': (
            [whole, '--engine', 'onnx', '--precision', 'bfloat16'],
            'precision of engine onnx must be one of',
        ),
        'several people in clips': (
            [whole, '--people', '2', '--mode', 'clip'],
            "needs mode 'stream'",
        ),
        'detector': (
            [whole, '--finder', 'motion', '--det-weights', 'person.pth'],
            '--det-weights are of --finder rtmdet, got --finder motion',
        ),
        'finder in clips': (
            [whole, '--finder', 'motion', '--mode', 'clip'],
            "--finder needs mode 'stream'",
        ),
        'finder and box': (
            [whole, '--finder', 'motion', '--box', 'frame'],
            'would leave the finder nothing to look for',
        ),
        'fps': ([whole, '--fps', '-1'], '--fps must be above 0'),
        'smooth': ([whole, '--smooth', 'beta'], "--smooth must be key=value, got 'beta'"),
        'unknown filter': ([whole, '--smooth', 'lag=1'], 'lag'),
    }


@pytest.mark.parametrize(
    'case',
    [
        'no such camera',
        'no such stream',
        'empty',
        'noise',
        'without its index',
        'broken image',
        'empty image',
        'empty folder',
        'glob',
        'order',
        'precision',
        'several people in clips',
        'detector',
        'finder in clips',
        'finder and box',
        'fps',
        'smooth',
        'unknown filter',
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(infer, model, bad, tmp_path, case):
    arguments, says = bad[case]
    out = tmp_path / 'out'
    message = infer(model, *arguments, '--out', out)
    assert says in message and '\n' not in message and len(message) < 300
    assert not out.exists()


def test_a_truncated_video_gives_the_frames_it_has_and_says_so(infer, model, tmp_path, capsys):
    whole = write_video(tmp_path / 'whole.avi', 40)
    cut = truncated(tmp_path / 'cut.avi', whole, 0.5)
    assert infer(model, cut, '--out', tmp_path / 'out') is None
    said = capsys.readouterr().out
    frames = json.loads((tmp_path / 'out/cut.json').read_text())['frames']
    assert 10 < len(frames) < 40 and f'{len(frames)} could be decoded' in said


def test_what_cannot_be_decoded_is_named_and_all_else_done(infer, model, tmp_path, capsys):
    """A folder with a damaged video, a whole one, and a photo, which is left out."""
    folder = tmp_path / 'dcim'
    folder.mkdir()
    images = [np.full((36, 48, 3), 40 + 10 * t, np.uint8) for t in range(8)]
    damaged(encode(folder / '1.mp4', images), [4], b'\x00\x00\x00\x10\x01')
    encode(folder / '2.mp4', images)
    cv2.imwrite(str(folder / 'photo.jpg'), images[0])
    says = infer(model, folder, '--out', tmp_path / 'out', '--save', 'csv')
    assert says == f'{folder}/1.mp4: frame 4 cannot be decoded; all else is in the results'
    assert f'{folder}: left out photo.jpg' in capsys.readouterr().out
    found = rows(tmp_path / 'out/1.csv')[::13]
    assert [int(row['frame']) for row in found] == [0, 1, 2, 3, 5, 6, 7]
    assert [float(row['time']) for row in found] == [0, 0.1, 0.2, 0.3, 0.5, 0.6, 0.7]
    assert len(rows(tmp_path / 'out/2.csv')) == 8 * 13


def test_lite_finds_people_by_itself(command, tmp_path):
    """Two real people side by side, one of them upside down, without a word on where."""
    try:
        video = cv2.VideoCapture(str(find_data('videos/squat_bending_forward.mp4')))
    except FileNotFoundError as error:
        pytest.skip(f'needs real data: {error}')
    images = [video.read()[1] for _ in range(24)][20:]
    folder = tmp_path / 'frames'
    folder.mkdir()
    for number, image in enumerate(images):
        both = np.concatenate([image, image[::-1]], axis=1)
        cv2.imwrite(str(folder / f'{number}.png'), both)
    arguments = [folder, '--save', 'csv', '--device', 'cpu', '--people', '2', '--out']
    assert command('infer', *arguments, tmp_path / 'default')[0] == 0
    found = rows(tmp_path / 'default/frames.csv')
    assert {row['person'] for row in found} == {'0', '1'}
    hips = {  # each looked at: 110, 280 and its mirror image
        person: np.mean(
            [
                (float(row['x']), float(row['y']))
                for row in found
                if row['person'] == person and 'hip' in row['joint']
            ],
            axis=0,
        )
        for person in '01'
    }
    left, right = sorted(hips.values(), key=lambda hip: hip[0])
    assert np.linalg.norm(left - (110, 280)) < 40
    assert np.linalg.norm(right - (350, 425 - 280)) < 40
    assert command('infer', *arguments, tmp_path / 'named', '--finder', 'blazepose')[0] == 0
    assert rows(tmp_path / 'named/frames.csv') == found


def test_lite_leaves_calm_frames_to_those_around_them(command, tmp_path):
    demo = Path(__file__).parents[2] / 'demo/squat.mp4'
    arguments = ['infer', demo, '--fps', '30', '--save', 'json', '--device', 'cpu', '--out']
    states = {}
    for out, more in (('calm', []), ('every', ['--every-frame']), ('reset', ['--reset-every', 9])):
        assert command(*arguments, tmp_path / out, *more)[0] == 0
        found = json.loads((tmp_path / out / 'squat.json').read_text())['frames']
        assert [row['frame'] for row in found] == list(range(46))
        states[out] = [row['state'] for row in found]
    assert states['calm'].count('between') >= 10
    assert states['calm'][0] == 'started' and states['calm'][-1] == 'tracked'
    assert 'between' not in states['every'] and 'between' not in states['reset']
    assert states['reset'].count('started') == 6


class Interrupted(MotionFinder):
    """Somebody presses Ctrl-C in the sixth frame."""

    def observe(self, image, stream=0):
        self.seen = getattr(self, 'seen', 0) + 1
        if self.seen == 6:
            raise KeyboardInterrupt
        super().observe(image, stream)


def test_what_is_said_of_the_detector_reaches_it(infer, model, clip, tmp_path, monkeypatch):
    built, finders = [], [Interrupted(), MotionFinder(), MotionFinder()]

    def build(name, **options):
        built.append((name, options))
        return finders.pop(0)

    monkeypatch.setattr('rpstn.inference.run.build_finder', build)
    weights = tmp_path / 'person.pth'
    weights.write_bytes(b'1')
    arguments = [
        clip,
        '--out',
        tmp_path / 'out',
        '--save',
        'json',
        '--finder',
        'rtmdet',
        '--det-model',
        'rtmdet_tiny',
        '--det-weights',
        weights,
    ]
    assert infer(model, *arguments) == 130
    assert built == [('rtmdet', dict(config='rtmdet_tiny', checkpoint=str(weights), device='cpu'))]
    weights.write_bytes(b'22')
    assert 'had another detector' in infer(model, *arguments, '--resume')
    weights.write_bytes(b'1')
    assert infer(model, *arguments, '--resume') is None
    assert len(json.loads((tmp_path / 'out/clip.json').read_text())['frames']) == 11


def test_a_run_goes_on_with_the_same_video_and_weights_only(infer, model, tmp_path, monkeypatch):
    """Of the same names, sizes and times; told by content."""
    finders = iter([Interrupted(), *(MotionFinder() for _ in range(9))])
    monkeypatch.setattr('rpstn.inference.run.build_finder', lambda *_, **__: next(finders))
    video, weights = write_video(tmp_path / 'clip.avi', 11), tmp_path / 'weights.pth'
    torch.save(torch.load(model[1], weights_only=True), weights)
    arguments = [video, '--out', tmp_path / 'out', '--save', 'json', '--finder', 'motion']

    def resume() -> str | int | None:
        return infer([model[0], str(weights)], *arguments, '--resume')

    assert infer([model[0], str(weights)], *arguments) == 130

    def other_frames(path: Path) -> None:
        content = path.read_bytes()
        path.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])

    def other_weights(path: Path) -> None:
        saved = torch.load(path, weights_only=True)
        next(value for value in saved['state_dict'].values() if value.ndim).view(-1)[0] += 1
        torch.save(saved, path)

    for path, change, said in (
        (video, other_frames, 'had another content'),
        (weights, other_weights, 'had another weights'),
    ):
        before, kept = path.stat(), path.read_bytes()
        change(path)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert path.stat().st_size == before.st_size
        assert said in resume()
        path.write_bytes(kept)
    saved = torch.load(weights, weights_only=True)
    torch.save(dict(state_dict=saved['state_dict'], meta={}), weights)  # the same in another file
    assert resume() is None
    assert len(json.loads((tmp_path / 'out/clip.json').read_text())['frames']) == 11


def test_the_content_of_images_is_each_of_them(tmp_path):
    for number in range(3):
        cv2.imwrite(str(tmp_path / f'{number}.png'), np.full((8, 8, 3), number, np.uint8))
    before = content_sha256(open_frames(tmp_path))
    assert before == content_sha256(open_frames(tmp_path))
    (tmp_path / '1.png').rename(tmp_path / 'a.png')
    (tmp_path / '2.png').rename(tmp_path / '1.png')
    (tmp_path / 'a.png').rename(tmp_path / '2.png')
    assert before != content_sha256(open_frames(tmp_path))


def test_a_window_where_there_is_none(infer, model, clip, tmp_path, monkeypatch):
    for name in ('DISPLAY', 'WAYLAND_DISPLAY', 'QT_QPA_PLATFORM'):
        monkeypatch.delenv(name, raising=False)
    says = infer(model, clip, '--show', '--out', tmp_path / 'out')
    assert '--show needs a screen' in says and not (tmp_path / 'out').exists()
    assert '--out is needed' in infer(model, clip)
