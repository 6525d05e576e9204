"""Random numbers of a training: kept in its checkpoints, and drawn for each item by itself.

What a data set draws for an item depends on the seed of the training, the epoch, and the item's
place in it: not on which worker reads it, for how long that has been running, or what the model
has drawn meanwhile. So an epoch can be begun anew, or in its middle.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

_Entropy = tuple[int, int, int, int, int]
"""Seed, epoch, rank, batch, place in the batch."""


def random_states() -> dict[str, Any]:
    """Those of Python, NumPy and torch in this process, as values that load safely."""
    _, keys, position, has_gauss, gauss = np.random.get_state()
    _, words, python_gauss = random.getstate()
    return dict(
        torch=torch.get_rng_state(),
        cuda=torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        numpy=[torch.from_numpy(np.asarray(keys, np.int64)), position, has_gauss, gauss],
        python=[torch.tensor(words), python_gauss],
    )


def set_random_states(states: dict[str, Any]) -> None:
    """Go on from what :func:`random_states` gave.

    Raises:
        AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError: it did not give
            that; some may be set.
    """
    keys, position, has_gauss, gauss = states['numpy']
    np.random.set_state(
        ('MT19937', keys.cpu().numpy().astype(np.uint32), position, has_gauss, gauss)
    )
    words, python_gauss = states['python']
    random.setstate((3, tuple(words.tolist()), python_gauss))
    torch.set_rng_state(states['torch'].cpu())
    if torch.cuda.is_available() and len(states['cuda']) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([state.cpu() for state in states['cuda']])


@contextmanager
def kept_random_states() -> Iterator[None]:
    """What is drawn inside has no effect outside; torch's of GPUs aside."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])


class SeededBatches:
    """A batch sampler whose items each have a seed; see :func:`seed_items`.

    Args:
        batches: the batch sampler, whose other attributes are this one's, too.
        seed: of the training.
        rank: of this process.
    """

    def __init__(self, batches: Any, seed: int, rank: int) -> None:
        self.batches, self.seed, self.rank = batches, seed, rank
        self.epoch = 0
        """Of the next pass; each pass counts it on."""
        self.skip = 0
        """Batches that the next pass leaves out, as they were done before."""

    def __getattr__(self, name: str) -> Any:
        if name == 'batches':  # not there yet, while it is unpickled
            raise AttributeError(name)
        return getattr(self.batches, name)

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[tuple[Any, _Entropy]]]:
        # Nothing is counted before the first batch is asked for: a DataLoader with workers makes
        # two iterators, and uses one.
        epoch, skip = self.epoch, self.skip
        self.epoch, self.skip = epoch + 1, 0
        for number, batch in enumerate(self.batches):
            if number >= skip:
                yield [
                    (index, (self.seed, epoch, self.rank, number, place))
                    for place, index in enumerate(batch)
                ]


def seed_items(loader: DataLoader, seed: int, rank: int) -> SeededBatches | None:
    """Have a loader draw the random numbers of each item from a seed of its own.

    Args:
        loader: changed in place; its workers are started when it is next asked.
        seed: of the training.
        rank: of this process.

    Returns:
        What chooses the batches now; None for a data set that is a stream, which stays as it is.
    """
    if loader.batch_sampler is None or not hasattr(loader.dataset, '__getitem__'):
        return None
    batches = SeededBatches(loader.batch_sampler, seed, rank)
    # A DataLoader refuses to have it set later on, for fear of sizes that do not fit any more.
    vars(loader)['batch_sampler'] = batches
    loader.dataset.__getitems__ = partial(_items, loader.dataset)  # type: ignore[attr-defined]
    loader._iterator = None
    keep_to_itself(loader)
    return batches


def keep_to_itself(loader: DataLoader) -> None:
    """Have a loader draw the seeds of its workers from a generator of its own.

    It draws whenever it makes an iterator: once in all with persistent workers, so that the model
    would have other random numbers after a new start.
    """
    loader.generator = torch.Generator().manual_seed(0)


def _items(dataset: Dataset, draws: Sequence[tuple[Any, _Entropy]]) -> list[Any]:
    """What torch asks a data set for, in place of one item after the other."""
    return list(_drawn(dataset, draws))


def _drawn(dataset: Dataset, draws: Iterable[tuple[Any, _Entropy]]) -> Iterator[Any]:
    with kept_random_states():
        for index, entropy in draws:
            seeds = np.random.SeedSequence(entropy).generate_state(3).tolist()
            random.seed(seeds[0])
            np.random.seed(seeds[1])
            # Not torch.manual_seed, which is of GPUs, too.
            torch.default_generator.manual_seed(seeds[2])
            yield dataset[index]
