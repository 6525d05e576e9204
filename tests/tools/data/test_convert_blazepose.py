"""tools/data/convert_blazepose.py, and what can be done with the file it writes."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch

from rpstn.engine.loading import load_model
from rpstn.pose import BlazePose, BlazePoseDetector
from rpstn.pose.models.blazepose_tflite import TFLiteError, read_layers
from rpstn.pose.models.blazepose_weights import (
    DETECTOR_FILE,
    LANDMARK_FILE,
    landmark_weights,
    mediapipe_file,
)

ROOT = Path(__file__).parents[3]
CONFIG = ROOT / 'configs/blazepose/blazepose33.py'
MASK = {'output_segmentation', *(f'batch_normalization_{n}' for n in range(79, 91))}


@pytest.fixture(scope='module')
def tflite() -> Path:
    """The released file, if it is there and can be read."""
    pytest.importorskip('tflite', reason='the package tflite is not installed')
    try:
        return mediapipe_file(LANDMARK_FILE)
    except TFLiteError as error:
        pytest.skip(str(error))


@pytest.fixture(scope='module')
def converted(tflite, tool, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp('converted') / 'full.pth'
    tool('convert_blazepose', out)
    return out


def test_the_file_loads_safely_and_whole(converted, tflite):
    saved = torch.load(converted, weights_only=True)
    assert saved['meta']['source'] == 'pose_landmark_full.tflite'
    assert saved['meta']['source_sha256'] == hashlib.sha256(tflite.read_bytes()).hexdigest()
    model, init = load_model(CONFIG, converted), dict(type='Pretrained', prefix='backbone.')
    assert {k for k in model.state_dict() if k.startswith(('backbone', 'head'))} == set(
        saved['state_dict']
    )
    assert all(value.dtype == torch.half for value in saved['state_dict'].values())
    alone = BlazePose(out_indices=(0,), init_cfg=dict(init, checkpoint=str(converted)))
    alone.init_weights()
    image = torch.rand(1, 3, 256, 256)
    with torch.no_grad():
        torch.testing.assert_close(alone(image)[0], model.backbone(image)[0], rtol=1e-4, atol=1e-3)


def test_the_digest_is_the_files_and_the_same_every_time(converted, tool, tmp_path, capsys):
    tool('convert_blazepose', tmp_path / 'new' / 'other.pth')
    digest = hashlib.sha256(converted.read_bytes()).hexdigest()
    assert converted.with_name('full.pth.sha256').read_text() == f'{digest}  full.pth\n'
    written = (tmp_path / 'new' / 'other.pth.sha256').read_text()
    assert written == f'{digest}  other.pth\n'
    assert '3,167,640 weights' in (said := capsys.readouterr().out) and digest in said


def test_every_layer_is_used_once(tflite):
    layers, state = read_layers(tflite), landmark_weights(tflite)
    assert set(layers) > MASK and len(layers) == 96
    needed = [layer for name, layer in layers.items() if name not in MASK]
    # By their values: none is taken twice, none is left.
    for part in ('weight', 'bias'):
        held = sorted(tuple(np.sort(getattr(layer, part), axis=None)) for layer in needed)
        taken = sorted(tuple(np.sort(t, axis=None)) for n, t in state.items() if n.endswith(part))
        assert taken == held and len(set(held)) == len(needed)


def test_the_detector_is_converted_whole(tflite, tool, tmp_path):
    tool('convert_blazepose', tmp_path / 'detector.pth', '--network', 'detector')
    saved = torch.load(tmp_path / 'detector.pth', weights_only=True)
    assert saved['meta']['source'] == 'pose_detection.tflite'
    detector = BlazePoseDetector(
        init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'detector.pth'))
    )
    detector.init_weights()
    for name, value in detector.state_dict().items():
        assert value.equal(saved['state_dict'][name].float()), name
    assert len(read_layers(mediapipe_file(DETECTOR_FILE))) * 2 == len(saved['state_dict'])


def test_what_is_no_landmark_network_is_said_in_a_line(tflite, tool, tmp_path):
    released = tflite.read_bytes()
    detector = tflite.parents[1] / 'pose_detection/pose_detection.tflite'
    (tmp_path / 'text').write_text('some text')
    (tmp_path / 'short').write_bytes(released[:5000])
    (tmp_path / 'cut').write_bytes(released[: len(released) // 2])
    for path, reason in (
        (tmp_path / 'none', 'cannot be read, No such file'),
        (tmp_path / 'text', 'must be a TFLite model'),
        (tmp_path / 'short', 'damaged'),
        (tmp_path / 'cut', 'damaged'),
        (detector, 'must be the network of mediapipe 0.10.21, of 96 layers, got 73'),
    ):
        with pytest.raises(SystemExit) as caught:
            tool('convert_blazepose', tmp_path / 'out' / 'out.pth', '--tflite', path)
        message = caught.value.code
        assert isinstance(message, str) and '\n' not in message, 'exit status 1'
        assert str(path) in message and reason in message
    assert not (tmp_path / 'out').exists()
    with pytest.raises(SystemExit) as caught:
        tool('convert_blazepose', tmp_path / 'out.txt')
    assert caught.value.code == 2


def test_what_is_not_installed_is_said_in_a_line(run_python):
    code = """
from pathlib import Path
import rpstn
from rpstn.pose.models.blazepose_weights import landmark_weights
for path in (None, Path('some.tflite')):
    try:
        landmark_weights(path)
    except rpstn.errors.RPSTNError as error:
        print(error)
"""
    lines = run_python(code, hidden=['mediapipe', 'tflite']).stdout.splitlines()
    assert len(lines) == 2
    assert 'pip install --no-deps mediapipe==0.10.21' in lines[0]
    assert lines[1].startswith('some.tflite: ') and 'pip install --no-deps tflite' in lines[1]
