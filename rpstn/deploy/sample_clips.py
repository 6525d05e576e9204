"""Crops of clips for calibration and for checks of parity.

Shapes: T frames, (H, W) input pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS
from torch import Tensor, nn

from rpstn.checkpoints import ModelError
from rpstn.engine.configs import config_name
from rpstn.pose.crops import Cropper
from rpstn.video.frames import open_frames

PARTS = ('train', 'val', 'test')


def read_clips(
    model: nn.Module, sources: Sequence[str | Path], clip_len: int = 5, limit: int = 16
) -> list[Tensor]:
    """Real clips, evenly over the sources.

    Args:
        model: of :func:`rpstn.engine.loading.load_model`, for its ``cfg``.
        sources: videos, folders of images, or parts of the config's own data, ``'train'``,
            ``'val'`` or ``'test'``, which have boxes (of several data sets the first); a video is
            cut by its whole frame.
        clip_len: T, at most; shorter ones are left out if they have less than 2 frames.
        limit: clips in all.

    Returns:
        (T, 3, H, W) uint8 BGR.

    Raises:
        ModelError: a part of the data is not there, or no clip is found.
        UnreadableFrameError: a video cannot be read.
    """
    share = -(-limit // max(len(sources), 1))
    config: Config = model.cfg
    clips: list[Tensor] = []
    for source in sources:
        found = (
            _of_data(config, str(source), clip_len, share)
            if str(source) in PARTS
            else _of_video(config, Path(source), clip_len, share)
        )
        clips += [clip for clip in found if len(clip) > 1]
    if not clips:
        raise ModelError(f'no clips of two or more frames in {", ".join(map(str, sources))}')
    return clips[:limit]


def random_clips(input_size: tuple[int, int], clip_len: int = 5, count: int = 2) -> list[Tensor]:
    """Coloured noise in place of clips: smooth blobs that move, (T, 3, H, W) uint8."""
    generator = torch.Generator().manual_seed(0)
    width, height = input_size
    clips = []
    for _ in range(count):
        coarse = torch.rand(1, 3, clip_len + 2, 8, 8, generator=generator)
        smooth = nn.functional.interpolate(
            coarse, (clip_len, height, width), mode='trilinear', align_corners=False
        )
        clips.append((255 * smooth[0].transpose(0, 1)).to(torch.uint8).contiguous())
    return clips


def _pipeline(config: Config) -> Sequence[dict]:
    loader = config.get('test_dataloader') or config.get('val_dataloader')
    if not loader or 'pipeline' not in loader['dataset']:
        raise ModelError(
            f'{config_name(config)}: no test_dataloader with a pipeline, by which clips are cut'
        )
    return loader['dataset']['pipeline']


def _of_video(config: Config, path: Path, clip_len: int, limit: int) -> list[Tensor]:
    """Clips that begin at even distances; no more than ``limit`` times T frames are kept."""
    try:
        cropper = Cropper.from_pipeline(_pipeline(config))
    except ValueError as error:
        raise ModelError(f'{config_name(config)}: {error}') from None
    source = open_frames(path)
    width, height = source.size
    crop = cropper.about(np.array([0, 0, width, height], np.float32))
    total = max(source.expected, clip_len)
    every = max(total // limit, clip_len)
    frames = iter(source)
    clips: list[Tensor] = []
    while len(clips) < limit and (chunk := list(islice(frames, clip_len))):
        images = np.stack([crop.cut(frame.image) for frame in chunk])
        clips.append(torch.from_numpy(images).permute(0, 3, 1, 2).contiguous())
        next(islice(frames, every - clip_len, every - clip_len), None)
    return clips


def _of_data(config: Config, part: str, clip_len: int, limit: int) -> list[Tensor]:
    loader = config.get(f'{part}_dataloader')
    if not loader:
        raise ModelError(f'{config_name(config)}: no {part}_dataloader')
    given = loader['dataset']
    while 'datasets' in given or 'dataset' in given:  # of several, the first; and unwrapped
        given = given['datasets'][0] if 'datasets' in given else given['dataset']
    # As in testing: windows in order, and no augmentation.
    settings = {
        **given,
        'pipeline': _pipeline(config),
        'start': 'fixed',
        'clip_len': clip_len,
        'test_mode': True,
    }
    init_default_scope(config.get('default_scope', 'mmpose'))
    try:
        dataset = DATASETS.build(settings)
    except FileNotFoundError as error:
        raise ModelError(f'{config_name(config)}: the {part} data are not there: {error}') from None
    indices = np.unique(np.linspace(0, len(dataset) - 1, limit).astype(int))
    return [dataset[int(index)]['inputs'] for index in indices]
