"""What a frozen encoder and neck make of a data set's clips, on disk, so that heads train fast.

A part is a pair of files, ``<part>.npy``, features, and ``<part>.npz``, what belongs to them; a
part that is there is not made again.

Shapes: V clips, T frames, N frames of all clips, K joints, C channels, (h, w) heatmap cells.
"""

from __future__ import annotations

import copy
import hashlib
import json
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS, MODELS
from torch import Tensor, nn

from rpstn.engine.cpu import for_inference
from rpstn.errors import SettingError
from rpstn.files import replacing, write_text
from rpstn.pose.datasets import ClipDataset
from rpstn.pose.models.backbone import encode_frames
from rpstn.pose.models.estimator import frames_of
from rpstn.simulation import SpanOccluders

from lite_evaluation import jhmdb_clips, videos
from lite_predictors import LABELS, crop_steps

WHOLE_PARTS = ('val-occluded', 'test-clean', 'test-occluded')
"""Parts that are measured on."""
_LABELS = {
    'keypoints': 'keypoints',
    'labelled': 'keypoints_visible',
    'hidden': 'keypoints_occluded',
    'boxes': 'bbox',
}
_CROPS = {'center': 'input_center', 'scale': 'input_scale', 'rotation': 'bbox_rotation'}


@dataclass(frozen=True)
class TrainingClips:
    """Augmented clips.

    Attributes:
        features: (V, T, C, h, w) float16.
        joints: (V, T, K, 2) pixels of the crop.
        weights: (V, T, K), 0 where a joint has no target.
    """

    features: np.ndarray
    joints: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True)
class WholeClips:
    """Whole videos, cut out by their labels.

    Attributes:
        features: (N, C, h, w) float16.
        lengths: (V,) frames of each video; they follow one another.
        center, scale: (N, 2) of the crops, pixels.
        rotation: (N,) degrees.
        labels: ``keypoints`` (N, K, 2), ``labelled`` and ``hidden`` (N, K), ``boxes`` (N, 4).
    """

    features: np.ndarray
    lengths: np.ndarray
    center: np.ndarray
    scale: np.ndarray
    rotation: np.ndarray
    labels: dict[str, np.ndarray]


def training_sets(config: Config) -> list[tuple[dict, int]]:
    """Configs of the data sets that are trained on, and how often an epoch has each."""
    dataset = config.train_dataloader.dataset.to_dict()
    parts = dataset['datasets'] if dataset['type'] == 'ConcatDataset' else [dataset]
    return [
        (part['dataset'], part['times']) if part['type'] == 'RepeatDataset' else (part, 1)
        for part in parts
    ]


def training_parts(config: Config, copies: int = 2) -> list[str]:
    """Names of the training parts: each data set as often as that many epochs have it."""
    return [
        f'train-{number}-{copy_}'
        for number, (_, times) in enumerate(training_sets(config))
        for copy_ in range(times * copies)
    ]


def build_model(config: Config) -> nn.Module:
    """The config's model with the weights that its training starts from."""
    init_default_scope('mmpose')
    model = MODELS.build(copy.deepcopy(config.model))
    model.init_weights()
    return model


def claim_folder(folder: Path, config: Config) -> None:
    """Note what the features are of, or refuse a folder of others.

    Raises:
        SettingError: they are of another encoder, or other data.
    """
    described = dict(
        model=config.model.backbone.to_dict(),
        data=config.train_dataloader.dataset.to_dict(),
        crops=config.test_dataloader.dataset.pipeline,
    )
    text = json.dumps(described, sort_keys=True, default=str)
    now = dict(sha256=hashlib.sha256(text.encode()).hexdigest())
    path = folder / 'cache.json'
    if not path.is_file():
        write_text(path, json.dumps(now))
    elif json.loads(path.read_text()) != now:
        raise SettingError(f'{folder}: features of another encoder or other data; choose another')


def make_part(config: Config, folder: Path, part: str) -> None:
    """Make one part, unless it is there."""
    if (folder / f'{part}.npz').is_file():
        return
    model = build_model(config)
    kind, *which = part.split('-')
    if kind == 'train':
        _write(folder, part, *_training_part(config, model, int(which[0]), int(which[1])))
    else:
        _write(folder, part, *_whole_part(config, model, kind, which[0]))


def load_training(folder: Path, parts: list[str]) -> list[TrainingClips]:
    """Training parts; features stay on disk."""
    return [TrainingClips(_features(folder, part), **_fields(folder, part)) for part in parts]


