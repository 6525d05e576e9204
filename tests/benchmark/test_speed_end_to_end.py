"""The speed of `rpstn infer` as a whole."""

import cv2
import numpy as np
import pytest

from rpstn.benchmark import speed_end_to_end
from rpstn.benchmark.speed_end_to_end import end_to_end_table
from rpstn.cli.main import main
from rpstn.video.frames import VideoWriter, open_frames


@pytest.fixture
def video(tmp_path, monkeypatch):
    """Five frames of another shape, each a little brighter; and short runs."""
    monkeypatch.setattr(speed_end_to_end, 'FRAMES', 12)
    path = tmp_path / 'tall.avi'
    with VideoWriter(path, 10, (96, 192)) as writer:
        for t in range(5):
            writer.write(np.full((192, 96, 3), 60 + 40 * t, np.uint8))
    return path


def test_the_video_has_the_stated_size_and_goes_forwards_and_backwards(video, tmp_path):
    speed_end_to_end._write(video, tmp_path / 'wide.mp4')
    images = [frame.image for frame in open_frames(tmp_path / 'wide.mp4')]
    assert len(images) == 12 and images[0].shape == (480, 640, 3)
    # 96x192 becomes 240x480 in the middle.
    middle = np.array([image[240, 320, 0] for image in images], int)
    assert np.abs(middle - (60 + 40 * np.array([0, 1, 2, 3, 4, 3, 2, 1, 0, 1, 2, 3]))).max() < 12
    assert images[4][240, [190, 450]].max() < 12 and images[4][[5, 475], 320].min() > 180


def test_the_command_really_runs_and_its_failure_is_told(video, tmp_path):
    speed_end_to_end._write(video, tmp_path / 'wide.mp4')
    rate = speed_end_to_end._run(tmp_path / 'wide.mp4', 1, '--out', str(tmp_path / 'out'))
    assert rate > 0 and (tmp_path / 'out/wide.json').stat().st_size > 1000
    cv2.imwrite(str(tmp_path / 'one.png'), np.zeros((48, 64, 3), np.uint8))
    with pytest.raises(ValueError, match='infer .*one.png'):  # one frame, not twelve
        speed_end_to_end._run(tmp_path / 'one.png', 1, '--out', str(tmp_path / 'out'))


def test_the_table_and_a_missing_video(capsys, tmp_path):
    text = end_to_end_table({'torch float32': [20.0, 10.0, 30.0], 'onnx int8': []})
    assert '| torch float32 | 20.0 ' in ' '.join(text.split()) and '10.0 to 30.0' in text
    assert '| onnx int8 | failed' in ' '.join(text.split())
    (tmp_path / 'a.py').write_text('')
    assert main(['benchmark', str(tmp_path / 'a.py'), '--end-to-end']) == 1
    assert '--end-to-end needs --video' in capsys.readouterr().err
