"""Form recognizers beside each other, in one run on one machine: size, speed, accuracy.

M persons, T frames, V joints, C coordinates.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from experiments import Experiment, epoch_options, run_experiment
from mmaction.registry import DATASETS, MODELS, TRANSFORMS
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.logging import print_log
from mmengine.registry import DefaultScope
from torch.utils.flop_counter import FlopCounterMode

from rpstn.engine.cpu import for_inference
from rpstn.form import get_skeleton, pairwise_distances, resample
from rpstn.simulation.squats.squat_dataset import SyntheticSquatDataset
from rpstn.tables import format_table

FRAMES_PER_CALL = 20_000
# Simulated joints are in metres; a person in pixels is some 400 high.
UNITS = dict(m=1.0, cm=100.0, mm=1000.0, px=200.0)


class Contender:
    """The model of a config with random weights, and a clip for it.

    Args:
        path: of the config.
        options: settings to replace.
        frames: T of the clip.

    Attributes:
        model: as :func:`for_inference` gives it.
        parameters: of the model as it is trained.
        item: the clip as the config's data set would give it, before its ``prepare``: a simulated
            squat of which three frames are lost.
        batch: the whole clip packed by the test pipeline, told to keep all its frames.
        seen: clips and frames of each that the test pipeline as it is leaves for the network.
    """

    def __init__(self, path: str, options: dict | None = None, frames: int = 300) -> None:
        self.path, self.name, self.options = path, Path(path).stem, dict(options or {})
        self.config = Config.fromfile(path)
        self.config.merge_from_dict(self.options)
        dataset = self.config.test_dataloader.dataset
        with DefaultScope.overwrite_default_scope('mmaction'):
            torch.manual_seed(0)
            model = MODELS.build(self.config.model)
            self.parameters = sum(p.numel() for p in model.parameters())
            self.model = for_inference(model)
            self.pipeline = self._build(dataset.pipeline)
            whole = self._build([_keeping(frames, step) for step in dataset.pipeline])
        self.item = simulated_clip(dataset, frames)
        self.batch = pseudo_collate([whole(copy.deepcopy(self.item))])
        left = self.batch['inputs'][0].shape[2]
        if left != frames:
            raise ValueError(
                f'{path}: the test pipeline leaves {left} of {frames} frames, and '
                'has no num_frames or clip_len by which to change that'
            )
        self.seen = tuple(self.pipeline(copy.deepcopy(self.item))['inputs'].shape[0:3:2])

    def _build(self, pipeline: Sequence[dict]) -> Compose:
        prepare = self.config.test_dataloader.dataset.get('prepare', [])
        return Compose([TRANSFORMS.build(step) for step in (*prepare, *pipeline)])

    def classify_network(self) -> None:
        """Data preprocessor, representation, network and head on the whole clip."""
        self.model.test_step(self.batch)

    def classify_raw(self) -> None:
        """From the raw (1, T, V, C) array: ``prepare``, test pipeline, and the network."""
        self.model.test_step(pseudo_collate([self.pipeline(copy.deepcopy(self.item))]))

    def size(self) -> dict[str, int]:
        """Parameters, and multiply-adds of convolutions and products for the whole clip."""
        # At the operators themselves: tracing, as MMEngine's counter does, turns shapes to tensors.
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            self.classify_network()
        return dict(parameters=self.parameters, multiply_adds=counter.get_total_flops() // 2)

    def train(self, epochs: int | None) -> dict:
        """Train and test on the config's own data; ``dict(missing=...)`` where there are none."""
        with DefaultScope.overwrite_default_scope('mmaction'):
            try:  # only its folder is looked for
                DATASETS.build({**self.config.train_dataloader.dataset, 'lazy_init': True})
            except FileNotFoundError as error:
                return dict(missing=str(error))
        options = self.options | (epoch_options(self.path, epochs) if epochs else {})
        experiment = Experiment(self.name, self.path, options)
        epochs = experiment.load().train_cfg.max_epochs
        print_log(f'training {self.name}: {epochs} epochs', 'current')
        result = run_experiment(experiment)
        return dict(
            epochs=epochs,
            seconds=result['seconds'],
            accuracy=result['tests']['test']['form/accuracy'],
        )


def _keeping(frames: int, step: dict) -> dict:
    return {**step, **{key: frames for key in ('num_frames', 'clip_len') if key in step}}


