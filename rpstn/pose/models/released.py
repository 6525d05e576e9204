"""Weights of the authors' released RPSTN: what network they are of, and under which names here.

A released state dict has P as ``pose_net.*``, F as ``fea_ext.*`` and the recurrence under the names
in ``_PARTS``. ``configs/_base_/released.py`` describes how that network differs from the paper.

Shapes: K joints, C channels.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from rpstn.errors import RPSTNError

from .estimator import VideoPoseEstimator

# Prefixes: ours, and the released. What follows a prefix is the same in both.
_PARTS = {
    'backbone.initializer.backbone.': 'pose_net.',
    'backbone.initializer.head.': 'pose_net.',  # deconv_layers and final_layer
    'backbone.encoder.backbone.conv1.': 'fea_ext.0.',
    'backbone.encoder.backbone.bn1.': 'fea_ext.1.',
    'backbone.encoder.backbone.layer1.': 'fea_ext.4.',
    'backbone.encoder.backbone.layer2.': 'fea_ext.5.',
    'backbone.encoder.backbone.layer3.': 'fea_ext.6.',
    'backbone.encoder.backbone.layer4.': 'fea_ext.7.',
    'backbone.encoder.head.deconv_layers.': 'fea_ext.8.',
    'head.propagator.project.': 'pose_conv1x1_V.',
    'head.propagator.reduce.': 'conv1x1_reduce_dim.',
    'head.propagator.norm.': 'bn.',
    'head.propagator.kernel.': 'dkd_param_adapter.',
    'head.propagator.predict.': 'pose_conv1x1_U.',
    'head.relation.g.': 'non_local_conv2d.g.',
    'head.relation.out.': 'non_local_conv2d.W.',
    'head.norm.': 'bn_u.',
}
# They exist in the release, and nothing is computed from them.
_UNUSED = ('non_local_conv2d.theta.', 'non_local_conv2d.phi.')
# The numbers of blocks in layer1 to layer4, and whether they are bottlenecks: torchvision's depths.
_DEPTHS: dict[tuple[bool, tuple[int, ...]], int] = {
    (False, (2, 2, 2, 2)): 18,
    (False, (3, 4, 6, 3)): 34,
    (True, (3, 4, 6, 3)): 50,
    (True, (3, 4, 23, 3)): 101,
    (True, (3, 8, 36, 3)): 152,
}
VARIANTS = {13: 'penn', 15: 'jhmdb'}


class ReleasedWeightsError(RPSTNError, ValueError):
    """Weights that are not those of a released RPSTN; the message is one line that says why."""


@dataclass(frozen=True)
class ReleasedNetwork:
    """What network some weights are of."""

    initializer_depth: int
    """Of P, a ResNet."""
    encoder_depth: int
    """Of F, a ResNet."""
    num_joints: int
    """K: 13, Penn Action's, or 15, JHMDB's."""
    variant: str
    """'penn', or 'jhmdb', which norms the dynamic convolution's output, too."""

    @property
    def config(self) -> str:
        """The config, by name, whose joints and data set it has."""
        return f'released_{VARIANTS[self.num_joints]}.py'

    @property
    def options(self) -> dict:
        """What to merge into that config. No weights are to be downloaded."""

        def resnet(depth: int) -> dict:
            return dict(type='ResNet', depth=depth, init_cfg=None)

        return dict(
            model=dict(
                backbone=dict(
                    encoder=resnet(self.encoder_depth), initializer=resnet(self.initializer_depth)
                ),
                head=dict(propagator=dict(norm_filtered=self.variant == 'jhmdb')),
            )
        )


def released_weights(saved: object) -> dict[str, Tensor]:
    """Weights by name, out of what a checkpoint file holds.

    Args:
        saved: a state dict, bare or under ``state_dict``, from within ``DataParallel`` (``module.``
            before each name) or not.

    Raises:
        ReleasedWeightsError: it is something else.
    """
    weights = saved.get('state_dict', saved) if isinstance(saved, Mapping) else saved
    if not isinstance(weights, Mapping) or not weights:
        raise ReleasedWeightsError(
            f'holds no state dict, bare or under state_dict, but a {type(weights).__name__}'
        )
    others = [
        str(name)
        for name, value in weights.items()
        if not (isinstance(name, str) and isinstance(value, Tensor))
    ]
    if others:
        raise ReleasedWeightsError(
            f'not all of it are weights: {_some(others)}; a state dict, '
            'bare or under state_dict, was expected'
        )
    return {re.sub(r'^module\.', '', name): value for name, value in weights.items()}


