"""Train what is behind a frozen encoder, on its cached features, and have it answer for videos.

Shapes: V clips, T frames, B clips of a batch, N frames of all videos, K joints, C channels, (h, w)
heatmap cells.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmpose.codecs.base import BaseKeypointCodec
from torch import Tensor, nn

from rpstn.checkpoints import read_checkpoint, weights_of
from rpstn.errors import SettingError
from rpstn.pose.crops import rotate_about

from feature_cache import TrainingClips, WholeClips, as_floats, build_model

_OWN = ('head.relation.', 'head.readout.')
_ENCODER = 'backbone.encoder.'


def start_model(config: Config, checkpoint: str | None) -> nn.Module:
    """The config's model, with a checkpoint's weights; relation and readout may be new.

    Raises:
        SettingError: the checkpoint is of another model.
    """
    model = build_model(config)
    if checkpoint is not None:
        weights = weights_of(read_checkpoint(checkpoint))
        missing, unknown = model.load_state_dict(weights, strict=False)
        wrong = [key for key in missing if not key.startswith(_OWN)] + unknown
        if wrong:
            raise SettingError(f'{checkpoint}: of another model; {wrong[0]} does not fit')
    return model


def heatmaps_of(model: nn.Module, features: Tensor) -> Tensor:
    """(B, T, C, h, w) -> (B, T, K, h, w), as the whole model has them of its frames."""
    return model.head.propagate((features, model.backbone.heatmaps(features[:, 0])))


def draws(
    clips: Sequence[TrainingClips], frames: int, batch: int, seed: int
) -> Iterator[tuple[Tensor, np.ndarray, np.ndarray]]:
    """Batches without end, every clip once before any is drawn again.

    Yields:
        Features (B, T, C, h, w), joints (B, T, K, 2) and weights (B, T, K).
    """
    rng = np.random.default_rng(seed)
    places = [(part, index) for part in clips for index in range(len(part.joints))]
    left: list[int] = []
    while True:
        if len(left) < batch:
            left += list(rng.permutation(len(places)))
        chosen, left = left[:batch], left[batch:]
        drawn = []
        for number in chosen:
            part, index = places[number]
            begin = int(rng.integers(part.joints.shape[1] - frames + 1))
            drawn.append((part, index, slice(begin, begin + frames)))
        features, joints, weights = (
            np.stack([getattr(part, name)[index, span] for part, index, span in drawn])
            for name in ('features', 'joints', 'weights')
        )
        yield as_floats(features), joints, weights


def targets_of(
    codec: BaseKeypointCodec, joints: np.ndarray, weights: np.ndarray
) -> tuple[Tensor, Tensor]:
    """Heatmaps (B*T, K, h, w) and weights (B*T, K) of joints (B, T, K, 2) in a crop."""
    encoded = [
        codec.encode(frame[None], known[None])
        for frame, known in zip(
            joints.reshape(-1, *joints.shape[2:]), weights.reshape(-1, weights.shape[-1])
        )
    ]
    return (
        torch.from_numpy(np.stack([one['heatmaps'] for one in encoded])),
        torch.from_numpy(np.concatenate([one['keypoint_weights'] for one in encoded])),
    )


def train_head(
    model: nn.Module,
    config: Config,
    clips: Sequence[TrainingClips],
    frames: int,
    batch: int,
    steps: int,
    seed: int,
    watch: Callable[[nn.Module], None],
    looks: int = 4,
) -> list[float]:
    """The config's loss and optimizer, a warm-up and a cosine; the encoder is never asked.

    Args:
        model: changed in place.
        config: whose ``optim_wrapper`` is taken.
        clips: training parts.
        frames: T, of a clip that is trained on.
        batch: B.
        steps: of the optimizer.
        seed: of the order of clips.
        watch: is shown the model, in evaluation mode, before the first step and at the end of
            each of ``looks`` equal parts.

    Returns:
        The loss of each step; none where nothing is to be trained.
    """
    watch(model.eval())
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not trained:
        return []
    optimizer = build_optim_wrapper(model, config.optim_wrapper).optimizer
    rates = [group['lr'] for group in optimizer.param_groups]
    model.head.loss_module.clip_len = frames
    batches = draws(clips, frames, batch, seed)
    losses = []
    for step in range(steps):
        share = min((step + 1) / max(steps // 20, 1), 1) * (
            0.5 + 0.5 * math.cos(math.pi * step / steps)
        )
        for group, rate in zip(optimizer.param_groups, rates):
            group['lr'] = share * rate
        train_what_learns(model)
        features, joints, weights = next(batches)
        targets, known = targets_of(model.head.decoder, joints, weights)
        loss = model.head.loss_module(heatmaps_of(model, features).flatten(0, 1), targets, known)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(trained, config.optim_wrapper.clip_grad.max_norm)
        optimizer.step()
        losses.append(loss.item())
        if (step + 1) * looks // steps > step * looks // steps:
            watch(model.eval())
    return losses


def train_what_learns(model: nn.Module) -> None:
    """Training mode, but for modules whose parameters are all frozen: norms keep statistics."""
    model.train()
    for module in model.modules():
        parameters = list(module.parameters())
        if parameters and not any(parameter.requires_grad for parameter in parameters):
            module.eval()


@torch.no_grad()
def answer(
    model: nn.Module, videos: WholeClips, most: int | None = None, batch: int = 4
) -> np.ndarray:
    """What a model in evaluation mode says of whole videos, heatmaps carried through each.

    Args:
        most: frames of each video, its first ones; all by default.
        batch: videos at a time.

    Returns:
        (N, K, 3): x and y in image pixels, and the score; NaN in frames that were left out.
    """
    ends = np.cumsum(videos.lengths)
    lengths = videos.lengths if most is None else np.minimum(videos.lengths, most)
    order = np.argsort(-lengths, kind='stable')  # so that of a batch the first ones last longest
    found = np.full((len(videos.features), model.head.num_joints, 3), np.nan, np.float32)
    for group in np.split(order, range(batch, len(order), batch)):
        starts = ends[group] - videos.lengths[group]
        state: tuple[Tensor, Tensor] | None = None
        for time in range(lengths[group[0]]):
            going = int((lengths[group] > time).sum())
            rows = starts[:going] + time
            features = as_floats(videos.features[rows])
            if state is None:
                state = model.head.start(features, model.backbone.heatmaps(features))
            else:
                state = model.head.step(state[0][:going], state[1][:going], features)
            for row, maps in zip(rows, state[0].numpy()):
                joints, scores = model.head.decoder.decode(maps)
                found[row, :, :2] = to_image(joints[0], videos, row, model.head.decoder.input_size)
                found[row, :, 2] = scores[0]
    return found


def to_image(
    joints: np.ndarray, videos: WholeClips, row: int, input_size: tuple[int, int]
) -> np.ndarray:
    """(K, 2) pixels of the crop of one frame -> of the image, turned as the crop was."""
    center, scale = videos.center[row], videos.scale[row]
    upright = joints / np.asarray(input_size) * scale + center - 0.5 * scale
    return rotate_about(upright, center, float(videos.rotation[row]))


def own_weights(model: nn.Module) -> dict[str, Tensor]:
    """All weights but the frozen encoder's."""
    state = model.state_dict()
    return {key: value for key, value in state.items() if not key.startswith(_ENCODER)}
