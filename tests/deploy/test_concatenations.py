"""Convolutions over concatenated maps as sums: the same answers, and no concatenation left."""

import io

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from rpstn.deploy.concatenations import convolve_apart

SIZES = (3, 4, 3)


class Joined(nn.Module):
    """A convolution of three maps, pooled or not, whose concatenation may be looked at, too."""

    def __init__(self, kernel: int, bias: bool = True, pool: bool = False, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(sum(SIZES), 10, kernel, padding=kernel // 2, bias=bias, groups=groups)
        self.pool = nn.AvgPool2d(2) if pool else nn.Identity()
        self.shown = False

    def forward(self, *maps: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        joined = torch.cat(maps, 1)
        answer = self.conv(self.pool(joined))
        return (answer, joined) if self.shown else answer


def traced(module: nn.Module, maps: tuple[Tensor, ...]) -> onnx.ModelProto:
    buffer = io.BytesIO()
    names = [f'map{i}' for i in range(len(maps))]
    torch.onnx.export(
        module, maps, buffer, dynamo=False, opset_version=17, input_names=names,
        dynamic_axes={name: {0: 'batch'} for name in names},
    )  # fmt: skip
    return onnx.load_from_string(buffer.getvalue())


def answer(proto: onnx.ModelProto, maps: tuple[Tensor, ...]) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), providers=['CPUExecutionProvider']
    )
    return session.run(None, {f'map{i}': m.numpy() for i, m in enumerate(maps)})


def operators(proto: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in proto.graph.node]


@pytest.fixture
def maps() -> tuple[Tensor, ...]:
    torch.manual_seed(0)
    return tuple(torch.randn(2, size, 8, 6) for size in SIZES)


@pytest.mark.engines
@pytest.mark.parametrize(
    'options', [dict(kernel=1), dict(kernel=3, bias=False), dict(kernel=1, pool=True)]
)
def test_the_sum_of_three_is_the_convolution_of_all(options, maps):
    module = Joined(**options).eval()
    proto = traced(module, maps)
    expected = answer(proto, maps)
    assert 'Concat' in operators(proto)
    convolve_apart(proto)
    onnx.checker.check_model(proto, full_check=True)
    assert operators(proto).count('Conv') == 3 and 'Concat' not in operators(proto)
    np.testing.assert_allclose(answer(proto, maps)[0], expected[0], atol=1e-5)
    before = [*operators(proto)]
    convolve_apart(proto)  # there is nothing left to split
    assert operators(proto) == before


@pytest.mark.engines
@pytest.mark.parametrize('change', [dict(groups=2), dict(shown=True)])
def test_what_cannot_or_need_not_be_split_is_left(change, maps):
    module = Joined(1, groups=change.get('groups', 1)).eval()
    module.shown = change.get('shown', False)
    proto = traced(module, maps)
    convolve_apart(proto)
    assert operators(proto).count('Conv') == 1 and 'Concat' in operators(proto)
