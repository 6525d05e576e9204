"""Differences of rows: known answers, and PCK out of counts against VideoPCK."""

import numpy as np
import pytest
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from rpstn.pose.datasets.metainfo import JHMDB15
from rpstn.pose.evaluation.pck import VideoPCK

from bootstrap import ClipCounts, paired_bootstrap
from lite_evaluation import clip_counts


def one_joint(shares, frames=1000) -> ClipCounts:
    """Clips of so many frames, of which these shares are right."""
    shares = np.array(shares)[:, None]
    return ClipCounts(shares * frames, np.full(shares.shape, frames))


def test_a_constant_difference_is_certain_however_clips_differ():
    hard = np.linspace(0.1, 0.9, 9)
    found = paired_bootstrap([one_joint(hard + 0.05)], [one_joint(hard)])
    np.testing.assert_allclose((found.value, found.low, found.high), 0.05)
    assert found.excludes_zero
    other = paired_bootstrap([one_joint(hard)], [one_joint(hard + 0.05)])
    assert other.value == -found.value and other.excludes_zero
    assert not paired_bootstrap([one_joint(hard)], [one_joint(hard)]).excludes_zero


def test_two_clips_are_drawn_in_three_ways():
    """Means 0, 1/2 and 1 in a quarter, a half and a quarter of the samples."""
    found = paired_bootstrap([one_joint([0.0, 1.0])], [one_joint([0.0, 0.0])])
    assert (found.value, found.low, found.high) == (0.5, 0, 1)
    assert not found.excludes_zero


def test_many_clips_give_the_normal_interval():
    rng = np.random.default_rng(1)
    first, second = rng.uniform(0, 1, (2, 400))
    found = paired_bootstrap([one_joint(first)], [one_joint(second)])
    change = first - second
    width = 1.96 * change.std() / np.sqrt(len(change))
    assert found.value == pytest.approx(change.mean())
    assert found.low == pytest.approx(change.mean() - width, abs=0.05 * width)
    assert found.high == pytest.approx(change.mean() + width, abs=0.05 * width)


def test_runs_of_a_row_count_by_their_mean_and_clips_by_their_frames():
    runs = [one_joint([0.2, 0.4]), one_joint([0.4, 0.6])]
    assert paired_bootstrap(runs, [one_joint([0.1, 0.1])]).value == pytest.approx(0.3)
    uneven = ClipCounts(np.array([[30.0], [0.0]]), np.array([[30], [10]]))
    assert uneven.pck(np.array([[1, 1], [1, 2], [0, 1]])).tolist() == [0.75, 0.6, 0]
    with pytest.raises(ValueError, match=r'same clips, got \[2, 3\] clips'):
        paired_bootstrap(runs, [one_joint([0.1, 0.1, 0.1])])


def test_counts_give_videopcks_figures_for_any_choice_of_clips():
    rng = np.random.default_rng(0)
    metric = VideoPCK()
    metric.dataset_meta = parse_pose_metainfo(JHMDB15)
    clips = []
    for length in (5, 8, 3):
        truth = rng.uniform(0, 100, (length, 15, 2))
        visible = rng.random((length, 15)) > 0.2
        visible[:, 4] |= length == 3  # a shoulder of the torso
        if length == 8:
            visible[:, 14] = False  # a joint that counts nowhere in the clip
        metric.process(
            {},
            [
                dict(
                    gt_instances=dict(
                        keypoints=points[None],
                        keypoints_visible=seen[None],
                        keypoints_occluded=rng.random((1, 15)) > 0.6,
                        bboxes=np.array([[0, 0, *rng.uniform(50, 100, 2)]]),
                    ),
                    pred_instances=dict(keypoints=points[None] + rng.normal(0, 12, (1, 15, 2))),
                )
                for points, seen in zip(truth, visible)
            ],
        )
        clips.append(metric.results[-length:])
    counts, hidden = clip_counts(metric, clips), clip_counts(metric, clips, 'occluded')
    for times in ([1, 1, 1], [2, 1, 0], [0, 3, 0]):
        chosen = [frame for clip, number in zip(clips, times) for frame in clip * number]
        figures = metric.compute_metrics(chosen)
        for normalizer in ('torso', 'bbox'):
            for of, name in ((counts, 'mean'), (hidden, 'occluded')):
                expected = figures[f'{normalizer}_PCK@0.2/{name}']
                assert 0.1 < expected < 1
                found = of[normalizer].pck(np.array([times]))
                np.testing.assert_allclose(found, expected, rtol=1e-6)