def simulated_clip(dataset: dict, frames: int) -> dict:
    """A squat in the skeleton and the unit of a data set's config, as its items are."""
    metainfo = {**DATASETS.get(dataset['type']).METAINFO, **(dataset.get('metainfo') or {})}
    skeleton = get_skeleton(dataset.get('skeleton') or metainfo['skeleton']).name
    squat = SyntheticSquatDataset(num_sequences=1, skeleton=skeleton)[0]['keypoint'][0]
    joints = resample(squat, frames) * np.float32(UNITS[metainfo['unit']])
    joints[frames // 3 : frames // 3 + 3] = np.nan
    item = dict(frame_dir='clip', label=0, total_frames=frames, start_index=0, modality='Pose')
    if metainfo['unit'] == 'px':
        joints = joints[..., :2]
        item.update(
            keypoint_score=np.ones((1, *joints.shape[:2]), np.float32),
            img_shape=(480, 640),
            original_shape=(480, 640),
        )
    return dict(item, keypoint=joints[None])


@contextmanager
def threads(count: int) -> Iterator[None]:
    """So many threads for what torch does on the CPU."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def timed(function: Callable[[], object], repeats: int) -> list[float]:
    """Seconds of each of several calls."""
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - began)
    return seconds


def benchmark_form(
    path: str,
    against: str,
    options: dict | None = None,
    epochs: int | None = None,
    frames: int = 300,
    rounds: int = 3,
    repeats: int = 40,
    warmup: int = 2,
    num_threads: int = 2,
) -> dict:
    """Measure two recognizers in turns, so that a slow minute falls on both alike.

    Args:
        path: of the first config.
        against: of the second.
        options: settings to replace in the first.
        epochs: of the trainings, in place of the configs' own; 0 for none.
        frames: of the clip.
        rounds: turns that each gets.
        repeats: timed calls in a turn.
        warmup: calls before.
        num_threads: for all but the distances, which have one.

    Returns:
        ``distances``: frames per second, ``dict(median, best, calls)``; ``models``: of each
        config ``name``, ``parameters``, ``multiply_adds``, ``seen``, the seconds of all
        calls as ``network`` and ``raw`` (rounds, repeats), and ``training`` (see
        :meth:`Contender.train`, None where not asked for); ``frames`` and ``threads``.
    """
    contenders = [Contender(path, options, frames), Contender(against, None, frames)]
    models = [
        dict(
            name=contender.name,
            **contender.size(),
            seen=contender.seen,
            network=[],
            raw=[],
            training=None,
        )
        for contender in contenders
    ]
    joints = torch.randn(FRAMES_PER_CALL, 19, 3)
    distances: list[float] = []
    with torch.inference_mode():
        for _ in range(rounds):
            with threads(1):
                timed(lambda: pairwise_distances(joints), warmup)
                distances += timed(lambda: pairwise_distances(joints), repeats)
            with threads(num_threads):
                for key in ('network', 'raw'):
                    for contender, model in zip(contenders, models):
                        call = getattr(contender, f'classify_{key}')
                        timed(call, warmup)
                        model[key].append(timed(call, repeats))
    if epochs != 0:
        with threads(num_threads):
            for contender, model in zip(contenders, models):
                model['training'] = contender.train(epochs)
    return dict(
        frames=frames,
        threads=num_threads,
        models=models,
        distances=dict(
            median=FRAMES_PER_CALL / float(np.median(distances)),
            best=FRAMES_PER_CALL / min(distances),
            calls=len(distances),
        ),
    )


def report(result: dict) -> str:
    """What :func:`benchmark_form` found, for people.

    The last column is the second model's figure divided by the first's. Times are compared turn
    by turn: it is the median of the turns' ratios.
    """
    models, distances = result['models'], result['distances']
    trainings = [model['training'] or {} for model in models]

    def row(name: str, values: Sequence, text: str, compare: bool = True) -> list:
        shown = [None if value is None else format(value, text) for value in values]
        ratio = f'{values[1] / values[0]:.2f}' if compare and None not in values else None
        return [name, *shown, ratio]

    rows = [
        row('parameters, millions', [model['parameters'] / 1e6 for model in models], '.2f'),
        row(
            f'multiply-adds for {result["frames"]} frames, G',
            [model['multiply_adds'] / 1e9 for model in models],
            '.3f',
        ),
    ]
    for key, name in (
        ('network', f'network alone, {result["frames"]} frames'),
        ('raw', 'test pipeline and network, from the raw array'),
    ):
        for statistic, percent in (('median', 50), ('95th percentile', 95)):
            turns = [1e3 * np.percentile(model[key], percent, axis=1) for model in models]
            figures = [1e3 * np.percentile(model[key], percent) for model in models]
            rows.append(
                [
                    *row(f'{name}: ms, {statistic}', figures, '.2f')[:3],
                    f'{np.median(turns[1] / turns[0]):.2f}',
                ]
            )
    rows.append(
        [
            'clips and frames that the test pipeline leaves',
            *('{} x {}'.format(*model['seen']) for model in models),
            None,
        ]
    )
    if any(trainings):
        figures = {
            key: [training.get(key) for training in trainings]
            for key in ('epochs', 'seconds', 'accuracy')
        }
        rows += [
            row('epochs', figures['epochs'], 'd', compare=False),
            row('training: s', figures['seconds'], '.0f'),
            row('accuracy on the test set', figures['accuracy'], '.1%', compare=False),
        ]
    return '\n'.join(
        [
            f'Distances of 19 joints, one thread: {distances["median"] / 1e6:.2f} million frames '
            f'per second (median of {distances["calls"]} calls of {FRAMES_PER_CALL} frames; best '
            f'{distances["best"] / 1e6:.2f})',
            f'One clip at a time, float32, {result["threads"]} threads, random weights:',
            format_table(['', *(model['name'] for model in models), 'ratio'], rows),
            *(
                f'{model["name"]} was not trained: {training["missing"]}'
                for model, training in zip(models, trainings)
                if 'missing' in training
            ),
        ]
    )
