"""Work that can be stopped: inference of a clip and a stream, training of pose and form.

Each is a command line, and what tells whether two runs of it came to the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch

from .seeds import ROOT, pictures

STEPS = 40
"""Frames that inference looks at."""
_POSE = """
_base_ = 'pose.py'
custom_hooks = [dict(type='EMAHook')]
train_cfg = dict(_delete_=True, by_epoch=True, max_epochs=3, val_interval=10)
val_cfg = val_dataloader = val_evaluator = None
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=.1, begin=0, end=2, by_epoch=True,
         convert_to_iter_based=True)]
default_hooks = dict(
    logger=dict(interval=1),
    checkpoint=dict(_delete_=True, type='CheckpointHook', interval=1, max_keep_ckpts=1))
codec = dict(type='MSRAHeatmap', input_size=(64, 64), heatmap_size=(16, 16), sigma=1)
train_dataloader = dict(
    batch_size=2, num_workers=0, persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='PennActionDataset', data_root='DATA', subset='test', clip_len=3, start='random',
        pipeline=[
            dict(type='LoadClip'), dict(type='ClipBBox'),
            dict(type='ForEachFrame', transforms=[
                dict(type='RandomFlip', direction='horizontal'),
                dict(type='RandomBBoxTransform', shift_prob=0., rotate_factor=40.),
                dict(type='TopdownAffine', input_size=(64, 64)),
                dict(type='GenerateTarget', encoder=codec)]),
            dict(type='PackClipInputs')]))
test_dataloader = test_cfg = test_evaluator = None
"""
FORM = f"""
_base_ = '{ROOT}/configs/tdm_synthetic.py'
custom_hooks = [dict(type='EMAHook')]
visualizer = dict(vis_backends=[dict(type='LocalVisBackend')])
train_cfg = dict(max_epochs=5, val_interval=10)
val_cfg = val_dataloader = val_evaluator = None
test_cfg = test_dataloader = test_evaluator = None
default_hooks = dict(logger=dict(interval=1), checkpoint=dict(interval=1, max_keep_ckpts=1))
train_dataloader = dict(
    batch_size=7, persistent_workers=False, dataset=dict(num_sequences=14))
