"""Videos of predictions while testing and validating."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.visualization import Visualizer
from mmpose.registry import HOOKS, VISUALIZERS
from mmpose.structures import PoseDataSample

from rpstn.files import replacing
from rpstn.video.frames import VideoWriter
from rpstn.video.readers import size_of

from ..datasets.clip_dataset import ClipDataset


@HOOKS.register_module()
class ClipVisualizationHook(Hook):
    """Draw predicted joints on the original frames, one video per sequence of the data set.

    Takes the options of MMPose's ``PoseVisualizationHook``, in whose place it stands: that hook
    reads one image file per sample, which a video's frame does not have. Needs one process, which
    sees the clips of a sequence one after another.

    Args:
        enable: set by the tools' ``--show-dir`` and ``--show``.
        interval: draw every so many sequences. Defaults to 1.
        kpt_thr: joints with a lower score are not drawn. Defaults to 0.1.
        show: open a window; needs an OpenCV with windows.
        wait_time: seconds a shown frame stays.
        out_dir: folder of ``<sequence>.mp4``; those of a validation are in its
            folder ``epoch_<n>``.
        fps: of the videos. Defaults to 25.
    """

    def __init__(
        self,
        enable: bool = False,
        interval: int = 1,
        kpt_thr: float = 0.1,
        show: bool = False,
        wait_time: float = 0.0,
        out_dir: str | None = None,
        fps: float = 25,
    ) -> None:
        self.enable = enable
        self.interval = interval
        self.kpt_thr = kpt_thr
        self.show = show
        self.wait_time = wait_time
        self.out_dir = out_dir
        self.fps = fps
        self._visualizer: Visualizer | None = None
        self._num_videos = 0
        self._video: str | None = None
        self._frames: dict[int, PoseDataSample] = {}  # of the video being collected

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: Sequence[PoseDataSample] | None = None,
    ) -> None:
        """Collect a batch's frames, and draw the sequences that they end."""
        if self.enable:
            self._collect(runner, outputs, runner.test_dataloader.dataset, self.out_dir)

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: Sequence[PoseDataSample] | None = None,
    ) -> None:
        """As :meth:`after_test_iter`."""
        if self.enable:
            self._collect(runner, outputs, runner.val_dataloader.dataset, self._val_dir(runner))

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Draw the last sequence."""
        if self.enable:
            self._finish(runner, runner.test_dataloader.dataset, self.out_dir)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Draw the last sequence."""
        if self.enable:
            self._finish(runner, runner.val_dataloader.dataset, self._val_dir(runner))

    def _val_dir(self, runner: Runner) -> str | None:
        if self.out_dir is None:
            return None
        return str(Path(self.out_dir) / f'epoch_{runner.epoch}')

    def _collect(
        self,
        runner: Runner,
        samples: Sequence[PoseDataSample] | None,
        dataset: ClipDataset,
        out_dir: str | None,
    ) -> None:
        for sample in samples or ():
            meta = sample.metainfo
            if meta.get('padded', False):
                continue
            if meta['video'] != self._video:
                self._draw(runner, dataset, out_dir)
                self._video = meta['video']
            self._frames[meta['frame_index']] = sample

    def _finish(self, runner: Runner, dataset: ClipDataset, out_dir: str | None) -> None:
        self._draw(runner, dataset, out_dir)
        self._video, self._num_videos = None, 0
        if out_dir is not None:
            runner.logger.info(f'Drawn predictions: {out_dir}')

    def _draw(self, runner: Runner, dataset: ClipDataset, out_dir: str | None) -> None:
        """Draw the collected sequence in temporal order (strided clips come in another)."""
        frames, self._frames = self._frames, {}
        if not frames:
            return
        self._num_videos += 1
        if (self._num_videos - 1) % self.interval:
            return
        visualizer = self._visualizer_of(runner)
        visualizer.set_dataset_meta(dataset.metainfo)
        drawings = self._drawings(visualizer, dataset, frames)
        if out_dir is None:
            for _ in drawings:
                pass
        else:
            self._write(Path(out_dir) / f'{self._video}.mp4', drawings)

    def _visualizer_of(self, runner: Runner) -> Visualizer:
        """One of its own, without the backends, which would each keep every frame."""
        if self._visualizer is None:
            options = {**runner.cfg.visualizer, 'name': 'clips', 'vis_backends': None}
            options.pop('_scope_', None)
            self._visualizer = VISUALIZERS.get(options.pop('type'))(**options)
        return self._visualizer

    def _drawings(
        self, visualizer: Visualizer, dataset: ClipDataset, frames: dict[int, PoseDataSample]
    ) -> Iterator[np.ndarray]:
        """Each frame (H, W, 3), BGR, with its joints."""
        order = sorted(frames)
        for index, image in zip(order, dataset.read_frames(self._video, order), strict=True):
            visualizer.add_datasample(
                self._video,
                cv2.cvtColor(image, cv2.COLOR_BGR2RGB),
                data_sample=frames[index],
                draw_gt=False,
                draw_bbox=True,
                show=self.show,
                wait_time=self.wait_time,
                kpt_thr=self.kpt_thr,
            )
            yield cv2.cvtColor(visualizer.get_image(), cv2.COLOR_RGB2BGR)

    def _write(self, path: Path, images: Iterator[np.ndarray]) -> None:
        """Write a video under a hidden name beside ``path``, which it gets when it is complete."""
        with replacing(path) as partial, ExitStack() as stack:
            writer = None
            for image in images:
                if writer is None:
                    writer = stack.enter_context(VideoWriter(partial, self.fps, size_of(image)))
                writer.write(image)
