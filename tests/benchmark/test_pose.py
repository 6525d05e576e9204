"""Ways to compute RPSTN: each does what it is said to do, and parts add up."""

import dataclasses

import numpy as np
import pytest
import torch

from rpstn.benchmark import WAYS, Settings
from rpstn.benchmark.parts import PARTS, REST, eager_parts, multiply_adds, operator_parts
from rpstn.benchmark.pose import build_call, build_model, measure_pose, streaming
from rpstn.deploy.export import ExportError
from rpstn.engine.cpu import for_inference
from rpstn.errors import SettingError

from tiny_rpstn import JOINTS, SIZE, tiny_config

pytestmark = pytest.mark.engines

CONFIG = tiny_config(8)


def fast_model(channels: int):
    return for_inference(build_model(tiny_config(channels)))


@pytest.mark.parametrize('channels', [8, 48])
def test_multiply_adds_are_counted_by_part(channels):
    counts = multiply_adds(fast_model(channels))
    cells = (SIZE // 4) ** 2
    assert counts['Conv_d'] == channels * JOINTS * cells
    side = SIZE // 4 - 2  # S: one 3x3 convolution without padding, three with, halved between
    sides = (side, side // 2, side // 4, side // 8)
    # Of many channels Conv_a is folded into S, which so takes the heatmaps, too.
    reduce = channels * min((channels + JOINTS) * cells, 9 * JOINTS * side**2)
    assert counts['Conv_a and S'] == reduce + sum(9 * channels**2 * side**2 for side in sides)
    # R's two products of K maps, its two 1x1 convolutions being made a part of W_r; the dynamic
    # convolution is of kernels 1x1.
    assert counts['R'] == 2 * JOINTS**2 * cells + 2 * JOINTS**3
    assert counts[REST] == channels * cells
    # Transposed, kernel 4, stride 2: 4 taps for each of the cells made.
    assert counts['deconvolutions'] == 4 * channels * sum(
        inputs * (SIZE // reduced) ** 2
        for inputs, reduced in ((64, 16), (channels, 8), (channels, 4))
    )
    assert counts['all'] == sum(counts[part] for part in (*PARTS, REST))


@pytest.mark.parametrize('channels', [8, 48])
def test_parts_add_up_and_leave_the_model_alone(channels):
    model = fast_model(channels)
    found = eager_parts(model, repeats=2)
    assert list(found) == [*PARTS, REST, 'all']
    assert found['all'] == pytest.approx(sum(found[part] for part in (*PARTS, REST)))
    assert min(found[part] for part in PARTS) > 0
    assert not any(module._forward_hooks for module in model.modules())


def test_operators_are_counted_by_the_part_that_their_name_tells():
    operators = operator_parts(
        {
            '/encoder/backbone/conv1/Conv': 3.0,
            '/propagator/kernel/kernel.0/Conv/WithoutBiases': 1.5,
            '/propagator/reduce/Conv': 0.5,
            '/propagator/kernel/kernel.0/of_heatmaps/Conv': 1.0,
            '/propagator/DynamicDepthwiseConv': 1.0,
            '/encoder/deconv_layers/deconv_layers.0/x': 4.0,
        }
    )
    assert operators == dict.fromkeys(PARTS, 0.0) | {
        'backbone': 3.0,
        'Conv_a and S': 3.0,
        'deconvolutions': 4.0,
        REST: 1.0,
        'all': 11.0,
    }


def test_all_ways_in_pytorch_end_with_the_same_heatmaps():
    found = {}
    for way in ('release', 'clip as built', 'clip folded', 'clip', 'torch float32'):
        call = build_call(way, CONFIG, (SIZE, SIZE), None, Settings(clip_len=3, threads=1))
        assert call.units == (1 if way == 'torch float32' else 3) and 'float32' in call.device
        heatmaps = call.run()
        if way != 'torch float32':  # which has begun a frame before
            found[way] = heatmaps.flatten(0, -4)[-1].numpy()
    assert found['release'].shape == (JOINTS, SIZE // 4, SIZE // 4)
    assert np.abs(found['release']).max() > 0.01
    for heatmaps in found.values():
        np.testing.assert_allclose(heatmaps, found['release'], atol=1e-5)


def test_streaming_carries_its_own_state():
    class Counter:
        def start(self, crops):
            return int(crops[0]), 0

        def step(self, crops, heatmaps, features):
            return int(crops[0]), features + 1

    states = streaming(Counter(), torch.arange(3))
    assert [next(states) for _ in range(4)] == [(0, 1), (1, 2), (2, 3), (0, 4)]


def test_exports_are_kept_used_again_and_not_mistaken(tmp_path):
    pytest.importorskip('onnxruntime')
    settings = Settings(['onnx float32', 'simple baseline'], 1, 1, 1, exports=tmp_path, clip_len=2)
    section = measure_pose('tiny', CONFIG, settings)
    first, second = section.timings.values()
    assert not first.error and 'ONNX Runtime' in first.device and not second.error
    assert f'tiny: {SIZE}x{SIZE}' in section.title and 'onnx float32' in section.text
    written = (tmp_path / 'tiny/export.json').stat().st_mtime_ns
    measure_pose('tiny', CONFIG, settings)
    assert (tmp_path / 'tiny/export.json').stat().st_mtime_ns == written
    other = dataclasses.replace(settings, keep_float=['layer3'])
    with pytest.raises(ExportError, match='was exported with .*; or name other ways than onnx'):
        measure_pose('tiny', CONFIG, other)


def test_settings_that_cannot_be_are_refused_in_a_line(tmp_path):
    for given, message in (
        (dict(ways=['gpu']), "ways must be of 'release'.* got 'gpu'"),
        (dict(rounds=0), 'rounds must be 1 or more, got 0'),
        (dict(clip_len=-1), 'clip_len must be'),
        (dict(ways=['mediapipe']), 'mediapipe needs a video'),
        (dict(end_to_end=True), 'end to end needs a video'),
        (dict(video=tmp_path / 'no.mp4'), 'no.mp4: no such file'),
    ):
        with pytest.raises(SettingError, match=message) as caught:
            Settings(**given)
        assert '\n' not in str(caught.value)
    (tmp_path / 'a.mp4').touch()
    assert Settings().ways == list(WAYS)[:10]
    assert Settings(video=tmp_path / 'a.mp4').ways == list(WAYS)[:11]
