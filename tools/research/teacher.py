"""BlazePose as a teacher: its landmarks of a video's frames, and which of them to trust.

Bazarevsky et al., BlazePose, 2020, https://arxiv.org/abs/2006.10204, with the landmark weights of
the wheel of mediapipe 0.10.21, whose tracking is not used: the network sees every frame's crop and
its mirror image, and a teacher may look ahead.

Shapes: N frames, V = 33 landmarks (skeleton ``blazepose33``), K = 15 joints of JHMDB.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from torch import Tensor, nn

from rpstn.pose.bodies import Body, BodyJoints
from rpstn.pose.crops import Cropper
from rpstn.pose.finders.blazepose import BlazePoseFinder
from rpstn.pose.models.blazepose import BlazePose
from rpstn.pose.models.blazepose_head import INPUT_SIZE, BlazePoseHead
from rpstn.pose.models.blazepose_weights import landmark_weights
from rpstn.skeletons import get_skeleton

SKELETON = get_skeleton('blazepose33')
PARTS = BodyJoints.of(SKELETON.joints)
# MediaPipe's margin about the circle that holds the body.
CROPPER = Cropper((INPUT_SIZE, INPUT_SIZE), padding=1.25, upright=True)
BATCH = 8
MIN_PRESENCE = 0.5
MIN_HEIGHT = 0.25
"""Of a video's main person, as a share of the frame's height."""
STARTS, SURE = 5, 0.8
"""Frames of a video that the detector looks at, to follow from the surest person; from the first
score that is high enough, the others are not looked at.
"""
SMOOTHING = 1.5
"""Frames, standard deviation of the window that crops of the second look are smoothed by."""


class _Regression(nn.Module):
    """Crops (N, 3, 256, 256) -> landmarks (N, 39, 5) and presence (N, 1), no heatmaps."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone, self.head = BlazePose(), BlazePoseHead()

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        out = self.head(self.backbone(crops))
        return out.landmarks, out.presence


def _compiled() -> torch.jit.ScriptModule:
    """With the released weights; frozen, without what only heatmaps need: half the time."""
    network = _Regression()
    network.load_state_dict(landmark_weights())
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', torch.jit.TracerWarning)  # checks of the crops' size
        traced = torch.jit.trace(network.eval(), torch.zeros(1, 3, INPUT_SIZE, INPUT_SIZE))
    return torch.jit.optimize_for_inference(torch.jit.freeze(traced))


@dataclass(frozen=True)
class Seen:
    """What the network says of N frames and their mirror images.

    Attributes:
        joints: (N, V, 2) pixels of the image, the mean of the two; NaN where it was not asked.
        apart: (N, V) distances between the two, as shares of the circles' radii.
        visible: (N, V) the lesser probability of being visible.
        inside: (N, V) the lesser one of lying in the crop.
        presence: (N,) the lesser one of there being a person.
        radii: (N,) of the circles that the crops are about, pixels.
    """

    joints: np.ndarray
    apart: np.ndarray
    visible: np.ndarray
    inside: np.ndarray
    presence: np.ndarray
    radii: np.ndarray


