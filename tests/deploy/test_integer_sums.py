"""Sums of 8-bit integers are right with the bits that are said to be, whatever the processor."""

import numpy as np
import pytest
import torch

pytest.importorskip('onnx')
onnxruntime = pytest.importorskip('onnxruntime')

from torch import nn  # noqa: E402 (after what may be missing)

from rpstn.choices import WEIGHT_BITS  # noqa: E402
from rpstn.deploy.integer_sums import weight_bits  # noqa: E402
from rpstn.deploy.quantization import quantize_graph  # noqa: E402

pytestmark = pytest.mark.engines


class Positive(nn.Module):
    """A convolution in which every product is positive, and most are great."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(32, 32, 3)
        with torch.no_grad():
            self.conv.weight.uniform_(0.8, 1)
            self.conv.weight[:, :, 1, 1] = 1  # each output channel's scale
            self.conv.bias.zero_()

    def forward(self, images):
        return self.conv(images)


@pytest.fixture(scope='module')
def graphs(tmp_path_factory):
    """Files by bits, and the image that they were calibrated by."""
    folder = tmp_path_factory.mktemp('graphs')
    torch.manual_seed(0)
    image = torch.rand(1, 32, 12, 12) * 0.2 + 0.8
    torch.onnx.export(
        Positive().eval(),
        (image,),
        str(folder / 'float.onnx'),
        dynamo=False,
        input_names=['images'],
        output_names=['sums'],
    )
    for bits in WEIGHT_BITS:
        assert 1 == quantize_graph(
            folder / 'float.onnx', folder / f'{bits}.onnx', [dict(images=image.numpy())], bits
        )
    return folder, image.numpy()


def run(engine: str, path, image: np.ndarray) -> np.ndarray:
    if engine == 'onnx':
        return onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider']).run(
            None, dict(images=image)
        )[0]
    openvino = pytest.importorskip('openvino')
    return openvino.Core().compile_model(str(path), 'CPU')(dict(images=image))[0]


@pytest.mark.parametrize('engine', ['onnx', 'openvino'])
def test_sums_are_right_with_these_bits_and_with_no_more(graphs, engine):
    folder, image = graphs
    expected = run('onnx', folder / 'float.onnx', image)
    if engine == 'openvino':
        pytest.importorskip('openvino')
    for bits in WEIGHT_BITS:
        found = run(engine, folder / f'{bits}.onnx', image)
        right = np.abs(found / expected - 1).max() < 0.03
        assert right == (bits <= weight_bits(engine)), (bits, weight_bits(engine))
