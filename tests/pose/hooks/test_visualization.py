"""Videos of predictions: read in one go, and never half written."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample

from rpstn.pose import ClipVisualizationHook
from rpstn.pose.datasets import PENN13, ClipDataset, PoseSequence, VideoReader


class OneVideo(ClipDataset):
    METAINFO = PENN13

    def __init__(self, path, **kwargs):
        self.path = path
        super().__init__(**kwargs)

    def load_sequences(self):
        yield PoseSequence(
            'a/film',
            VideoReader(str(self.path)),
            np.ones((9, 13, 2)),
            np.ones((9, 13), bool),
            np.zeros((9, 13), bool),
            np.tile(np.float32([4, 4, 40, 40]), (9, 1)),
            (64, 48),
        )


@pytest.fixture
def drawing(tmp_path):
    """Hook, runner and samples of a video of nine frames, each a level of grey."""
    path = tmp_path / 'film.avi'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 25, (64, 48))
    for t in range(9):
        writer.write(np.full((48, 64, 3), 25 * t + 10, np.uint8))
    writer.release()
    dataset = OneVideo(path, start='fixed')
    runner = SimpleNamespace(
        cfg=SimpleNamespace(visualizer=dict(type='PoseLocalVisualizer')),
        logger=SimpleNamespace(info=lambda text: None),
        test_dataloader=SimpleNamespace(dataset=dataset),
    )
    hook = ClipVisualizationHook(enable=True, out_dir=str(tmp_path / 'out'), kpt_thr=9)
    samples = [
        PoseDataSample(
            metainfo=dict(video='a/film', frame_index=t, padded=False),
            pred_instances=InstanceData(
                keypoints=np.ones((1, 13, 2)),
                keypoint_scores=np.ones((1, 13)),
                bboxes=np.float32([[4, 4, 40, 40]]),
                bbox_scores=np.ones(1),
            ),
        )
        for t in (0, 2, 4, 6, 8, 1, 3, 5, 7)
    ]
    return hook, runner, samples, tmp_path / 'out/a'


def test_a_video_is_opened_once_and_drawn_in_order(drawing, monkeypatch):
    hook, runner, samples, folder = drawing
    read, calls = VideoReader.read, []
    monkeypatch.setattr(
        VideoReader, 'read', lambda self, indices: calls.append(1) or read(self, indices)
    )
    hook.after_test_iter(runner, 0, outputs=samples)
    hook.after_test_epoch(runner)
    assert len(calls) == 1
    assert [path.name for path in folder.iterdir()] == ['film.mp4']
    levels = [np.median(frame) for frame in VideoReader(str(folder / 'film.mp4')).read(range(9))]
    np.testing.assert_allclose(levels, 25 * np.arange(9) + 10, atol=4)


def test_an_interrupt_leaves_the_earlier_video_as_it_was(drawing, monkeypatch):
    hook, runner, samples, folder = drawing
    folder.mkdir(parents=True)
    (folder / 'film.mp4').write_bytes(b'earlier')
    hook.after_test_iter(runner, 0, outputs=samples)
    read_frames = OneVideo.read_frames

    def interrupted(self, name, indices):
        for count, image in enumerate(read_frames(self, name, indices)):
            if count == 4:
                raise KeyboardInterrupt
            yield image

    monkeypatch.setattr(OneVideo, 'read_frames', interrupted)
    with pytest.raises(KeyboardInterrupt):
        hook.after_test_epoch(runner)
    assert [path.name for path in folder.iterdir()] == ['film.mp4']
    assert (folder / 'film.mp4').read_bytes() == b'earlier'
