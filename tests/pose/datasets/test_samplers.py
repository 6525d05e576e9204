"""RepeatSampler against counts, MMEngine's sampler, and several processes."""

from collections import Counter

import pytest
from mmengine.dataset import DefaultSampler

from rpstn.pose.datasets import samplers
from rpstn.pose.datasets.samplers import RepeatSampler


@pytest.mark.parametrize('times', [0.5, 5 / 7, 1, 5 / 3, 5])
@pytest.mark.parametrize('size', [7, 20])
def test_every_item_is_shown_as_often_as_every_other_give_or_take_one(times, size):
    sampler = RepeatSampler(range(size), times, seed=3)
    shown = list(sampler)
    assert len(shown) == len(sampler) == round(times * size)
    counts = Counter(shown)
    often = [counts[i] for i in range(size)]
    assert max(often) - min(often) <= 1
    sampler.set_epoch(1)
    assert list(sampler) != shown and len(list(sampler)) == len(shown)


def test_once_is_mmengines_own_order():
    ours, theirs = (cls(range(30), seed=5) for cls in (RepeatSampler, DefaultSampler))
    for epoch in range(3):
        for sampler in (ours, theirs):
            sampler.set_epoch(epoch)
        assert list(ours) == list(theirs)


def test_each_pass_has_an_order_of_its_own():
    shown = list(RepeatSampler(range(50), 2, seed=0))
    assert sorted(shown[:50]) == sorted(shown[50:]) == list(range(50))
    assert shown[:50] != shown[50:]
    assert list(RepeatSampler(range(4), 2.5, shuffle=False)) == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]


@pytest.mark.parametrize('times', [5 / 3, 5 / 7])
def test_processes_share_an_epoch(times, monkeypatch):
    alone = list(RepeatSampler(range(20), times, seed=1))
    parts = []
    for rank in range(3):
        monkeypatch.setattr('mmengine.dataset.sampler.get_dist_info', lambda rank=rank: (rank, 3))
        sampler = RepeatSampler(range(20), times, seed=1)
        parts.append(list(sampler))
        assert len(parts[-1]) == len(sampler) == -(-round(20 * times) // 3)
    together = [i for step in zip(*parts, strict=True) for i in step]
    assert together[: len(alone)] == alone


def test_nothing_left_is_refused():
    with pytest.raises(ValueError, match='times=0.1 of 4 items is none'):
        RepeatSampler(range(4), 0.1)
    assert samplers.DATA_SAMPLERS.get('RepeatSampler') is RepeatSampler