def inspect_released(weights: Mapping[str, Tensor], variant: str | None = None) -> ReleasedNetwork:
    """Find depths and joints in names and shapes.

    Args:
        weights: of :func:`released_weights`.
        variant: ``'penn'`` or ``'jhmdb'``. Defaults to that of the K joints.

    Raises:
        ReleasedWeightsError: P or F is no ResNet, or K neither 13 nor 15.
    """
    if variant not in (None, *VARIANTS.values()):
        raise ReleasedWeightsError(
            f'variant must be one of {tuple(VARIANTS.values())}, got {variant!r}'
        )
    final = weights.get('pose_net.final_layer.weight')
    if final is None:
        raise ReleasedWeightsError(
            'pose_net.final_layer.weight is missing, whose shape tells the '
            'number of joints: not the weights of a released RPSTN'
        )
    joints = final.shape[0] if final.ndim else 0
    if joints not in VARIANTS:
        allowed = ' or '.join(f'{k} ({name})' for k, name in VARIANTS.items())
        raise ReleasedWeightsError(
            f'a released RPSTN has {allowed} joints, pose_net.final_layer.weight has {joints}'
        )
    return ReleasedNetwork(
        initializer_depth=_depth(weights, [f'pose_net.layer{n}' for n in (1, 2, 3, 4)]),
        encoder_depth=_depth(weights, [f'fea_ext.{n}' for n in (4, 5, 6, 7)]),
        num_joints=joints,
        variant=variant or VARIANTS[joints],
    )


def convert_weights(
    weights: Mapping[str, Tensor], model: VideoPoseEstimator
) -> tuple[OrderedDict[str, Tensor], list[str]]:
    """Rename released weights to those of ``model``.

    Conv_a's input channels change places: the release concatenates heatmaps and features, we
    features and heatmaps. A state dict from before PyTorch 0.4.1 lacks the batch norms'
    ``num_batches_tracked``, which become 0.

    Args:
        weights: of :func:`released_weights`.
        model: built from the config of :func:`inspect_released`; left as it is.

    Returns:
        Weights of every name and shape of the model, float32, and the released names that the
        network does not use.

    Raises:
        ReleasedWeightsError: weights are missing, unexpected, or of another shape.
    """
    converted, taken, missing, misshapen = OrderedDict(), set(), [], []
    for name, ours in model.state_dict().items():
        released = released_name(name)
        taken.add(released)
        if released not in weights:
            if not name.endswith('num_batches_tracked'):
                missing.append(released)
            converted[name] = torch.zeros_like(ours)
            continue
        value = weights[released]
        if value.shape != ours.shape:
            misshapen.append(f'{released} {tuple(value.shape)} in place of {tuple(ours.shape)}')
        elif name == 'head.propagator.reduce.weight':
            joints = model.head.num_joints
            value = torch.cat([value[:, joints:], value[:, :joints]], dim=1)
        converted[name] = value.detach().to(ours.dtype, copy=True)
    unused = [name for name in weights if name.startswith(_UNUSED)]
    unexpected = [name for name in weights if name not in taken and name not in unused]
    faults = [
        f'{len(names)} {what}: {_some(names)}'
        for what, names in (
            ('missing', missing),
            ('unexpected', unexpected),
            ('of another shape', misshapen),
        )
        if names
    ]
    if faults:
        raise ReleasedWeightsError(f'not the weights of a released RPSTN: {"; ".join(faults)}')
    return converted, unused


def released_name(name: str) -> str:
    """The released name of a parameter of ours."""
    ours = next(prefix for prefix in _PARTS if name.startswith(prefix))
    return _PARTS[ours] + name.removeprefix(ours)


def _depth(weights: Mapping[str, Tensor], layers: list[str]) -> int:
    """The depth of a ResNet with these four layers."""
    blocks = tuple(
        len(
            {
                match[1]
                for name in weights
                if (match := re.match(rf'{re.escape(layer)}\.(\d+)\.', name))
            }
        )
        for layer in layers
    )
    bottlenecks = f'{layers[0]}.0.conv3.weight' in weights
    if (bottlenecks, blocks) not in _DEPTHS:
        kind = 'bottleneck' if bottlenecks else 'basic'
        raise ReleasedWeightsError(
            f'{layers[0]} and on have {", ".join(map(str, blocks))} {kind} blocks, which is no '
            f'ResNet of {", ".join(map(str, _DEPTHS.values()))} layers'
        )
    return _DEPTHS[bottlenecks, blocks]


def _some(names: list[str], most: int = 3) -> str:
    more = len(names) - most
    return ', '.join(names[:most]) + (f' and {more} more' if more > 0 else '')
