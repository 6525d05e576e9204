"""Labels of a teacher for one video, written as :class:`TeacherClipDataset` reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rpstn.files import replacing
from rpstn.pose.datasets import UnreadableFrameError, VideoReader
from rpstn.pose.datasets.boxes import joints_boxes
from rpstn.skeletons import get_skeleton

from mediapipe_pose import agreeing_joints


def label_video(
    video: Path,
    root: Path,
    out: Path,
    skeleton: str = 'jhmdb15',
    tolerance: float = 0.1,
    scale: float = 2.0,
) -> tuple[str, float]:
    """Label one video by MediaPipe Pose and its mirror image; the file appears when it is complete.

    Args:
        video: below ``root``.
        out: gets ``<path below root>.npz``.
        skeleton: of the labels.
        tolerance, scale: of :func:`agreeing_joints` and :class:`MediaPipePose`.

    Returns:
        The video's path below ``root``, and the share of joints with a score above 0.5.

    Raises:
        UnreadableFrameError: no frame of the video can be decoded.
    """
    reader = VideoReader(str(video))
    images = reader.read(range(reader.count()))
    if not images:
        raise UnreadableFrameError(f'{video}: no frame can be decoded')
    keypoints, scores = agreeing_joints(images, skeleton, tolerance, scale=scale)
    size = images[0].shape[1::-1]
    relative = video.relative_to(root)
    target = out / relative.with_suffix('.npz')
    with replacing(target) as partial:
        np.savez_compressed(
            partial,
            video=np.array(relative.as_posix()),
            joints=np.array(get_skeleton(skeleton).joints),
            keypoints=keypoints.astype(np.float32),
            scores=scores.astype(np.float32),
            boxes=joints_boxes(keypoints, np.isfinite(keypoints).all(-1), size).astype(np.float32),
            image_size=np.array(size),
            teacher=np.array('MediaPipe Pose full'),
        )
    return relative.as_posix(), float((scores > 0.5).mean())
