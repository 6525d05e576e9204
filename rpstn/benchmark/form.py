"""Recognizers of exercise form beside each other; weights are random, as time is the same.

Shapes: T frames, V joints, C coordinates.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from mmaction.registry import DATASETS, MODELS, TRANSFORMS
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import DefaultScope
from torch.utils.flop_counter import FlopCounterMode

from rpstn.engine.cpu import for_inference
from rpstn.errors import SettingError
from rpstn.form import get_skeleton, pairwise_distances, resample
from rpstn.simulation.squats.squat_dataset import SyntheticSquatDataset

from .report import Section
from .settings import Settings
from .timing import Call, measure

# Simulated joints are in metres; a person in pixels is some 400 high.
UNITS = dict(m=1.0, cm=100.0, mm=1000.0, px=200.0)


class Contender:
    """The model of a config with random weights, and a clip of T frames for it.

    Attributes:
        parameters: of the model as it is trained; ``model`` is as :func:`for_inference` gives it.
        item: the clip as the data set would give it, before its ``prepare``.
        batch: the whole clip packed by the test pipeline, told to keep all its frames.
        seen: clips and frames of each that the test pipeline as it is leaves for the network.

    Raises:
        SettingError: the pipeline cannot be told to keep all frames.
    """

    def __init__(self, config: Config, frames: int = 300) -> None:
        dataset = config.test_dataloader.dataset
        steps = [*dataset.get('prepare', []), *dataset.pipeline]
        keep = dict(num_frames=frames, clip_len=frames)
        whole = [{**step, **{key: keep[key] for key in keep if key in step}} for step in steps]
        with DefaultScope.overwrite_default_scope('mmaction'):
            torch.manual_seed(0)
            model = MODELS.build(config.model)
            self.pipeline, whole = (
                Compose([TRANSFORMS.build(step) for step in pipeline])
                for pipeline in (steps, whole)
            )
        self.parameters = sum(p.numel() for p in model.parameters())
        self.model: Any = for_inference(model)
        self.item = simulated_clip(dataset, frames)
        self.batch = pseudo_collate([whole(copy.deepcopy(self.item))])
        self.seen = tuple(self.pipeline(copy.deepcopy(self.item))['inputs'].shape[0:3:2])
        if (left := self.batch['inputs'][0].shape[2]) != frames:
            raise SettingError(
                f'{config.filename}: the test pipeline leaves {left} of {frames} frames, and '
                'has no num_frames or clip_len by which to change that'
            )

    @torch.inference_mode()
    def network(self) -> None:
        """Data preprocessor, representation, network and head on the whole clip."""
        self.model.test_step(self.batch)

    @torch.inference_mode()
    def raw(self) -> None:
        """From the raw (1, T, V, C) array: ``prepare``, test pipeline, and the network."""
        self.model.test_step(pseudo_collate([self.pipeline(copy.deepcopy(self.item))]))

    def multiply_adds(self) -> int:
        """Of convolutions and products of the network, for the whole clip."""
        # At the operators themselves: tracing, as MMEngine's counter does, turns shapes to tensors.
        with FlopCounterMode(display=False) as counter:
            self.network()
        return counter.get_total_flops() // 2


def simulated_clip(dataset: dict, frames: int) -> dict:
    """A squat, three frames lost, in the skeleton and unit of a data set's config, as its items."""
    metainfo = {**DATASETS.get(dataset['type']).METAINFO, **(dataset.get('metainfo') or {})}
    skeleton = get_skeleton(dataset.get('skeleton') or metainfo['skeleton']).name
    squat = SyntheticSquatDataset(num_sequences=1, skeleton=skeleton)[0]['keypoint'][0]
    joints = resample(squat, frames) * np.float32(UNITS[metainfo['unit']])
    joints[frames // 3 : frames // 3 + 3] = np.nan
    item = dict(frame_dir='clip', label=0, total_frames=frames, start_index=0, modality='Pose')
    if metainfo['unit'] == 'px':
        joints = joints[..., :2]
        item['keypoint_score'] = np.ones((1, *joints.shape[:2]), np.float32)
        item['img_shape'] = item['original_shape'] = (480, 640)
    return dict(item, keypoint=joints[None])


def build_call(config: Config, frames: int, kind: str) -> Call:
    """A :class:`Contender`'s ``'network'`` or ``'raw'``; its unit is a clip."""
    return Call(getattr(Contender(config, frames), kind))


def build_distances(frames: int) -> Call:
    """Distances of all pairs of 19 joints in so many frames at once, in one thread."""
    torch.set_num_threads(1)
    return Call(partial(pairwise_distances, torch.randn(frames, 19, 3)))


def measure_form(configs: Mapping[str, Config], settings: Settings) -> Section:
    """Time recognizers in turns, the network alone and from the raw array on; and distances."""
    frames, builds, rows = settings.clip_len or 300, {}, []
    for name, config in configs.items():
        builds[f'{name}: network alone'] = partial(build_call, config, frames, 'network')
        builds[f'{name}: test pipeline and network'] = partial(build_call, config, frames, 'raw')
        one = Contender(config, frames)
        seen = '{} x {} frames'.format(*one.seen)
        rows.append([name, one.parameters / 1e6, one.multiply_adds() / 1e6, seen])
    builds['distances of 19 joints in 20,000 frames, one thread'] = partial(build_distances, 20_000)
    return Section(
        title=f'Exercise form: one clip of {frames} frames at a time',
        timings=measure(builds, settings.rounds, settings.frames, settings.threads),
        unit='clip',
        header=['', 'parameters, M', 'multiply-adds, M', 'left by the test pipeline'],
        rows=rows,
    )
