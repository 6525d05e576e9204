"""Who says where people are, for streams: the whole frame, motion, or somebody else's detector.

All are of the kind :class:`rpstn.pose.streaming.tracks.PersonFinder`. Boxes are x1 y1 x2 y2, in
0-based image pixels.

Shapes: N people, (H, W) image pixels.
"""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Sequence
from contextlib import redirect_stdout
from importlib.util import find_spec
from io import StringIO
from pathlib import Path

import cv2
import numpy as np
from mmengine.registry import DefaultScope

from rpstn.checkpoints import load_all_weights, read_checkpoint
from rpstn.compat.patches import INSTALL_MMCV, INSTALL_MMDET
from rpstn.errors import RPSTNError

from ..streaming.tracks import PersonFinder, WholeFrame, overlap

__all__ = [
    'FinderError',
    'MediaPipeFinder',
    'MotionFinder',
    'PersonFinder',
    'RTMDetFinder',
    'WholeFrame',
    'build_finder',
]

FINDERS = ('frame', 'motion', 'mediapipe', 'rtmdet')
NOBODY = np.zeros((0, 4), np.float32)


class FinderError(RPSTNError, RuntimeError):
    """A finder that cannot work here; the message says what is missing."""


def build_finder(name: str, **options) -> PersonFinder:
    """A finder by name.

    Args:
        name: ``'frame'``, ``'motion'``, ``'mediapipe'`` or ``'rtmdet'``.
        **options: of :class:`MotionFinder`, :class:`MediaPipeFinder` or :class:`RTMDetFinder`.

    Raises:
        ValueError: no finder has that name.
        FinderError: what it needs is not installed, or its files give no detector.
        ModelError: a checkpoint cannot be read safely.
    """
    kinds = dict(zip(FINDERS, (WholeFrame, MotionFinder, MediaPipeFinder, RTMDetFinder)))
    if name not in kinds:
        raise ValueError(f'a finder must be one of {FINDERS}, got {name!r}')
    return kinds[name](**options)


class MotionFinder:
    """What moves in front of a camera that does not: OpenCV's background subtraction (MOG2).

    Pixels unlike their own past are cleaned of specks, those near each other are joined, and what
    is large enough counts as a person. Nobody is found in a stream's first frame. Motion is
    smaller than the person: who only moves an arm is found as an arm, so boxes are enlarged.

    Args:
        min_area: of a box, as a share of the image.
        reach: how far apart two moving parts of one person may be, as a share of the
            image's longer side.
        margin: added at each side, as a share of the box's.
        history: frames that make up the background.
        threshold: squared distance, in standard deviations, from which a pixel is unlike
            the background.
    """

    def __init__(
        self,
        min_area: float = 0.01,
        reach: float = 0.04,
        margin: float = 0.1,
        history: int = 100,
        threshold: float = 25.0,
    ) -> None:
        self.min_area = min_area
        self.reach = reach
        self.margin = margin
        self.history = history
        self.threshold = threshold
        self._backgrounds: dict[Hashable, cv2.BackgroundSubtractor] = {}
        self._moving: dict[Hashable, np.ndarray] = {}

    def observe(self, image: np.ndarray, stream: Hashable = 0) -> None:
        """Compare a frame (H, W, 3) BGR with the background, and learn it."""
        known = stream in self._backgrounds
        if not known:
            self._backgrounds[stream] = cv2.createBackgroundSubtractorMOG2(
                self.history, self.threshold, detectShadows=True
            )
        mask = self._backgrounds[stream].apply(image)
        # 255 moves, 127 is a shadow. All of the first frame is new.
        self._moving[stream] = (mask == 255).astype(np.uint8) * known

    def find(self, image: np.ndarray, stream: Hashable = 0) -> np.ndarray:
        """Boxes (N, 4) of what moves in the frame observed last, the largest first."""
        moving = self._moving.get(stream)
        if moving is None:
            return NOBODY
        height, width = moving.shape
        moving = cv2.morphologyEx(moving, cv2.MORPH_OPEN, _disc(1))
        joined = cv2.morphologyEx(
            moving, cv2.MORPH_CLOSE, _disc(round(self.reach * max(height, width) / 2))
        )
        _, _, found, _ = cv2.connectedComponentsWithStats(joined)
        low, sides = found[1:, :2], found[1:, 2:4]  # the first is the background
        order = np.argsort(-sides.prod(axis=1), kind='stable')
        order = order[sides.prod(axis=1)[order] >= self.min_area * height * width]
        low, sides = low[order], sides[order]
        grown = np.concatenate([low - self.margin * sides, low + (1 + self.margin) * sides - 1], 1)
        return np.clip(grown, 0, np.array([width, height] * 2) - 1).astype(np.float32)

    def forget(self, stream: Hashable = 0) -> None:
        """A stream has ended."""
        self._backgrounds.pop(stream, None)
        self._moving.pop(stream, None)


