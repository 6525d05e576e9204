"""The tools, run in this process, on a network and clips small enough for a test."""
import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# 64x64 input, 16x16 heatmaps, T = 3; as the configs are, otherwise.
TINY = f"""
_base_ = ['{ROOT}/configs/_base_/default_runtime.py', '{ROOT}/configs/_base_/rpstn.py']

codec = dict(type='MSRAHeatmap', input_size=(64, 64), heatmap_size=(16, 16), sigma=1)
model = dict(
    backbone=dict(
        num_joints=13, channels=16, input_size=(64, 64),
        encoder=dict(depth=18, stem_channels=8, base_channels=8, init_cfg=None)),
    head=dict(num_joints=13, channels=16, decoder=codec))

common = [dict(type='LoadClip'), dict(type='ClipBBox')]
train_pipeline = common + [
    dict(type='ForEachFrame', transforms=[
        dict(type='RandomFlip', direction='horizontal'),
        dict(type='RandomBBoxTransform', shift_prob=0., rotate_factor=40.),
        dict(type='TopdownAffine', input_size=(64, 64)),
        dict(type='GenerateTarget', encoder=codec)]),
    dict(type='PackClipInputs')]
val_pipeline = common + [
    dict(type='ForEachFrame', transforms=[dict(type='TopdownAffine', input_size=(64, 64))]),
    dict(type='PackClipInputs')]
data = dict(type='SyntheticClipDataset', num_frames=7, image_size=(64, 64), clip_len=3)
train_dataloader = dict(
    batch_size=2, num_workers=1,
    dataset=dict(num_sequences=8, seed=0, pipeline=train_pipeline, **data))
# 3 sequences of 7 frames: 9 clips, every third with 2 padded frames.
val_dataloader = dict(
    batch_size=2, num_workers=0, persistent_workers=False,
    dataset=dict(num_sequences=3, seed=1, pipeline=val_pipeline, **data))
test_dataloader = val_dataloader

train_cfg = dict(max_epochs=2, val_interval=1)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-3))
default_hooks = dict(logger=dict(interval=1))
"""
# Without random numbers in the data.
FIXED = """
_base_ = 'tiny.py'
fixed = [
    dict(type='LoadClip'), dict(type='ClipBBox'),
    dict(type='ForEachFrame', transforms=[
        dict(type='TopdownAffine', input_size=(64, 64)),
        dict(type='GenerateTarget', encoder={{_base_.codec}})]),
    dict(type='PackClipInputs')]
train_dataloader = dict(
    num_workers=0, persistent_workers=False, dataset=dict(start='fixed', pipeline=fixed))
"""


@pytest.fixture(scope='session')
def configs(tmp_path_factory) -> dict[str, Path]:
    """Config files by name."""
    folder = tmp_path_factory.mktemp('configs')
    for name, text in dict(tiny=TINY, fixed=FIXED).items():
        (folder / f'{name}.py').write_text(text)
    return {name: folder / f'{name}.py' for name in ('tiny', 'fixed')}


@pytest.fixture(scope='session')
def tool() -> Callable[..., None]:
    """``tool('train', *arguments)`` runs tools/train.py in this process."""

    def run(name: str, *arguments) -> None:
        spec = importlib.util.spec_from_file_location(
            f'rpstn_tools_{name}', ROOT / f'tools/{name}.py')
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        argv, environment = sys.argv, dict(os.environ)
        sys.argv = [f'tools/{name}.py', *map(str, arguments)]
        try:
            module.main()
        finally:
            sys.argv = argv
            os.environ.clear()
            os.environ.update(environment)

    return run


@pytest.fixture(scope='session')
def trained(configs, tool, tmp_path_factory) -> Path:
    """The work folder of two epochs of the tiny config."""
    work_dir = tmp_path_factory.mktemp('trained')
    tool('train', configs['tiny'], '--work-dir', work_dir, '--show-dir', work_dir / 'drawn')
    return work_dir
