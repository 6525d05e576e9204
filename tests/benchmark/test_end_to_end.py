"""The speed of `rpstn infer` as a whole."""

import json

import cv2
import numpy as np
import pytest

from rpstn.benchmark import end_to_end
from rpstn.errors import RPSTNError
from rpstn.video.frames import VideoWriter, open_frames


@pytest.fixture
def video(tmp_path, monkeypatch):
    """Five frames of another shape, each a little brighter; and short runs."""
    monkeypatch.setattr(end_to_end, 'FRAMES', 12)
    path = tmp_path / 'tall.avi'
    with VideoWriter(path, 10, (96, 192)) as writer:
        for t in range(5):
            writer.write(np.full((192, 96, 3), 60 + 40 * t, np.uint8))
    return path


def test_the_video_has_the_stated_size_and_goes_forwards_and_backwards(video, tmp_path):
    end_to_end.write_video(video, tmp_path / 'wide.mp4')
    images = [frame.image for frame in open_frames(tmp_path / 'wide.mp4')]
    assert len(images) == 12 and images[0].shape == (480, 640, 3)
    # 96x192 becomes 240x480 in the middle.
    middle = np.array([image[240, 320, 0] for image in images], int)
    assert np.abs(middle - (60 + 40 * np.array([0, 1, 2, 3, 4, 3, 2, 1, 0, 1, 2, 3]))).max() < 12
    assert images[4][240, [190, 450]].max() < 12 and images[4][[5, 475], 320].min() > 180


def test_the_command_really_runs_and_its_failure_is_told(video, tmp_path):
    end_to_end.write_video(video, tmp_path / 'wide.mp4')
    rate = end_to_end.run_infer(tmp_path / 'wide.mp4', 1, '--out', str(tmp_path / 'out'))
    frames = json.loads((tmp_path / 'out/wide.json').read_text())['frames']
    assert rate > 0 and [entry['frame'] for entry in frames] == list(range(12))
    cv2.imwrite(str(tmp_path / 'one.png'), np.zeros((48, 64, 3), np.uint8))
    with pytest.raises(RPSTNError, match='infer .*one.png'):  # one frame, not twelve
        end_to_end.run_infer(tmp_path / 'one.png', 1, '--out', str(tmp_path / 'out'))


@pytest.mark.slow
def test_every_engine_is_run_in_turns_and_a_failure_does_not_end_the_rest(video, monkeypatch):
    run, calls = end_to_end.run_infer, []

    def failing(source, threads, *options):
        calls.append(options[1:4:2])
        return run(source, threads, *options, *(['--precision', 'none'] if len(calls) == 1 else []))

    monkeypatch.setattr(end_to_end, 'run_infer', failing)
    section = end_to_end.measure_end_to_end(video, 1, turns=1)
    assert [row[0] for row in section.rows] == [' '.join(call) for call in calls]
    assert section.rows[0] == ['torch float32', 'failed', ''] and len(section.rows) > 3
    assert all(float(row[1]) > 0 for row in section.rows[1:])
    assert "invalid choice: 'none'" in section.text and '640x480' in section.markdown()