class Teacher:
    """BlazePose's landmark network and its person detector.

    Raises:
        TFLiteError: mediapipe 0.10.21 is not installed.
    """

    def __init__(self) -> None:
        self.network = _compiled()
        self.finder = BlazePoseFinder(min_height=MIN_HEIGHT)

    def look(self, images: Sequence[np.ndarray], bodies: Sequence[Body]) -> Seen:
        """Landmarks in crops about bodies, turned upright, and in their mirror images.

        Args:
            images: N of (H, W, 3) BGR uint8.
            bodies: N of them.
        """
        parts = [
            self._look(images[start : start + BATCH], bodies[start : start + BATCH])
            for start in range(0, len(images), BATCH)
        ]
        return Seen(*map(np.concatenate, zip(*parts)))

    def _look(self, images: Sequence[np.ndarray], bodies: Sequence[Body]) -> tuple[np.ndarray, ...]:
        crops = [CROPPER.crop_body(body) for body in bodies]
        cut = np.stack([crop.cut(image) for crop, image in zip(crops, images)])
        straight, presence = self._answer(cut)
        mirrored, other = self._answer(cut[:, :, ::-1])
        mirrored = mirrored[:, SKELETON.flip_indices]
        mirrored[..., 0] = INPUT_SIZE - mirrored[..., 0]
        pair = np.stack([straight, mirrored])
        radii = np.array([body.radius for body in bodies])
        joints = np.stack(
            [crop.to_image(xy) for crop, xy in zip(crops, pair[..., :2].mean(0) - 0.5)]
        )
        radius = INPUT_SIZE / 2 / CROPPER.padding  # of every circle in its crop
        apart = np.linalg.norm(straight[..., :2] - mirrored[..., :2], axis=-1) / radius
        visible, inside = np.moveaxis(pair[..., 3:].min(0), -1, 0)
        return joints, apart, visible, inside, np.minimum(presence, other), radii

    def _answer(self, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Landmarks (N, V, 5) as :class:`BlazePoseOutput` has them, but probabilities in place of
        logits, and the probability that there is a person (N,), of crops in BGR.
        """
        inputs = torch.from_numpy(crops[..., ::-1].transpose(0, 3, 1, 2).copy()).float() / 255
        with torch.inference_mode():
            landmarks, presence = self.network(inputs)
        landmarks = landmarks[:, : SKELETON.num_joints].double()
        landmarks[..., 3:] = landmarks[..., 3:].sigmoid()
        return landmarks.numpy(), presence[:, 0].sigmoid().numpy()

    def look_twice(self, images: Sequence[np.ndarray]) -> Seen | None:
        """Landmarks of the main person of a video, who need not be known.

        Followed from the frame in which the detector is surest, forwards and backwards, and then
        looked at once more, in crops about the smoothed landmarks of the first look.

        Returns:
            None if there is nobody, or nobody can be followed.
        """
        self.finder.forget()
        sightings = []
        for t in np.linspace(0, len(images) - 1, min(STARTS, len(images))).round().astype(int):
            sightings += [
                (person.score, int(t), person) for person in self.finder.find(images[t])[:1]
            ]
            if sightings and sightings[-1][0] >= SURE:
                break
        if not sightings:
            return None
        _, start, person = max(sightings, key=lambda sighting: sighting[0])
        joints = np.full((len(images), SKELETON.num_joints, 2), np.nan)
        for order in (range(start, len(images)), range(start, -1, -1)):
            self._follow(images, order, person.body, joints)
        if np.isnan(joints).all():
            return None
        bodies = [body_of(frame) for frame in smoothed(joints)]
        return self.look(images, bodies)

    def _follow(
        self, images: Sequence[np.ndarray], order: range, body: Body | None, joints: np.ndarray
    ) -> None:
        """Write the joints of one person, by those of the frame before; found anew where lost."""
        for t in order:
            if body is None and (people := self.finder.find(images[t])):
                body = people[0].body
            if body is None:
                continue
            crop = CROPPER.crop_body(body)
            landmarks, presence = self._answer(crop.cut(images[t])[None])
            body = None
            if presence[0] >= MIN_PRESENCE:
                joints[t] = crop.to_image(landmarks[0, :, :2] - 0.5)
                body = body_of(joints[t])


def body_of(joints: np.ndarray) -> Body:
    """The circle of landmarks (V, 2), all known."""
    return PARTS.body(joints, np.ones(len(joints), bool))


def smoothed(joints: np.ndarray) -> np.ndarray:
    """Joints (N, V, 2) over time by a Gaussian; unknown frames as the known ones about them."""
    known = np.isfinite(joints).all((1, 2))
    times = np.arange(len(joints))
    nearest = times[known][np.abs(times[:, None] - times[known]).argmin(1)]
    return gaussian_filter1d(joints[nearest], SMOOTHING, axis=0, mode='nearest')
