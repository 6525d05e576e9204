"""BlazePose's head: heatmaps, and landmarks in the image and in metres by regression.

Bazarevsky et al., BlazePose, CVPR Workshops 2020, https://arxiv.org/abs/2006.10204, as released in
MediaPipe 0.10 (see :mod:`.blazepose`).

Shapes: N images, L = 39 landmarks (33 of the skeleton ``blazepose33``, then 6 auxiliary ones, the
first two of which, the hips' centre and a point on the circle about the body, align the next
frame's crop), K = 33 of them that are answered and trained, (h, w) heatmap cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from mmcv.cnn import DepthwiseSeparableConvModule
from mmengine.structures import InstanceData, PixelData
from mmpose.evaluation.functional import keypoint_pck_accuracy
from mmpose.models.heads.base_head import BaseHead
from mmpose.registry import KEYPOINT_CODECS, MODELS
from mmpose.utils.tensor_utils import to_numpy
from torch import Tensor, nn

from rpstn.errors import SettingError

from .blazepose import RELU6, SeparableResidual

LANDMARKS, NUM_JOINTS, INPUT_SIZE = 39, 33, 256
# (C, h, w) of the maps that are used: the finest and the coarsest.
_FINEST, _COARSEST = (48, 64, 64), (864, 8, 8)
_WIDTH = 288
# Strides of the regression branch's blocks: maps of 4x4, then 2x2.
_BLOCKS = (2, 1, 1, 1, 1, 2, 1, 1, 1, 1, 1)

# Weights bring the three to one size where the released network is off by some pixels.
_LOSS_HEATMAP = dict(type='BCELoss', use_target_weight=True)
_LOSS_KEYPOINT = dict(type='L1Loss', use_target_weight=True)
_LOSS_VISIBILITY = dict(type='BCELoss', use_target_weight=True, loss_weight=0.05)


class BlazePoseOutput(NamedTuple):
    """What the network says of N crops.

    Attributes:
        heatmaps: (N, L, h, w), logits.
        landmarks: (N, L, 5): x and y in pixels of the 256x256 crop, from its corner; depth in the
            same unit, from the middle of the hips, negative towards the camera; logits of being
            visible and of lying in the crop.
        world: (N, L, 3) metres from the middle of the hips, axes as the crop's: x right, y down, z
            away from the camera.
        presence: (N, 1) logits of there being a person.
    """

    heatmaps: Tensor
    landmarks: Tensor
    world: Tensor
    presence: Tensor

    def coordinates(self) -> Tensor:
        """(N, L, 2) as MMPose's codecs have them: shares of the crop's sides, from the centre of
        its first pixel, which is half a pixel from the corner.
        """
        # From the corner it is: x and that of the mirror image add up to 256 (256.4, standard error
        # 0.2, over 300 crops of JHMDB), not 255.
        return (self.landmarks[..., :2] - 0.5) / INPUT_SIZE

    def answered(self) -> BlazePoseOutput:
        """Without the auxiliary landmarks."""
        return BlazePoseOutput(
            self.heatmaps[:, :NUM_JOINTS],
            self.landmarks[:, :NUM_JOINTS],
            self.world[:, :NUM_JOINTS],
            self.presence,
        )

    def mirrored(self, flip_indices: Sequence[int]) -> BlazePoseOutput:
        """What an image says whose mirror image says this; of K landmarks."""
        swap = list(flip_indices)
        sign = self.landmarks.new_tensor([-1.0, 1, 1, 1, 1])
        shift = self.landmarks.new_tensor([INPUT_SIZE, 0, 0, 0, 0])
        return BlazePoseOutput(
            self.heatmaps[:, swap].flip(-1),
            self.landmarks[:, swap] * sign + shift,
            self.world[:, swap] * sign[:3],
            self.presence,
        )


@MODELS.register_module()
class BlazePoseHead(BaseHead):
    """Heatmaps from the finest of :class:`BlazePose`'s maps, landmarks from its coarsest.

    Regression's gradients end at the backbone, which is trained by the heatmaps alone: the paper
    found both to be better so. Depth, world coordinates and presence have no loss: data sets of 2D
    poses do not know them. The layers behind them keep their weights, while what they read changes
    with training.

    Args:
        loss_heatmap: of logits (N, K, h, w) to heatmaps, with weights of the same shape.
        loss_keypoint: of coordinates (N, K, 2), as shares of the crop's sides.
        loss_visibility: of logits (N, K, 2), visible and in the crop, both to whether a landmark is
            labelled inside the crop, which is all that MMPose's data sets know.
        stop_gradient: of regression, before the backbone. Defaults to True.
        decoder: codec of input 256x256, MMPose's ``IntegralRegressionLabel`` with
            ``normalize=False``, which encodes coordinates and heatmaps.
        init_cfg: MMEngine weight initialization.

    Raises:
        SettingError: the codec is of another input size.
    """

    def __init__(
        self,
        loss_heatmap: dict | None = None,
        loss_keypoint: dict | None = None,
        loss_visibility: dict | None = None,
        stop_gradient: bool = True,
        decoder: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.stop_gradient = stop_gradient
        self.loss_heatmap = MODELS.build(loss_heatmap or _LOSS_HEATMAP)
        self.loss_keypoint = MODELS.build(loss_keypoint or _LOSS_KEYPOINT)
        self.loss_visibility = MODELS.build(loss_visibility or _LOSS_VISIBILITY)
        self.decoder = KEYPOINT_CODECS.build(decoder) if decoder else None
        size = tuple(decoder['input_size']) if decoder else (INPUT_SIZE, INPUT_SIZE)
        if size != (INPUT_SIZE, INPUT_SIZE):
            raise SettingError(
                f"BlazePoseHead: the decoder's input_size must be {(INPUT_SIZE, INPUT_SIZE)}, "
                f'got {size}'
            )
        self.regression = nn.Sequential(
            DepthwiseSeparableConvModule(_COARSEST[0], _WIDTH, 3, padding=1, act_cfg=RELU6),
            *(SeparableResidual(_WIDTH, stride) for stride in _BLOCKS),
        )
        self.heatmaps = nn.Conv2d(_FINEST[0], LANDMARKS, 1)
        self.landmarks = nn.Conv2d(_WIDTH, LANDMARKS * 5, 2)
        self.world = nn.Conv2d(_WIDTH, LANDMARKS * 3, 2)
        self.presence = nn.Conv2d(_WIDTH, 1, 2)

    def forward(self, feats: Sequence[Tensor]) -> BlazePoseOutput:
        """The backbone's maps, strides 4 to 32, of N crops of 256x256.

        Raises:
            SettingError: they are not: the regression branch ends in 2x2 cells.
        """
        finest, coarsest = feats[0], feats[-1]
        got = tuple(finest.shape[1:]), tuple(coarsest.shape[1:])
        if got != (_FINEST, _COARSEST):
            raise SettingError(
                f'BlazePoseHead: first and last map must be {_FINEST} and {_COARSEST}, those of '
                f'BlazePose and 256x256 crops, got {got[0]} and {got[1]}'
            )
        code = self.regress(coarsest)
        return BlazePoseOutput(
            self.heatmaps(finest),
            self.landmarks(code).view(-1, LANDMARKS, 5),
            self.world(code).view(-1, LANDMARKS, 3),
            self.presence(code).view(-1, 1),
        )

    def regress(self, coarsest: Tensor) -> Tensor:
        """What landmarks and world coordinates are read from, of the coarsest map."""
        return self.regression(coarsest.detach() if self.stop_gradient else coarsest)

    def predict(
        self, feats: Sequence, batch_data_samples: Sequence, test_cfg: dict | None = None
    ) -> list[InstanceData] | tuple[list[InstanceData], list[PixelData]]:
        """Landmarks of N people, from regression.

        Args:
            feats: maps of the crops; with ``flip_test`` also those of their mirror images.
            batch_data_samples: of whose metainfo ``input_scale`` is used, and, with ``flip_test``,
                ``flip_indices``.
            test_cfg: ``flip_test`` averages with the mirror image, ``output_heatmaps`` adds
                heatmaps in [0, 1].

        Returns:
            Of each person ``keypoints`` (1, K, 2) in pixels of the crop (the estimator brings them
            into the image), ``keypoint_scores`` (1, K) the probability of lying in the crop,
            ``keypoints_visible`` (1, K) that of being visible, ``keypoint_depths`` (1, K) in pixels
            of the image, ``keypoints_world`` (1, K, 3) metres, ``presence`` (1,) the probability
            that there is a person. With ``output_heatmaps`` also their heatmaps (K, h, w).
        """
        test_cfg = test_cfg or {}
        if test_cfg.get('flip_test', False):
            straight, flipped = (self(f).answered() for f in feats)
            flipped = flipped.mirrored(batch_data_samples[0].metainfo['flip_indices'])
            out = BlazePoseOutput(*((a + b) / 2 for a, b in zip(straight, flipped)))
        else:
            out = self(feats).answered()
        people = self.decode(out.coordinates()[:, None])
        depths = to_numpy(out.landmarks[:, None, :, 2])
        visible, inside = to_numpy(out.landmarks[:, None, :, 3:].sigmoid()).transpose(3, 0, 1, 2)
        world, presence = to_numpy(out.world[:, None]), to_numpy(out.presence.sigmoid())
        for n, (person, sample) in enumerate(zip(people, batch_data_samples)):
            person.keypoint_scores = inside[n]
            person.keypoints_visible = visible[n]
            person.keypoint_depths = depths[n] * sample.metainfo['input_scale'][0] / INPUT_SIZE
            person.keypoints_world = world[n]
            person.presence = presence[n]
        if not test_cfg.get('output_heatmaps', False):
            return people
        return people, [PixelData(heatmaps=h) for h in out.heatmaps.sigmoid().detach()]

    def loss(
        self, feats: Sequence[Tensor], batch_data_samples: Sequence, train_cfg: dict | None = None
    ) -> dict[str, Tensor]:
        """Losses of N people labelled in 2D, as the codec encodes them.

        Raises:
            SettingError: labels are not of K landmarks, or have no heatmaps.
        """
        if not all('gt_fields' in sample for sample in batch_data_samples):
            raise SettingError(
                'BlazePoseHead: labels must have coordinates and heatmaps, as the codec '
                'IntegralRegressionLabel encodes them; got no heatmaps'
            )
        out = self(feats).answered()
        labels = [sample.gt_instance_labels for sample in batch_data_samples]
        coordinates = torch.cat([label.keypoint_labels for label in labels])
        weights = torch.cat([label.keypoint_weights for label in labels])
        if coordinates.shape[1] != NUM_JOINTS:
            raise SettingError(
                f'BlazePoseHead: must be trained on {NUM_JOINTS} landmarks, got '
                f'{coordinates.shape[1]}; for other joints put a HeatmapHead behind BlazePose'
            )
        heatmaps = torch.stack([sample.gt_fields.heatmaps for sample in batch_data_samples])
        everywhere = torch.ones_like(weights[:1])
        known = torch.cat([label.get('keypoints_visible_weights', everywhere) for label in labels])
        predicted = out.coordinates()
        _, accuracy, _ = keypoint_pck_accuracy(
            pred=to_numpy(predicted),
            gt=to_numpy(coordinates),
            mask=to_numpy(weights) > 0,
            thr=0.05,
            norm_factor=np.ones((len(labels), 2), dtype=np.float32),
        )
        return dict(
            loss_heatmap=self.loss_heatmap(
                out.heatmaps, heatmaps, weights[..., None, None].expand_as(heatmaps)
            ),
            loss_kpt=self.loss_keypoint(predicted, coordinates, weights),
            loss_vis=self.loss_visibility(
                out.landmarks[..., 3:], *(w[..., None].expand(-1, -1, 2) for w in (weights, known))
            ),
            acc_pose=weights.new_tensor(accuracy),
        )
