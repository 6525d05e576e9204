"""MediaPipe Pose (BlazePose), off the shelf: a reference for tables.

Bazarevsky et al., BlazePose, 2020, https://arxiv.org/abs/2006.10204. Needs the extra ``mediapipe``,
whose wheel carries the weights.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

SOURCE = 'mediapipe33'
VERSIONS = {0: 'lite', 1: 'full', 2: 'heavy'}


class MediaPipePose:
    """``mp.solutions.pose`` on the frames of one video, in order.

    Args:
        scale: frames are enlarged by this before; small people need it. Defaults to 2.
        tracking: follow the person from frame to frame; else each frame for itself.
        complexity: 0 lite, 1 full, 2 heavy.
        smooth: by its own filter, which looks back; only where it is tracking.

    Raises:
        ImportError: mediapipe is not installed.
    """

    def __init__(
        self, scale: float = 2.0, tracking: bool = True, complexity: int = 1, smooth: bool = True
    ) -> None:
        self.scale = scale
        self._pose = _solutions().Pose(
            static_image_mode=not tracking,
            model_complexity=complexity,
            smooth_landmarks=tracking and smooth,
        )

    def __call__(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Joints of the one person it finds.

        Args:
            image: (H, W, 3) BGR uint8.

        Returns:
            (33, 2) 0-based pixels and (33,) visibilities; NaN and 0 where it finds nobody.
        """
        height, width = image.shape[:2]
        found = self._process(image).pose_landmarks
        if found is None:
            return np.full((33, 2), np.nan), np.zeros(33)
        values = np.array([(p.x, p.y, p.visibility) for p in found.landmark])
        # From the image's corners, 0 and 1, to pixels whose centres have whole coordinates.
        return values[:, :2] * (width, height) - 0.5, values[:, 2]

    def world(self, image: np.ndarray) -> np.ndarray:
        """Joints (33, 3) in metres of the one person it finds, x right, y down, z away; or NaN."""
        found = self._process(image).pose_world_landmarks
        if found is None:
            return np.full((33, 3), np.nan)
        return np.array([(p.x, p.y, p.z) for p in found.landmark])

    def _process(self, image: np.ndarray):
        large = (
            cv2.resize(image, None, fx=self.scale, fy=self.scale, interpolation=cv2.INTER_LINEAR)
            if self.scale != 1
            else image
        )
        return self._pose.process(cv2.cvtColor(large, cv2.COLOR_BGR2RGB))

    def forget(self) -> None:
        """Begin another video."""
        self._pose.reset()

    def close(self) -> None:
        """Free its graph."""
        self._pose.close()

    def __enter__(self) -> MediaPipePose:
        return self

    def __exit__(self, *_) -> None:
        self.close()


def weights_megabytes(complexity: int = 1) -> float:
    """Size of the detector's and the landmark network's files."""
    root = Path(_solutions().__file__).parents[2] / 'modules'
    files = [
        root / 'pose_detection' / 'pose_detection.tflite',
        root / 'pose_landmark' / f'pose_landmark_{VERSIONS[complexity]}.tflite',
    ]
    return sum(file.stat().st_size for file in files if file.is_file()) / 1e6


def _solutions():
    try:
        from mediapipe.python.solutions import pose
    except ImportError as error:
        raise ImportError(
            'MediaPipe Pose needs mediapipe 0.10.21: pip install --no-deps -r '
            'requirements/mediapipe.txt'
        ) from error
    return pose
