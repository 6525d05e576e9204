"""BlazePose without MediaPipe's tracking: its landmark network on single frames.

Bazarevsky et al., BlazePose, 2020, https://arxiv.org/abs/2006.10204, with the weights of the wheel
of mediapipe 0.10.21; reading them needs the package ``tflite``.

Shapes: V = 33 landmarks, K joints of JHMDB.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from rpstn.pose.crops import Crop, Cropper
from rpstn.pose.models.blazepose import BlazePose
from rpstn.pose.models.blazepose_detection import detect
from rpstn.pose.models.blazepose_detector import BlazePoseDetector
from rpstn.pose.models.blazepose_head import INPUT_SIZE, BlazePoseHead
from rpstn.pose.models.blazepose_weights import detector_weights, landmark_weights
from rpstn.skeletons import get_skeleton, map_joints

SIDES = (INPUT_SIZE, INPUT_SIZE)
# MediaPipe's: how much further its crop reaches than the circle about the hips that holds the body,
# and from which probability on there is somebody. On JHMDB's validation clips other margins of
# labelled or detected people are no better.
MARGIN, MIN_PRESENCE = 1.25, 0.5


class BlazePoseAlone:
    """Landmarks of the person in a crop, and the person detector that finds whole frames' crops.

    Raises:
        TFLiteError: mediapipe 0.10.21 or tflite is not installed.
    """

    def __init__(self) -> None:
        self.network = nn.ModuleDict(dict(backbone=BlazePose(), head=BlazePoseHead()))
        self.network.load_state_dict(landmark_weights())
        self.detector = BlazePoseDetector()
        self.detector.load_state_dict(detector_weights())
        self.network.eval(), self.detector.eval()

    @torch.inference_mode()
    def landmarks(self, image: np.ndarray, crop: Crop) -> tuple[np.ndarray, float]:
        """Landmarks (V, 2) in the image, and the probability that there is a person.

        Args:
            image: (H, W, 3) BGR uint8.
            crop: of 256x256.
        """
        out = self.network['head'](self.network['backbone'](_input(crop.cut(image)))).answered()
        landmarks = crop.to_image(out.coordinates()[0].double().numpy() * INPUT_SIZE)
        return landmarks, float(out.presence.sigmoid())

    def from_label_boxes(self, results: dict) -> Iterator[np.ndarray]:
        """Each frame's label box, upright, with MMPose's usual margin."""
        cropper = Cropper(SIDES, padding=1.25)
        for frame in results['frames']:
            yield _mapped(self.landmarks(frame['img'], cropper.crop(frame['bbox'][0]))[0])

    def from_label_poses(self, results: dict) -> Iterator[np.ndarray]:
        """Each frame's crop as the network was trained on, by the labelled joints."""
        for frame in results['frames']:
            yield _mapped(self.landmarks(frame['img'], body_crop(frame['keypoints'][0]))[0])

    def from_whole_frames(self, results: dict) -> Iterator[np.ndarray]:
        """The surest person that the detector finds, NaN where there is none; frame by frame."""
        for frame in results['frames']:
            people = detect(self.detector, frame['img'])
            landmarks, presence = np.full((33, 2), np.nan), 0.0
            if len(people.scores):
                crop = turned_crop(people.centers[0], people.radii[0], people.angles[0])
                landmarks, presence = self.landmarks(frame['img'], crop)
            yield _mapped(
                landmarks if presence >= MIN_PRESENCE else np.full_like(landmarks, np.nan)
            )


def turned_crop(center: np.ndarray, radius: float, angle: float) -> Crop:
    """The square about a body's circle, and a margin, turned clockwise by an angle in radians."""
    side = 2 * MARGIN * radius
    return Crop(center, np.full(2, side), SIDES, rotation=float(np.degrees(angle)))


def body_crop(joints: np.ndarray) -> Crop:
    """Square about the middle of the hips, sized by the farthest joint, turned so that the
    shoulders are above the hips.

    Args:
        joints: (K, 2) of JHMDB.
    """
    skeleton = get_skeleton('jhmdb15')
    hips, shoulders = (
        joints[[skeleton.index(f'{side}_{part}') for side in ('left', 'right')]].mean(0)
        for part in ('hip', 'shoulder')
    )
    x, y = shoulders - hips
    return turned_crop(hips, np.linalg.norm(joints - hips, axis=1).max(), np.arctan2(x, -y))


def _mapped(landmarks: np.ndarray) -> np.ndarray:
    """(K, 2) of (V, 2)."""
    return map_joints(landmarks, 'blazepose33', 'jhmdb15')


def _input(crop: np.ndarray) -> Tensor:
    """(1, 3, 256, 256) RGB in [0, 1] of (256, 256, 3) BGR uint8."""
    return torch.from_numpy(crop[..., ::-1].transpose(2, 0, 1).copy())[None].float() / 255
