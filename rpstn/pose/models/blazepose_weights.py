"""MediaPipe's released weights under the names of BlazePose's modules here.

Layers are matched by the numbers of their batch norms, which count in the order that Keras built
them in, as our modules are; those that have none are matched by name.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor, nn

from .blazepose import BlazePose
from .blazepose_detector import STRIDES, BlazePoseDetector
from .blazepose_head import BlazePoseHead
from .blazepose_tflite import TFLiteError, read_layers

LANDMARK_FILE = 'modules/pose_landmark/pose_landmark_full.tflite'
DETECTOR_FILE = 'modules/pose_detection/pose_detection.tflite'
# The layers without a batch norm.
_OUTPUTS = dict(
    output_heatmap='head.heatmaps',
    convld_3d='head.landmarks',
    convworld_3d='head.world',
    conv_poseflag='head.presence',
)
# The decoder of the person's mask, which no pose needs, is the last that was built.
_MASK = ('output_segmentation', *(f'batch_normalization_{n}' for n in range(79, 91)))


def mediapipe_file(name: str) -> Path:
    """A file of the installed package mediapipe.

    Raises:
        TFLiteError: mediapipe is not installed, or has no such file.
    """
    spec = importlib.util.find_spec('mediapipe')  # importing it would take seconds
    if spec is None or spec.origin is None:
        raise TFLiteError(
            f'{name}: is in the wheel of mediapipe 0.10.21, which is not installed: '
            'pip install --no-deps mediapipe==0.10.21 absl-py attrs flatbuffers'
        )
    path = Path(spec.origin).parent / name
    if not path.is_file():
        raise TFLiteError(f'{path}: must be in mediapipe, which is of another version than 0.10.21')
    return path


def landmark_weights(path: Path | None = None) -> dict[str, Tensor]:
    """Weights of a ``TopdownPoseEstimator`` of BlazePose and BlazePoseHead, in half floats.

    Args:
        path: of ``pose_landmark_full.tflite``; that of the installed mediapipe by default.

    Returns:
        A state dict, ``backbone.*`` and ``head.*``, whole.

    Raises:
        TFLiteError: the file cannot be read, or is of another network.
    """
    model = nn.ModuleDict(dict(backbone=BlazePose(), head=BlazePoseHead()))
    normed = [name for name in convolutions(model) if name not in _OUTPUTS.values()]
    names = {norm_name(number): name for number, name in enumerate(normed)}
    return matched_weights(
        path or mediapipe_file(LANDMARK_FILE), model, {**names, **_OUTPUTS}, _MASK
    )


def detector_weights(path: Path | None = None) -> dict[str, Tensor]:
    """Weights of a :class:`BlazePoseDetector`, in half floats.

    Args:
        path: of ``pose_detection.tflite``; that of the installed mediapipe by default.

    Raises:
        TFLiteError: the file cannot be read, or is of another network.
    """
    model = BlazePoseDetector()
    names = {
        f'{part}_person_{stride}_NO_PRUNING': f'heads.{n}.{part}.pointwise_conv.conv'
        for n, stride in enumerate(STRIDES)
        for part in ('classifier', 'regressor')
    }
    rest = [name for name in convolutions(model) if name not in names.values()]
    # Outside of the encoder, which has 16, depthwise convolutions have no batch norm.
    plain = [n for n in rest if 'depthwise' in n and not n.startswith('encoder')]
    names.update((f'depthwise_conv2d_{16 + n}', name) for n, name in enumerate(plain))
    normed = [name for name in rest if name not in plain]
    names.update((norm_name(n), name) for n, name in enumerate(normed))
    return matched_weights(path or mediapipe_file(DETECTOR_FILE), model, names)


def norm_name(number: int) -> str:
    """What Keras calls the batch norm that it built after so many others."""
    return f'batch_normalization_{number}' if number else 'batch_normalization'


def convolutions(model: nn.Module) -> list[str]:
    """Names of a network's convolutions, in the order they were built."""
    return [name for name, module in model.named_modules() if isinstance(module, nn.Conv2d)]


def matched_weights(
    path: Path, model: nn.Module, names: Mapping[str, str], left_out: Sequence[str] = ()
) -> dict[str, Tensor]:
    """A state dict for a network, each convolution of which is one layer of a file.

    Args:
        path: of a ``.tflite`` file.
        model: the network.
        names: of all its convolutions, by those of the layers in the file.
        left_out: layers of the file that the network has not.

    Raises:
        TFLiteError: the file has other layers than these, or a layer has another shape.
    """
    layers = read_layers(path)
    if others := set(layers) ^ {*names, *left_out}:
        raise TFLiteError(
            f'{path}: must be the network of mediapipe 0.10.21, of {len(names) + len(left_out)} '
            f'layers, got {len(layers)}; {len(others)} differ, the first {min(others)}'
        )
    state = {
        f'{name}.{part}': tensor
        for layer, name in names.items()
        for part, tensor in layers[layer].tensors().items()
    }
    for name, ours in model.state_dict().items():
        if state[name].shape != ours.shape:
            raise TFLiteError(
                f'{path}: {name} must have the shape {tuple(ours.shape)}, '
                f'got {tuple(state[name].shape)}'
            )
    return state
