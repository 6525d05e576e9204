"""Pictures of predictions while testing."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.visualization import Visualizer
from mmpose.registry import HOOKS
from mmpose.structures import PoseDataSample



@HOOKS.register_module()
class ClipVisualizationHook(Hook):
    """Draw predicted joints on the original frames, one video per sequence of the test set.

    Takes the options of MMPose's ``PoseVisualizationHook``, in whose place it stands: that hook
    reads one image file per sample, which a video's frame does not have.

    Args:
        enable (bool): set by ``tools/test.py --show-dir`` and ``--show``.
        interval (int): draw every so many sequences. Defaults to 1.
        kpt_thr (float): joints with a lower score are not drawn. Defaults to 0.1.
        show (bool): open a window; needs an OpenCV with windows.
        wait_time (float): seconds a shown frame stays.
        out_dir (str, optional): folder of ``<sequence>.mp4``.
        fps (float): of the videos. Defaults to 25.
    """

    def __init__(self, enable: bool = False, interval: int = 1, kpt_thr: float = 0.1,
                 show: bool = False, wait_time: float = 0., out_dir: str | None = None,
                 fps: float = 25) -> None:
        self.enable = enable
        self.interval = interval
        self.kpt_thr = kpt_thr
        self.show = show
        self.wait_time = wait_time
        self.out_dir = out_dir
        self.fps = fps
        self._videos: list[str] = []
        self._writer: cv2.VideoWriter | None = None

    def after_test_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None,
                        outputs: Sequence[PoseDataSample] | None = None) -> None:
        """Draw every frame of a batch."""
        if not self.enable:
            return
        visualizer = Visualizer.get_current_instance()
        dataset = runner.test_dataloader.dataset
        visualizer.set_dataset_meta(dataset.metainfo)
        for sample in outputs:
            meta = sample.metainfo
            if meta.get('padded', False) or not self._is_chosen(meta['video']):
                continue
            image = cv2.cvtColor(dataset.read_frame(meta['video'], meta['frame_index']),
                                 cv2.COLOR_BGR2RGB)
            visualizer.add_datasample(
                meta['video'], image, data_sample=sample, draw_gt=False, draw_bbox=True,
                show=self.show, wait_time=self.wait_time, kpt_thr=self.kpt_thr)
            if self.out_dir is not None:
                self._write(meta['video'], visualizer.get_image())

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Finish the last video."""
        if self._writer is not None:
            self._writer.release()
            runner.logger.info(f'Drawn predictions: {self.out_dir}')
        self._writer = None
        self._videos = []

    def _is_chosen(self, video: str) -> bool:
        if not self._videos or self._videos[-1] != video:
            self._videos.append(video)
        return (len(self._videos) - 1) % self.interval == 0

    def _write(self, video: str, image) -> None:
        path = Path(self.out_dir) / f'{video}.mp4'
        if self._writer is None or self._path != path:
            if self._writer is not None:
                self._writer.release()
            path.parent.mkdir(parents=True, exist_ok=True)
            self._path = path
            self._writer = cv2.VideoWriter(
                str(path), cv2.VideoWriter_fourcc(*'mp4v'), self.fps, image.shape[1::-1])
            if not self._writer.isOpened():
                raise OSError(f'{path}: OpenCV cannot write this video')
        self._writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
