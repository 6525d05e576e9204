"""The benchmark of form recognizers: what it counts is right, and it runs to the end."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from rpstn.benchmark import Settings, benchmark
from rpstn.benchmark.form import Contender, build_distances, simulated_clip
from rpstn.errors import SettingError

ROOT = Path(__file__).parents[2]
TINY = f"""
_base_ = '{ROOT}/configs/tdm_squat.py'

model = dict(backbone=dict(channels=16, num_layers=2), cls_head=dict(in_channels=16))
data = dict(type='SyntheticSquatDataset', skeleton='mediapipe19', _delete_=True)
test_dataloader = dict(dataset=dict(
    **data, part='test', num_sequences=14, pipeline=_base_.test_pipeline, test_mode=True))
"""


def multiply_adds(channels: int, inputs: int, layers: int, frames: int) -> int:
    """Of TemporalResNet1D's convolutions, counted by hand."""
    frames = -(-frames // 2)
    total = 3 * inputs * channels * frames
    for _ in range(layers):
        frames = -(-frames // 2)
        total += (3 * 3 + 1) * channels**2 * frames
    return total


def read(name: str) -> Config:
    return Config.fromfile(ROOT / f'configs/{name}.py')


def test_what_is_counted_is_what_the_network_does():
    contender = Contender(read('tdm_squat'), frames=300)
    # 17 convolutions over 171 or 256 channels and the head: as trained, with their batch norms.
    weights = 256 * (3 * 171 + 12 * 3 * 256 + 4 * 256) + (256 + 1) * 7
    assert contender.parameters == weights + 17 * 2 * 256
    assert contender.multiply_adds() == multiply_adds(256, 171, 4, 300) + 256 * 7  # and the head


@pytest.mark.parametrize('name', ['form_squat', 'stgcn_squat', 'form_penn_actions'])
def test_every_kind_of_model_is_counted(name):
    contender = Contender(read(name), frames=64)
    # Each weight works once for each frame that is left, one in 32 at least; in ST-GCN for joints.
    assert contender.multiply_adds() > 2 * contender.parameters


def test_the_whole_clip_reaches_the_network_and_the_pipeline_resamples():
    config = read('tdm_squat')
    config.merge_from_dict({'model.backbone.channels': 16, 'model.cls_head.in_channels': 16})
    contender = Contender(config, frames=100)
    seen = []
    contender.model.backbone.register_forward_pre_hook(
        lambda module, inputs: seen.append(inputs[0].shape)
    )
    raw = contender.item['keypoint'].copy()
    contender.network()
    contender.raw()
    contender.raw()
    num_frames = config.num_frames
    assert seen == [(1, 171, 100), (1, 171, num_frames), (1, 171, num_frames)]
    assert contender.seen == (1, num_frames)
    # Each call begins with the same raw clip, of which three frames are lost ...
    np.testing.assert_array_equal(contender.item['keypoint'], raw)
    assert raw.shape == (1, 100, 19, 3) and np.isnan(raw).any((0, 2, 3)).sum() == 3
    # ... in the centimetres of the data, and bridged by `prepare`.
    assert 100 < np.ptp(raw[0, 0], axis=0).max() < 250
    assert not contender.batch['inputs'][0].isnan().any()


def test_a_clip_in_pixels_has_scores():
    with DefaultScope.overwrite_default_scope('mmaction'):
        item = simulated_clip(dict(type='PennSkeletonDataset'), 50)
    assert item['keypoint'].shape == (1, 50, 13, 2) and item['keypoint_score'].shape == (1, 50, 13)
    assert item['img_shape'] == (480, 640)


def test_a_pipeline_that_cannot_keep_all_frames_is_refused():
    config = read('tdm_squat')
    config.test_dataloader.dataset.pipeline[0].pop('num_frames')  # of ResampleSkeleton
    with pytest.raises(SettingError, match='leaves 300 of 100 frames'):
        Contender(config, frames=100)


def test_recognizers_are_set_beside_each_other(tmp_path):
    (tmp_path / 'wide.py').write_text(TINY)
    (tmp_path / 'narrow.py').write_text(TINY.replace('channels=16', 'channels=8'))
    before, threads = set(tmp_path.iterdir()), torch.get_num_threads()
    report = benchmark(
        [tmp_path / 'wide.py', tmp_path / 'narrow.py'],
        Settings(rounds=2, frames=3, threads=threads + 1),
    )
    assert torch.get_num_threads() == threads and set(tmp_path.iterdir()) == before
    (section,) = report.sections
    assert 'mmaction2' in report.head and '2 of 3 clips' in report.head
    names = list(section.timings)
    assert names[0] == 'wide: network alone' and names[3] == 'narrow: test pipeline and network'
    assert 'distances of 19 joints' in names[4] and len(names) == 5
    for timing in section.timings.values():
        assert np.shape(timing.ms) == (2, 3) and timing.error == ''
    (wide, narrow) = section.rows
    assert wide[0] == 'wide' and wide[1] > narrow[1] and wide[2] > narrow[2]
    assert wide[3] == '1 x 64 frames' and '1 x 64 frames' in report.markdown()


def test_distances_are_of_all_pairs_in_one_thread():
    threads = torch.get_num_threads()
    try:
        assert build_distances(7).run().shape == (7, 19 * 18 // 2)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(threads)
