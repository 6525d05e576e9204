"""MMDetection's detectors of people.

Boxes are x1 y1 x2 y2, in 0-based image pixels. Shapes: N people, (H, W) image pixels.
"""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Sequence
from contextlib import redirect_stdout
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from mmengine.registry import DefaultScope

from rpstn.checkpoints import load_all_weights, read_checkpoint
from rpstn.compat.versions import INSTALL_MMCV, INSTALL_MMDET

from ..boxes import overlap
from .base import FinderError, FoundPerson

if TYPE_CHECKING:
    from mmdet.apis import DetInferencer


class RTMDetFinder:
    """MMDetection's RTMDet, or any other detector of it that knows people.

    Lyu et al., RTMDet, 2022, https://arxiv.org/abs/2212.07784. Needs the full mmcv, whose compiled
    operators suppress doubles, and mmdet.

    Args:
        config: of MMDetection, a file or a name, e.g. ``'rtmdet_m_8xb32-300e_coco'``.
        checkpoint: weights, a file or URL; those published for the name by
            default.
        device: as torch names it.
        min_score: of a detection.

    Raises:
        FinderError: full mmcv or mmdet is not installed, or config and checkpoint, which may have
            to be downloaded, give no detector, or none of people.
        ModelError: the checkpoint cannot be read safely.
    """

    any_frame = True

    def __init__(
        self,
        config: str = 'rtmdet_m_8xb32-300e_coco',
        checkpoint: str | None = None,
        device: str = 'cpu',
        min_score: float = 0.5,
    ) -> None:
        _require_mmdetection()
        self._detector = load_detector(config, checkpoint, device)
        self.min_score = min_score
        self.label = label_of_people(self._detector.model.dataset_meta.get('classes', ()))

    def observe(self, image: np.ndarray, stream: Hashable = 0) -> None:
        """Nothing to see in frames that are not searched."""

    def find(self, image: np.ndarray, stream: Hashable = 0) -> list[FoundPerson]:
        """Boxes and scores of people, the surest first."""
        with DefaultScope.overwrite_default_scope('mmdet'), warnings.catch_warnings():
            # MMDetection 3.3 is older than what torch warns of here.
            warnings.filterwarnings('ignore', r'`torch\.cuda\.amp\.autocast|torch\.meshgrid')
            found = self._detector(image, no_save_vis=True)['predictions'][0]
        return people_of(found, self.min_score, self.label)

    def forget(self, stream: Hashable = 0) -> None:
        """Nothing is kept of a stream."""


def load_detector(config: str, checkpoint: str | None, device: str) -> DetInferencer:
    """MMDetection's ``DetInferencer``, with all of its weights from a checkpoint.

    Args and errors are those of :class:`RTMDetFinder`.
    """
    is_file = Path(config).suffix in ('.py', '.json', '.yaml', '.yml')
    if is_file and checkpoint is None:
        raise FinderError(
            f'{config}: a config file of a detector needs a checkpoint beside it (--det-weights)'
        )
    for file in (config if is_file else None, checkpoint):
        if file and not file.startswith(('http://', 'https://')) and not Path(file).is_file():
            raise FinderError(f'{file}: no such file of a detector')
    saved = checkpoint and read_checkpoint(checkpoint)
    detector = _build_detector(config, checkpoint, device)
    if saved:  # MMDetection leaves at random what a checkpoint does not hold
        try:
            load_all_weights(detector.model, saved)
        except RuntimeError as error:
            raise FinderError(f'{checkpoint} does not fit {config}: {error}') from None
    return detector


def _build_detector(config: str, checkpoint: str | None, device: str) -> DetInferencer:
    # The detector's scope must not stay: another model finds the joints. Of weights that do not
    # fit MMEngine prints all names.
    with (
        DefaultScope.overwrite_default_scope('mmdet'),
        redirect_stdout(StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings('ignore', 'Failed to add .*VisBackend', UserWarning)
        try:
            from mmdet.apis import DetInferencer

            return DetInferencer(config, checkpoint, device, show_progress=False)
        except ImportError as error:  # or built for another torch
            raise FinderError(
                f'the finder rtmdet cannot import MMDetection: {error}. Install '
                f'with: {INSTALL_MMCV} && {INSTALL_MMDET}'
            ) from error
        except Exception as error:  # configs, names and downloads fail with errors of any kind
            used = config if checkpoint is None else f'{config} with {checkpoint}'
            raise FinderError(
                f'the finder rtmdet cannot use {used} on {device}: '
                f'{type(error).__name__}: {" ".join(str(error).split())[:300]}'
            ) from error


def _require_mmdetection() -> None:
    lacking = {
        name: install
        for name, there, install in (
            (
                'mmcv',
                find_spec('mmcv') is not None and find_spec('mmcv._ext') is not None,
                INSTALL_MMCV,
            ),
            ('mmdet', find_spec('mmdet') is not None, INSTALL_MMDET),
        )
        if not there
    }
    if lacking:
        raise FinderError(
            f'the finder rtmdet needs MMDetection on a full mmcv; not installed: '
            f'{", ".join(lacking)}. Install with: {" && ".join(lacking.values())}; or use motion '
            'or blazepose'
        )


def label_of_people(classes: Sequence[str]) -> int:
    """Which of a detector's classes are people.

    Raises:
        FinderError: none is called so.
    """
    for label, name in enumerate(classes):
        if name.lower() in ('person', 'people', 'human', 'pedestrian'):
            return label
    raise FinderError(f'the detector knows no people, but: {", ".join(classes) or "nothing"}'[:300])


def people_of(
    prediction: dict, min_score: float, label: int = 0, max_iou: float = 0.7
) -> list[FoundPerson]:
    """People out of an answer of MMDetection's ``DetInferencer``.

    Args:
        prediction: ``bboxes`` N x 4, ``scores`` N, ``labels`` N, lists.
        min_score: of a detection.
        label: of people.
        max_iou: of two that overlap more, the surer one is kept.

    Returns:
        The surest first.
    """
    boxes = np.reshape(prediction['bboxes'], (-1, 4)).astype(np.float32)
    scores, labels = np.array(prediction['scores']), np.array(prediction['labels'])
    kept: list[FoundPerson] = []
    for index in np.argsort(-scores, kind='stable'):
        if (
            labels[index] == label
            and scores[index] >= min_score
            and all(overlap(boxes[index], person.box) <= max_iou for person in kept)
        ):
            kept.append(FoundPerson(boxes[index], float(scores[index])))
    return kept
