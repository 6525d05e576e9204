"""Options that would do nothing, or are no numbers: a line, before anything takes time."""

from pathlib import Path

import pytest

from rpstn.benchmark.settings import Settings
from rpstn.deploy.run import ExportOptions, export
from rpstn.errors import SettingError
from rpstn.inference.inferencer import PoseInferencer
from rpstn.inference.options import InferOptions


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(kpt_thr=float('nan')), '--kpt-thr must be a number, got nan'),
        (dict(kpt_thr=float('inf')), '--kpt-thr must be a number, got inf'),
        (dict(look_ahead=-1), '--look-ahead must be at least 0, got -1'),
        (dict(every_frame=True, mode='clip'), '--every-frame is of RPSTN-Lite in stream mode'),
        (dict(every_frame=True, config='a.py', checkpoint='a.pth'), '--every-frame is of RPSTN'),
        (dict(fps=float('nan')), '--fps must be above 0 .*got nan'),
        (dict(exported=Path('x')), '--exported is of engines other than torch'),
        (dict(engine='onnx', device='cuda'), '--device is of engine torch; onnx .* got cuda'),
        (dict(retries=3), '--retries is of live streams, got a.mp4'),
        (dict(out=None, show=True, save=['json']), '--save, .* and --overwrite .* need --out'),
        (dict(out=None, show=True, resume=True), '--save, .* and --overwrite .* need --out'),
        (dict(cfg_options={'modle.head.channels': 3}), 'got modle.head.channels; is model meant'),
    ],
)
def test_of_infer(options, message, tmp_path):
    given = InferOptions(**{'inputs': ['a.mp4'], 'out': tmp_path, **options})
    with pytest.raises(SettingError, match=message) as error:
        given.check()
        given.model_files()
    assert '\n' not in str(error.value)


def test_what_has_its_use_is_taken(tmp_path):
    for options in (
        dict(engine='onnx', exported=Path('x'), device='cpu'),
        dict(inputs=['0'], retries=3),
        dict(out=None, show=True),
        dict(engine='onnx', finder='rtmdet', device='cuda'),  # the detector's
    ):
        InferOptions(**{'inputs': ['a.mp4'], 'out': tmp_path, **options}).check()


def test_the_shipped_models_streams_are_smoothed_unless_told_otherwise():
    assert InferOptions(['a.mp4']).smooths is True
    for options in (dict(smooth=False), dict(mode='clip'), dict(config='a.py', checkpoint='a.pth')):
        assert InferOptions(['a.mp4'], **options).smooths is False
    assert InferOptions(['a.mp4'], smooth={}).smooths == {}, "the one-euro filter's own settings"
    assert InferOptions(['a.mp4'], smooth=dict(beta=5)).smooths == dict(beta=5)
    assert InferOptions(['a.mp4'], config='a.py', checkpoint='a.pth', smooth=True).smooths is True
    PoseInferencer(smooth=InferOptions(['a.mp4']).smooths)


def test_the_shipped_model_leaves_calm_frames_out_unless_told_otherwise():
    assert InferOptions(['a.mp4']).spares
    for options in (
        dict(every_frame=True),
        dict(mode='clip'),
        dict(config='a.py', checkpoint='a.pth'),
    ):
        assert not InferOptions(['a.mp4'], **options).spares
    assert PoseInferencer(spare=True).spare
    assert not PoseInferencer(spare=True, stream_options=dict(reset_every=10)).spare


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(kpt_thr=float('nan')), 'kpt_thr must be a number, got nan'),
        (dict(exported='x'), 'exported is of engines other than torch'),
    ],
)
def test_of_the_inferencer(options, message):
    with pytest.raises(SettingError, match=message):
        PoseInferencer(**options)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(keep_float=['deconv']), '--keep-float is of 8-bit integers'),
        (dict(weight_bits=8), '--weight-bits is of 8-bit integers'),
        (dict(limit=3), '--limit is of clips'),
    ],
)
def test_of_export(options, message, tmp_path):
    with pytest.raises(SettingError, match=message):
        export(ExportOptions('a.py', 'a.pth', tmp_path, **options))


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(ways=['clip'], exports='x'), '--exports and --keep-float are of onnx and openvino'),
        (dict(ways=['clip'], keep_float=['a']), '--exports and --keep-float are of onnx'),
        (dict(ways=['clip'], video=__file__), '--video is of the way mediapipe'),
    ],
)
def test_of_benchmark(options, message):
    with pytest.raises(SettingError, match=message):
        Settings(**options)
