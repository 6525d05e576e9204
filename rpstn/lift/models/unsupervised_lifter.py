"""The lifter and what it learns from: joints in images alone.

Shapes: B clips, T frames, V joints of ``lifter15``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from mmengine.structures import InstanceData
from mmpose.models.pose_estimators.base import BasePoseEstimator
from mmpose.registry import MODELS
from mmpose.utils.typing import OptSampleList, SampleList
from torch import Tensor

from rpstn.skeletons import SKELETONS

from .anatomy import bend_loss, clip_lengths, length_loss
from .views import body_scale, flipped, normalize, pitch, project, unproject, yaw

_FLIP = list(SKELETONS['lifter15'].flip_indices)
WEIGHTS = dict(
    prior=8.0, space=1.0, image=0.3, change=0.5, lengths=30.0, wrong=12.0, unusual=1.0,
    smooth=1.0, elevation=1.0, depth=30.0,
)  # fmt: skip
"""Of the losses, see :meth:`UnsupervisedLifter.losses`."""
_USUAL_ELEVATION = (math.radians(7.0), math.radians(7.0))  # mean and standard deviation
_FIRST = 0.1  # share of the lengths' weight that training starts with
_LARGEST_NLL = 8.0  # beyond it, a pose is not to be pulled


@MODELS.register_module()
class UnsupervisedLifter(BasePoseEstimator):
    """Joints in space from joints in the image over time, learned without any in space.

    A clip is lifted, turned by a random azimuth, projected by a camera of an elevation that was
    found for another clip (Wandt et al., "ElePose", CVPR 2022), lifted again and turned back (Chen
    et al., CVPR 2019; Yu et al., "Towards Alleviating the Modeling Ambiguity", ICCV 2021). What it
    learns from: the density of real 2D poses, that both lifts agree, the lengths of an average
    body, constant over time, and which way joints bend (:mod:`rpstn.lift.models.anatomy`).

    Args:
        backbone: see :class:`JointFeatures`.
        head: see :class:`DepthHead`.
        prior: the frozen density, see :class:`PoseFlow`; needed for training only.
        weights: of losses that differ from :data:`WEIGHTS`.
        noise: standard deviation of what is added to joints that are lifted, in trunks, at most.
        ramp: steps in which the lengths' weight grows: bones of full length cannot change sides,
            so that joints bend the wrong way for good.
        last_prior: share of the prior's weight at the ramp's end: what is likeliest is flatter than
            people are, but by it the sides are chosen.
        data_preprocessor: as MMEngine's.
        init_cfg: MMEngine weight initialization.
    """

    step: Tensor

    def __init__(
        self,
        backbone: dict,
        head: dict,
        prior: dict | None = None,
        weights: Mapping[str, float] | None = None,
        noise: float = 0.03,
        ramp: int = 1500,
        last_prior: float = 0.6,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(
            backbone, head=head, data_preprocessor=data_preprocessor, init_cfg=init_cfg
        )
        self.prior = MODELS.build(prior) if prior else None
        if self.prior is not None:
            self.prior.requires_grad_(False)
        self.weights = {**WEIGHTS, **(weights or {})}
        self.noise = noise
        self.ramp, self.last_prior = ramp, last_prior
        self.register_buffer('step', torch.tensor(0))  # so that a resumed training goes on

    def lengths(self, image: Tensor) -> Tensor:
        """Lengths of the bones (B, 1, N) of who is seen in normalized clips (B, T, V, 2)."""
        return clip_lengths(image)

    def lift(self, image: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Lift clips, and their mirror images, and take the mean.

        Args:
            image: (B, T, V, 2), normalized, about 10 frames a second.
            lengths: of :meth:`lengths`, where they are known from more frames than these.

        Returns:
            Joints (B, T, V, 3) in the camera's axes, in trunks from the pelvis, and elevations of
            the camera (B,), radians.
        """
        lengths = clip_lengths(image) if lengths is None else lengths
        mirror = flipped(image)
        depth, elevation = self._depth(image, lengths)
        other, other_elevation = self._depth(mirror, lengths)
        depth = (depth + other[..., _FLIP]) / 2
        return unproject(image, depth), (elevation + other_elevation) / 2

    def _depth(self, image: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        return self.head(self.backbone(image, lengths), image, lengths)

    def losses(self, image: Tensor) -> dict[str, Tensor]:
        """What is to be small, each times its weight.

        Args:
            image: (B, T, V, 2) normalized.

        Returns:
            ``prior``: -log density of the random view; ``space``, ``image``, ``change``: how far
            the second lift is from the first, seen from the first camera, and between pairs of
            clips; ``lengths``: of bones; ``wrong``, ``unusual``: bends; ``smooth``:
            of depths over time; ``elevation``: from what cameras usually have.
        """
        noisy = self._noisy(image)
        lengths = clip_lengths(image)
        depth, elevation = self._depth(noisy, lengths)
        joints = unproject(noisy, depth)
        level = joints @ pitch(-elevation)
        turn = yaw((torch.rand_like(elevation) * 2 - 1) * math.pi)
        other = elevation[torch.randperm(len(elevation))].detach()
        turned = level @ turn @ pitch(other)
        view = project(turned)
        size = body_scale(view).detach()
        seen = view / size
        hidden = self._noisy(seen)
        second_depth, second_elevation = self._depth(hidden, lengths / size[:, 0])
        second = unproject(hidden, second_depth) * size
        back = second @ pitch(-other) @ turn.transpose(2, 3) @ pitch(elevation.detach())

        wrong, unusual = bend_loss(joints)
        found = dict(
            space=(second - turned).norm(dim=-1).mean(),
            image=(project(back) - image).norm(dim=-1).mean(),
            change=((second - second.roll(1, 0)) - (turned - turned.roll(1, 0)))
            .norm(dim=-1)
            .mean(),
            lengths=length_loss(joints, lengths),
            wrong=wrong,
            unusual=unusual,
            elevation=_elevation_loss(elevation) + 4 * (second_elevation - other).square().mean(),
        )
        if image.shape[1] > 2:
            found['smooth'] = (depth[:, 2:] - 2 * depth[:, 1:-1] + depth[:, :-2]).abs().mean()
        if self.prior is not None:
            found['prior'] = self.prior.nll(seen.flatten(0, 1)).clamp(max=_LARGEST_NLL).mean()
        self.step += 1
        grown = (self.step / max(self.ramp, 1)).clamp(max=1)
        found['lengths'] = found['lengths'] * (_FIRST + (1 - _FIRST) * grown**2)
        if 'prior' in found:
            found['prior'] = found['prior'] * (1 - (1 - self.last_prior) * grown**2)
        return {f'loss_{name}': self.weights[name] * value for name, value in found.items()}

    def loss(self, inputs: Tensor, data_samples: SampleList) -> dict[str, Tensor]:
        """:meth:`losses` of clips (B, T, V, 2) in pixels; of simulated ones, whose samples have a
        ``depth``, only ``depth``: how far theirs are from it."""
        image = normalize(inputs)
        simulated = torch.tensor(['gt_instances' in sample for sample in data_samples])
        found = self.losses(image[~simulated]) if not simulated.all() else {}
        if simulated.any():
            true = torch.stack(
                [one.gt_instances.depth for one in data_samples if 'gt_instances' in one]
            )
            clips = image[simulated]
            depth, _ = self._depth(self._noisy(clips), clip_lengths(clips))
            found['loss_depth'] = self.weights['depth'] * (depth - true).abs().mean()
        return found

    def _noisy(self, image: Tensor) -> Tensor:
        share = torch.rand_like(image[:, :1, :1, :1])  # of each clip
        return image + torch.randn_like(image) * self.noise * share

    def predict(self, inputs: Tensor, data_samples: SampleList) -> SampleList:
        """Each sample's ``pred_instances``, one a frame: ``keypoints`` (T, V, 3) as of
        :meth:`lift`, of clips (B, T, V, 2) in pixels."""
        for joints, sample in zip(self._forward(inputs).detach().cpu(), data_samples):
            scores = torch.ones(joints.shape[:2])
            sample.pred_instances = InstanceData(
                keypoints=joints.numpy(), keypoint_scores=scores.numpy()
            )
        return data_samples

    def _forward(self, inputs: Tensor, data_samples: OptSampleList = None) -> Tensor:
        return self.lift(normalize(inputs))[0]


def _elevation_loss(elevation: Tensor) -> Tensor:
    mean, deviation = _USUAL_ELEVATION
    return ((elevation - mean) / deviation).square().mean() * 0.02