def load_whole(folder: Path, part: str) -> WholeClips:
    """A part that is measured on; features stay on disk."""
    fields = _fields(folder, part)
    own = {name: fields.pop(name) for name in ('lengths', 'center', 'scale', 'rotation')}
    return WholeClips(_features(folder, part), **own, labels=fields)


def _features(folder: Path, part: str) -> np.ndarray:
    return np.load(folder / f'{part}.npy', mmap_mode='r')


def _fields(folder: Path, part: str) -> dict[str, np.ndarray]:
    with np.load(folder / f'{part}.npz') as fields:
        return dict(fields)


def _write(
    folder: Path,
    part: str,
    shape: tuple[int, ...],
    samples: Iterator[tuple[np.ndarray, dict[str, np.ndarray]]],
) -> None:
    """Both files, the features first: what belongs to them says that the part is whole."""
    fields: dict[str, list[np.ndarray]] = {}
    with replacing(folder / f'{part}.npy') as partial:
        features, begin = None, 0
        for chunk, own in samples:
            if features is None:
                features = np.lib.format.open_memmap(
                    partial, 'w+', np.float16, (*shape, *chunk.shape[len(shape) :])
                )
            features[begin : begin + len(chunk)] = chunk
            begin += len(chunk)
            for name, values in own.items():
                fields.setdefault(name, []).append(values)
        assert begin == shape[0]
        features.flush()
    with replacing(folder / f'{part}.npz') as partial:
        np.savez(partial, **{name: np.concatenate(values) for name, values in fields.items()})


def _encoded(model: nn.Module, batch: list[dict]) -> np.ndarray:
    """Packed clips -> (V, T, C, h, w) float16."""
    with torch.no_grad():
        clips = model.data_preprocessor(pseudo_collate(batch), False)['inputs']
        return encode_frames(model.backbone, clips).half().numpy()


def _training_part(config: Config, model: nn.Module, number: int, seed: int) -> tuple:
    given, _ = training_sets(config)[number]
    *steps, pack = given['pipeline']
    dataset = DATASETS.build({**given, 'pipeline': [*steps, {**pack, 'pack_transformed': True}]})
    model = for_inference(model)

    def samples() -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
        for index in range(len(dataset)):
            _seed((1000 * number + seed) * 100003 + index)
            packed = dataset[index]
            frames = frames_of([packed['data_samples']])
            joints = np.stack([f.gt_instances.transformed_keypoints[0] for f in frames])
            weights = np.stack([f.gt_instance_labels.keypoint_weights[0].numpy() for f in frames])
            yield (
                _encoded(model, [packed]),
                dict(joints=joints[None].astype('f4'), weights=weights[None].astype('f4')),
            )

    return (len(dataset), given['clip_len']), samples()


def _whole_part(config: Config, model: nn.Module, subset: str, condition: str) -> tuple:
    dataset: ClipDataset = jhmdb_clips(subset)
    occluder = SpanOccluders(LABELS.name, seed=0) if condition == 'occluded' else None
    clips = videos(dataset, 1, occluder)
    return (int(dataset.sequences.lengths().sum()),), whole_samples(config, model, clips)


def whole_samples(
    config: Config, model: nn.Module, clips: Iterable[dict]
) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
    """Of each video's frames, read, features (N, C, h, w) and the fields of WholeClips."""
    steps = Compose(crop_steps(config.test_dataloader.dataset.pipeline))
    model = for_inference(model)
    for results in clips:
        labels = {
            own: np.stack([np.asarray(frame[name][0]) for frame in results['frames']])
            for own, name in _LABELS.items()
        }
        packed = steps(results)
        frames = frames_of([packed['data_samples']])
        meta = {
            own: np.stack([np.ravel(frame.metainfo[name]) for frame in frames])
            for own, name in _CROPS.items()
        }
        own = dict(
            meta,
            rotation=meta['rotation'][:, 0],
            lengths=np.array([len(frames)]),
            keypoints=labels['keypoints'],
            boxes=labels['boxes'],
            labelled=labels['labelled'] > 0,
            hidden=labels['hidden'] > 0,
        )
        yield _encoded(model, [packed])[0], own


def _seed(seed: int) -> None:
    """All that augmentation draws from."""
    np.random.seed(seed % 2**32)
    random.seed(seed)
    torch.manual_seed(seed)


def as_floats(features: np.ndarray) -> Tensor:
    """Cached features as what a head takes."""
    return torch.from_numpy(np.asarray(features, np.float32))
