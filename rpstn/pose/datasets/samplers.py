"""How often an epoch shows each clip."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sized

import torch
from mmengine.dataset import DefaultSampler
from mmpose.registry import DATA_SAMPLERS

from rpstn.errors import SettingError


@DATA_SAMPLERS.register_module()
class RepeatSampler(DefaultSampler):
    """An epoch of more, or fewer, items than the data set has.

    A data set with ``start='random'`` gives one clip per video and pass. With ``times=5 / T`` an
    epoch shows as many frames for any clip length T as one pass does for T = 5; the schedule, in
    epochs, stays as it is.

    Args:
        dataset: of N items.
        times: an epoch has ``round(times * N)`` items: whole passes, each shuffled anew,
            and a part of one more; no item is shown more than once more often than another.
        shuffle: whether passes are shuffled. Defaults to True.
        seed: of the shuffling, the same in every process.

    Raises:
        SettingError: ``times`` leaves no item.
    """

    def __init__(
        self, dataset: Sized, times: float = 1.0, shuffle: bool = True, seed: int | None = None
    ) -> None:
        super().__init__(dataset, shuffle=shuffle, seed=seed)
        size = round(times * len(dataset))
        if size < 1:
            raise SettingError(
                f'RepeatSampler: times={times} of {len(dataset)} items is none; it '
                'must give at least one'
            )
        self.num_samples = math.ceil(size / self.world_size)
        self.total_size = self.num_samples * self.world_size

    def __iter__(self) -> Iterator[int]:
        """Indices of this process."""
        generator = torch.Generator()
        generator.manual_seed(self.seed + self.epoch)
        size = len(self.dataset)
        indices: list[int] = []
        while len(indices) < self.total_size:
            indices += (
                torch.randperm(size, generator=generator) if self.shuffle else torch.arange(size)
            ).tolist()
        return iter(indices[self.rank : self.total_size : self.world_size])
