"""Repetitions counted as they are done."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from rpstn.assess.live import LiveCounter, LiveState, draw_state
from rpstn.cli.main import main
from rpstn.form.angles import measure_angles
from rpstn.form.exercises import FOLDER, count, load_exercise
from rpstn.inference.inferencer import PoseInferencer
from rpstn.lift import Track, lift
from rpstn.lift.sources import in_own_axes
from rpstn.skeletons import get_skeleton

SQUAT = Path(__file__).parents[2] / 'demo/squat.mp4'
FPS = 12.5


@pytest.fixture(scope='module')
def people():
    """Who does one squat, from standing to standing."""
    results = PoseInferencer(world=True, mode='stream')(SQUAT)
    return [result.people[0] for result in results if result.people]


@pytest.fixture(scope='module')
def joints(people):
    """(T, 33, 3)."""
    return np.stack([in_own_axes(person.world) for person in people])


def test_a_set_is_counted_while_it_is_done(joints):
    counter = LiveCounter('squat')
    counts, phases, kept = [], [], []
    for number, pose in enumerate(np.concatenate([joints] * 4)):
        phase, _ = counter.add(pose, number / FPS)
        counts.append(counter.count)
        phases.append(phase)
        kept.append(len(counter._times))
    # One more in each round: never fewer, and each soon after it has ended.
    rounds = np.reshape(counts, (4, len(joints)))
    assert rounds[:, -1].tolist() == [1, 2, 3, 4] and (np.diff(counts) >= 0).all()
    order = [phase for phase, last in zip(phases, ['', *phases]) if phase != last]
    assert order[:4] in (['rest', 'down', 'turn', 'up'], ['rest', 'down', 'up', 'rest'])
    assert max(kept) < 2.5 * len(joints)  # of the past only what is needed is kept


def test_it_counts_what_the_report_counts(joints):
    poses = np.concatenate([joints] * 3)
    times = np.arange(len(poses)) / FPS
    exercise = load_exercise('squat')
    angles = measure_angles(poses, get_skeleton('blazepose33'), upright=False)
    whole = [one for one in count(angles, times, exercise) if not one.partial]
    counter = LiveCounter('squat')
    for pose, moment in zip(poses, times):
        counter.add(pose, moment)
    assert counter.count == len(whole) == 3


def test_repetitions_are_judged_by_joints_as_reports_have_them(people, joints):
    counter = LiveCounter('squat')
    for number, (person, pose) in enumerate(zip(people, joints)):
        counter.add(pose, number / FPS, person.keypoints)
        if counter.count:
            break
    lifted, kept = counter._lifted(), len(counter._joints)
    count = len(people) if not counter.count else number + 1
    scores, frames = np.ones((count, 33)), np.arange(count)
    image = np.stack([person.keypoints for person in people[:count]])
    skeleton = get_skeleton('blazepose33')
    track = Track(image, scores, frames / FPS, frames, skeleton, world=in_own_axes(joints[:count]))
    expected = lift(track, tilt=0, cutoff=None)
    assert expected.source == 'fused' and kept == count
    np.testing.assert_allclose(lifted, expected.joints)
    assert counter.count == 1 and 'hips come down' in counter.worst  # the clip stays too high


def test_what_turns_elsewhere_is_no_repetition(joints, tmp_path):
    deeper = json.loads((FOLDER / 'squat.json').read_text()) | {'bottom': {'hip_drop': [105, 110]}}
    path = tmp_path / 'deeper.json'
    path.write_text(json.dumps(deeper))
    counter = LiveCounter(path)
    for number, pose in enumerate(np.concatenate([joints] * 2)):
        counter.add(pose, number / FPS)
    assert counter.count == 0


def test_standing_counts_nothing_however_long(joints):
    counter = LiveCounter('squat')
    rng = np.random.default_rng(0)
    for number in range(300):
        phase, _ = counter.add(joints[0] + rng.normal(0, 0.004, (33, 3)), number / 10)
    assert counter.count == 0 and counter.worst == '' and len(counter._times) <= 201


def test_it_is_written_on_the_picture():
    image = np.full((240, 320, 3), 128, np.uint8)
    state = LiveState(1.0, 3, 'down', float('nan'), 'Go lower', 20.0)
    drawn = draw_state(image.copy(), state)
    assert (drawn != image).any() and drawn.shape == image.shape


def test_a_window_where_there_is_no_screen(monkeypatch, capsys):
    for name in ('DISPLAY', 'WAYLAND_DISPLAY', 'QT_QPA_PLATFORM'):
        monkeypatch.delenv(name, raising=False)
    assert main(['assess', str(SQUAT), '--show', '--device', 'cpu']) == 1
    assert '--show needs a screen' in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(shutil.which('Xvfb') is None, reason='Xvfb is not installed')
def test_it_counts_in_a_window():
    """On a screen in memory, by the command; needs an OpenCV with windows."""
    if 'NONE' in next(line for line in cv2.getBuildInformation().split('\n') if 'GUI:' in line):
        pytest.skip('OpenCV has no windows')
    reads, writes = os.pipe()
    command = ['Xvfb', '-displayfd', str(writes), '-screen', '0', '1280x800x24', '-nolisten', 'tcp']
    screen = subprocess.Popen(command, pass_fds=[writes], stderr=subprocess.DEVNULL)
    try:
        os.close(writes)
        with os.fdopen(reads) as told:
            display = f':{int(told.readline())}'
        done = subprocess.run(
            [sys.executable, '-m', 'rpstn', 'assess', str(SQUAT), '--show', '--device', 'cpu'],
            env={**os.environ, 'DISPLAY': display},
            capture_output=True,
            text=True,
            timeout=300,
        )
    finally:
        screen.terminate()
        screen.wait()
    assert done.returncode == 0, done.stderr[-2000:]
    assert '1 whole repetition; the last: Go down until the thighs are level: ' in done.stdout