"""


@dataclass(frozen=True)
class Work:
    """One command line, into any folder."""

    name: str
    argv: Callable[[Path], list[str]]
    results: Callable[[Path], dict[str, Any]]
    """What a complete run has left in its folder; ValueErrors where something is half written."""
    training: bool = False

    def difference(self, found: dict[str, Any], expected: dict[str, Any]) -> str | None:
        """What is not the same as without a stop, if anything is.

        A stream that is taken up again looks anew for who is there: so its frames are the same up
        to one, which says that it is a start.
        """
        if self.name == 'stream':
            return _other_stream(found, expected)
        return difference(found, expected)


def make_works(seeds: Path) -> dict[str, Work]:
    """By name, of a folder of seeds."""
    from video_files import encode

    # x264 codes smaller frames not always in the same way: macroblock trees with assembly.
    images = pictures(STEPS, (128, 96))
    video = encode(seeds / 'long.avi', images, 'mjpeg', 'yuvj420p')
    text = _POSE.replace('DATA', str(seeds / 'penn'))
    (seeds / 'train_pose.py').write_text(text)
    (seeds / 'train_form.py').write_text(FORM)
    model = [str(seeds / 'model.py'), str(seeds / 'model.pth'), str(video)]
    # Weights are random: whom they see is somebody whatever the scores.
    options = ['--device', 'cpu', '--kpt-thr', '-9', '--save', 'video', 'json', 'csv', 'npz']

    def inference(mode: str) -> Work:
        argv = ['infer', *model, *options, '--mode', mode, *_overwriting(), '--out']
        return Work(mode, lambda out: [*argv, str(out)], _results)

    def training(kind: str) -> Work:
        argv = ['train', str(seeds / f'train_{kind}.py'), '--work-dir']
        return Work(kind, lambda out: [*argv, str(out)], _trained, training=True)

    works = [inference('clip'), inference('stream'), training('pose'), training('form')]
    return {work.name: work for work in works}


def _overwriting() -> list[str]:
    """Where results that are there are refused otherwise."""
    from rpstn.inference.options import InferOptions

    return ['--overwrite'] if 'overwrite' in InferOptions.__dataclass_fields__ else []


def _results(out: Path) -> dict[str, Any]:
    with np.load(out / 'long.npz') as arrays:
        content = {f'npz {name}': arrays[name] for name in arrays}
    return dict(
        content,
        json=json.loads((out / 'long.json').read_text()),
        csv=(out / 'long.csv').read_text(),
        video=_frames(out / 'long.mp4'),
    )


def _frames(path: Path) -> np.ndarray:
    try:
        with av.open(str(path)) as file:
            return np.stack([frame.to_ndarray(format='bgr24') for frame in file.decode(video=0)])
    except av.FFmpegError as error:
        raise ValueError(f'{path.name}: {error}') from None


def checkpoints(folder: Path) -> dict[str, dict]:
    """All of a work folder, by name; ValueError where one is half written."""
    found = {}
    for path in sorted(folder.glob('[!.]*.pth')):  # hidden ones are on their way
        try:
            found[path.name] = torch.load(path, map_location='cpu', weights_only=False)
        except Exception as error:  # of whatever kind a cut file gives
            raise ValueError(f'{path.name}: {type(error).__name__}: {error}') from None
    return found


def _trained(out: Path) -> dict[str, Any]:
    ((name, content),) = checkpoints(out).items()
    note = Path((out / 'last_checkpoint').read_text()).name
    if note != name:
        raise ValueError(f'last_checkpoint names {note}, and {name} is there')
    tensors = {f'{name} {key}': value for key, value in _tensors(content)}
    schedule = [
        {k: v for k, v in scheduler.items() if k != '_global_step'}
        for scheduler in content.get('param_schedulers', [])
    ]
    return dict(tensors, epoch=content['meta']['epoch'], schedule=repr(schedule))


def _tensors(content: Any, place: str = '') -> Any:
    """Of weights, averages and the optimizer."""
    if place == '':
        content = {
            key: content[key] for key in ('state_dict', 'ema_state_dict', 'optimizer')
            if key in content
        }  # fmt: skip
    if isinstance(content, torch.Tensor):
        yield place, content.numpy()
    elif isinstance(content, dict):
        for key, value in content.items():
            yield from _tensors(value, f'{place}.{key}')
    elif isinstance(content, (list, tuple)):
        for number, value in enumerate(content):
            yield from _tensors(value, f'{place}.{number}')


def _other_stream(found: dict[str, Any], expected: dict[str, Any]) -> str | None:
    frames, wanted = (content['json']['frames'] for content in (found, expected))
    if [frame['frame'] for frame in frames] != [frame['frame'] for frame in wanted]:
        return f'{len(frames)} frames instead of {len(wanted)}'
    if found['video'].shape != expected['video'].shape:
        return f'video of {found["video"].shape} instead of {expected["video"].shape}'
    away = [a != b for a, b in zip(frames, wanted, strict=True)]
    if any(away) and frames[away.index(True)]['state'] != 'started':
        return f'frame {away.index(True)} is another, and no start'
    if sum(frame['state'] == 'started' for frame in frames) > 2:
        return 'more than one new start'
    return None


def difference(found: dict[str, Any], expected: dict[str, Any]) -> str | None:
    """What is not the same, if anything is; frames of a video may differ by what coding loses."""
    if found.keys() != expected.keys():
        return f'others: {", ".join(sorted(found.keys() ^ expected.keys()))[:200]}'
    for name, value in expected.items():
        if name == 'video':
            if found[name].shape != value.shape:
                return f'video of {found[name].shape} instead of {value.shape}'
            away = np.abs(np.subtract(found[name], value, dtype=np.int16)).mean((1, 2, 3)).max()
            if away > 2:
                return f'a frame of the video is {away:.1f} away on average'
        elif isinstance(value, np.ndarray):
            if not np.array_equal(found[name], value, equal_nan=value.dtype.kind == 'f'):
                away = np.abs(found[name] - value).max() if value.dtype.kind == 'f' else '?'
                return f'{name} is {away} away'
        elif found[name] != value:
            return f'{name} differs'
    return None
