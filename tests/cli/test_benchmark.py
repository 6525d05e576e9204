"""`rpstn benchmark`: turns, ratios and parts are what they are said to be, and it runs."""

import json

import numpy as np
import pytest
import torch
from mmengine.config import Config

from rpstn.benchmark.speed import report
from rpstn.benchmark.speed_profile import PARTS, REST, eager_parts, multiply_adds, operator_parts
from rpstn.benchmark.speed_worker import Streaming, build_model, prepare
from rpstn.cli.main import main
from rpstn.engine.cpu import for_inference

pytestmark = pytest.mark.engines

SIZE, JOINTS, CHANNELS = 64, 5, 8
CONFIG = Config(
    dict(
        model=dict(
            type='VideoPoseEstimator',
            data_preprocessor=dict(
                type='ClipDataPreprocessor',
                mean=[123.675, 116.28, 103.53],
                std=[58.395, 57.12, 57.375],
                bgr_to_rgb=True,
            ),
            backbone=dict(
                type='RPSTNBackbone',
                num_joints=JOINTS,
                channels=CHANNELS,
                input_size=(SIZE, SIZE),
                encoder=dict(type='ResNet', depth=18, stem_channels=8, base_channels=8),
            ),
            head=dict(
                type='RPSTNHead',
                num_joints=JOINTS,
                channels=CHANNELS,
                relation=dict(type='JRE'),
                propagator=dict(type='JRPSP'),
            ),
        )
    )
)


def fast_model(channels: int):
    config = CONFIG.copy()
    config.model.backbone.channels = config.model.head.channels = channels
    return for_inference(build_model(config))


@pytest.fixture(scope='module')
def config_file(tmp_path_factory):
    path = tmp_path_factory.mktemp('configs') / 'tiny.py'
    path.write_text(CONFIG.pretty_text)
    return path


def test_the_report_compares_turn_by_turn():
    def entry(turns: list, **others) -> dict:
        return (
            dict(
                ms=turns,
                cpu_ms=[[2 * t for t in turn] for turn in turns],
                error='',
                memory=100.0,
                device='x',
            )
            | others
        )

    # Half of (a)'s time in each of three turns, in the second of which the machine was slow.
    text = report(
        {
            'release': entry([[10.0] * 3, [1000.0] * 3, [10.0] * 3]),
            'clip': entry([[5.0] * 3, [500.0] * 3, [5.0] * 3]),
            'onnx int8': entry([], error='no such engine'),
        },
        clip_len=5,
    )
    rows = [
        [cell.strip() for cell in line.split('|')][1:-1]
        for line in text.splitlines()
        if line.startswith('|')
    ]
    assert rows[2] == [
        "(a) the release's way: frame by frame, T = 5, eager",
        '10.0',
        '1000.0',
        '1.00',
        '20.0',
        '1.00',
        '100',
    ]
    assert rows[3] == ['(b) clip mode, T = 5', '5.0', '500.0', '0.50', '10.0', '0.50', '100']
    assert text.endswith('- (g) streaming, ONNX Runtime, int8: not measured: no such engine')


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
    # R's two 1x1 convolutions and two products of K maps; the dynamic one is of kernels 1x1.
    assert counts['R'] == 4 * JOINTS**2 * cells
    assert counts[REST] == channels * cells
    # Transposed, kernel 4, stride 2: 4 taps for each of the cells made.
    assert counts['deconvolutions'] == 4 * channels * sum(
        inputs * (SIZE // reduced) ** 2
        for inputs, reduced in ((64, 16), (channels, 8), (channels, 4))
    )
    assert counts['all'] == sum(counts[part] for part in (*PARTS, REST))


@pytest.mark.parametrize('channels', [8, 48])
def test_parts_add_up(channels):
    found = eager_parts(fast_model(channels), repeats=2)
    assert set(found) == {*PARTS, REST, 'all'}
    assert found['all'] == pytest.approx(sum(found[part] for part in (*PARTS, REST)))
    assert min(found[part] for part in PARTS) > 0


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


@pytest.mark.parametrize(('way', 'frames'), [('release', 3), ('clip', 3), ('torch float32', 1)])
def test_a_way_runs_as_many_frames_as_it_says(config_file, way, frames):
    settings = dict(
        way=way,
        config=str(config_file),
        cfg_options={},
        clip_len=3,
        input_size=(SIZE, SIZE),
        threads=1,
        exported=None,
        video=None,
    )
    call, found, device = prepare(settings)
    with torch.inference_mode():
        call()
    assert found == frames and 'float32' in device


def test_streaming_carries_its_own_state():
    class Counter:
        def start(self, crops):
            return len(crops), 0

        def step(self, crops, heatmaps, features):
            return int(crops[0]), features + 1

    streaming = Streaming(Counter(), torch.arange(3))
    seen = []
    for _ in range(4):
        streaming()
        seen.append(streaming.state)
    assert seen == [(1, 1), (2, 2), (0, 3), (1, 4)]


def test_the_command_writes_its_page(config_file, tmp_path, capsys):
    page, found = tmp_path / 'performance.md', tmp_path / 'found.json'
    page.write_text('# Speed\n\n<!-- benchmark -->\nold\n<!-- /benchmark -->\n\nEnd.\n')
    arguments = [
        str(config_file),
        '--ways',
        'release',
        'torch float32',
        '--rounds',
        '2',
        '--frames',
        '3',
        '--threads',
        '1',
        '--clip-len',
        '3',
    ]
    assert main(['benchmark', *arguments, '--out', str(page), '--json', str(found)]) == 0
    text = page.read_text()
    assert text.startswith('# Speed\n') and text.endswith('<!-- /benchmark -->\n\nEnd.\n')
    assert 'old' not in text and f'torch {torch.__version__}' in text and 'load' in text
    ways = json.loads(found.read_text())['results'][str(config_file)]['ways']
    assert [np.shape(entry['ms']) for entry in ways.values()] == [(2, 1), (2, 3)]
    assert all(entry['memory'] > 50 for entry in ways.values())

    capsys.readouterr()
    page.write_text('no marks')
    for wrong, message in (
        (['--out', str(page)], 'has no lines'),
        (['--ways', 'gpu'], "--ways must be of 'release'"),
        (['--ways', 'mediapipe'], 'mediapipe needs --video'),
    ):
        assert main(['benchmark', *arguments, *wrong]) == 1
        error = capsys.readouterr().err.strip()
        assert message in error and len(error.splitlines()) == 1
    assert page.read_text() == 'no marks'
    assert main(['benchmark', str(tmp_path / 'no.py')]) == 1
    assert 'no.py: no such file' in capsys.readouterr().err