def _disc(radius: int) -> np.ndarray:
    side = 2 * max(radius, 1) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))


class MediaPipeFinder:
    """MediaPipe's person detector (BlazePose): one person, each frame for itself.

    Bazarevsky et al., BlazePose, 2020, https://arxiv.org/abs/2006.10204. The box is that of the 33
    joints which it then finds. Needs the extra ``mediapipe``, whose wheel carries the weights.

    Args:
        min_score: of the detection.
        margin: added at each side, as a share of the joints' own box.
        scale: frames are enlarged by this before; small people need it.

    Raises:
        FinderError: mediapipe is not installed.
    """

    def __init__(self, min_score: float = 0.5, margin: float = 0.1, scale: float = 1.0) -> None:
        try:
            from mediapipe.python.solutions import pose
        except ImportError:
            raise FinderError(
                'the finder mediapipe needs mediapipe 0.10.21: pip install '
                '--no-deps -r requirements/mediapipe.txt'
            ) from None
        self.margin = margin
        self.scale = scale
        self._pose = pose.Pose(
            static_image_mode=True, model_complexity=1, min_detection_confidence=min_score
        )

    def observe(self, image: np.ndarray, stream: Hashable = 0) -> None:
        """Nothing to see in frames that are not searched."""

    def find(self, image: np.ndarray, stream: Hashable = 0) -> np.ndarray:
        """The box (1, 4) of the surest person, or (0, 4)."""
        height, width = image.shape[:2]
        large = image if self.scale == 1 else cv2.resize(image, None, fx=self.scale, fy=self.scale)
        found = self._pose.process(cv2.cvtColor(large, cv2.COLOR_BGR2RGB)).pose_landmarks
        if found is None:
            return NOBODY
        # From the image's corners, 0 and 1, to pixels whose centres have whole coordinates.
        joints = np.array([(p.x, p.y) for p in found.landmark]) * (width, height) - 0.5
        low, high = joints.min(axis=0), joints.max(axis=0)
        more = self.margin * (high - low)
        box = np.concatenate([low - more, high + more])
        return np.clip(box, 0, np.array([width, height] * 2) - 1).astype(np.float32)[None]

    def forget(self, stream: Hashable = 0) -> None:
        """Nothing is kept of a stream."""

    def close(self) -> None:
        """Free its graph."""
        self._pose.close()


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

    def find(self, image: np.ndarray, stream: Hashable = 0) -> np.ndarray:
        """Boxes (N, 4) of people, the surest first."""
        with DefaultScope.overwrite_default_scope('mmdet'), warnings.catch_warnings():
            # MMDetection 3.3 is older than what torch warns of here.
            warnings.filterwarnings('ignore', r'`torch\.cuda\.amp\.autocast|torch\.meshgrid')
            found = self._detector(image, no_save_vis=True)['predictions'][0]
        return people_of(found, self.min_score, self.label)

    def forget(self, stream: Hashable = 0) -> None:
        """Nothing is kept of a stream."""


def load_detector(config: str, checkpoint: str | None, device: str):
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


def _build_detector(config: str, checkpoint: str | None, device: str):
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
            'or mediapipe'
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
) -> np.ndarray:
    """Boxes of people out of an answer of MMDetection's ``DetInferencer``.

    Args:
        prediction: ``bboxes`` N x 4, ``scores`` N, ``labels`` N, lists.
        min_score: of a detection.
        label: of people.
        max_iou: of two that overlap more, the surer one is kept.

    Returns:
        (N, 4), the surest first.
    """
    boxes = np.reshape(prediction['bboxes'], (-1, 4)).astype(np.float32)
    scores, labels = np.array(prediction['scores']), np.array(prediction['labels'])
    kept: list[np.ndarray] = []
    for index in np.argsort(-scores, kind='stable'):
        if (
            labels[index] == label
            and scores[index] >= min_score
            and all(overlap(boxes[index], box) <= max_iou for box in kept)
        ):
            kept.append(boxes[index])
    return np.reshape(kept, (-1, 4)).astype(np.float32)
