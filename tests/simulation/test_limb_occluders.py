"""Occluders over real frames: what they cover, how they move, and what they leave alone."""
import cv2
import numpy as np
import pytest

from rpstn.simulation.limb_occluders import (
    ClipOccluders,
    SpanOccluders,
    limb_cover,
    limb_segments,
)
from rpstn.skeletons import get_skeleton

JHMDB = get_skeleton('jhmdb15')
# Noise, so that a piece of it pasted elsewhere is seen.
PICTURE = np.random.default_rng(0).integers(0, 255, (200, 160, 3), np.uint8)
# A standing person in a picture of 160x200, in JHMDB's order.
BODY = np.array([[80, 50], [80, 100], [80, 30], [65, 55], [95, 55], [70, 110], [90, 110], [60, 80],
                 [100, 80], [68, 145], [92, 145], [58, 105], [102, 105], [66, 180], [94, 180]],
                np.float32)


def clip(length=5, step=2., video='kick/a', first=0) -> dict:
    frames = []
    for t in range(length):
        joints = BODY + [step * t, 0]
        frames.append(dict(
            img=PICTURE.copy(), keypoints=joints[None].astype(np.float32),
            keypoints_visible=np.ones((1, 15), np.float32), frame_index=first + t,
            keypoints_occluded=np.zeros((1, 15), np.float32),
            bbox=np.array([[50, 25, 110, 185]], np.float32)))
    return dict(video=video, frames=frames)


def drawn(frame: dict) -> np.ndarray:
    return (frame['img'] != PICTURE).any(-1)


def test_segments_are_limbs_of_one_side():
    pairs = limb_segments('jhmdb15')
    assert pairs.shape == (8, 2)
    parents = {(p, c) for p, c in JHMDB.limb_indices}
    assert {tuple(pair) for pair in pairs} <= parents


@pytest.mark.parametrize('picture', [None, np.zeros((90, 70, 3), np.uint8)])
def test_a_limb_is_covered_with_both_ends_wherever_it_points(picture):
    rng = np.random.default_rng(0)
    angles = np.linspace(0, 2 * np.pi, 9)
    middle, half = np.array([80, 100.]), 25
    along = half * np.stack([np.cos(angles), np.sin(angles)], -1)
    ends = np.stack([middle - along, middle + along], 1)
    cover = limb_cover(rng, ends, 14, picture)
    for n, angle in enumerate(angles):
        mask = cover.mask(n, (160, 200)) > 127
        for end in ends[n]:
            assert mask[tuple(np.rint(end[::-1]).astype(int))]
        ys, xs = np.nonzero(mask)
        across = (xs - 80) * -np.sin(angle) + (ys - 100) * np.cos(angle)
        lengthwise = (xs - 80) * np.cos(angle) + (ys - 100) * np.sin(angle)
        assert np.abs(across).max() <= 14 / 2 + 1.5
        assert half <= np.abs(lengthwise).max() <= half + 14 * .6 + 1.5


def test_a_limb_of_no_length_is_covered_all_the_same():
    cover = limb_cover(np.random.default_rng(0), np.full((1, 2, 2), 50.), 12)
    assert np.isfinite(cover.matrices).all() and cover.mask(0, (100, 100))[50, 50] > 127


def test_clip_occluders_mark_exactly_what_they_cover():
    occlude = ClipOccluders(prob=1., most=1, limb_share=1., most_covered=1.)
    np.random.seed(0)
    for _ in range(10):
        frames = occlude.transform(clip())['frames']
        for frame in frames:
            hidden = frame['keypoints_occluded'][0] > 0
            assert hidden.sum() >= 2, 'both ends of the limb'
            at = np.rint(frame['keypoints'][0]).astype(int)
            changed = drawn(frame)[at[:, 1], at[:, 0]]
            assert not (hidden & ~changed).any()
            assert (frame['keypoints_visible'] == 1).all(), 'the loss asks for them'


def test_the_same_thing_moves_with_the_limb():
    np.random.seed(1)
    frames = ClipOccluders(prob=1., most=1, limb_share=1.).transform(clip(step=7.))['frames']
    # Without its soft rim, through which the picture shows.
    core = cv2.erode(drawn(frames[0]).astype(np.uint8), np.ones((5, 5))) > 0
    assert core.sum() > 50
    for t in (1, 2):  # moved by whole pixels; another thing would differ by some 80
        moved = frames[t]['img'][np.roll(core, 7 * t, axis=1)].astype(int)
        assert np.abs(moved - frames[0]['img'][core]).mean() < 1


def test_passing_things_come_or_go_and_are_marked_only_where_they_are():
    np.random.seed(4)
    occlude = ClipOccluders(prob=1., most=1, passing=1., most_covered=1.)
    shown = []
    for _ in range(60):
        frames = occlude.transform(clip(6, step=0.))['frames']
        there = np.array([drawn(frame).any() for frame in frames])
        assert (np.diff(there.astype(int)) != 0).sum() <= 1
        for frame, visible in zip(frames, there):
            assert visible or not frame['keypoints_occluded'].any()
        shown.append(there)
    shown = np.array([there for there in shown if there.any()])  # what misses the picture aside
    assert not shown.all(1).any()
    assert shown[:, -1].mean() > .6 and shown[:, 0].any(), 'most come, some go'
    frames = ClipOccluders(prob=1., passing=1.).transform(clip(1))['frames']
    assert drawn(frames[0]).any(), 'a single frame has nothing to pass in'


def test_things_may_cover_no_more_than_allowed():
    np.random.seed(2)
    shares = []
    for _ in range(40):
        frames = ClipOccluders(prob=1., most=3, limb_share=.3, most_covered=.3).transform(
            clip(2))['frames']
        shares.append(np.mean([frame['keypoints_occluded'] for frame in frames]))
    assert max(shares) <= .3 + 1e-6 and np.mean(shares) > .05


def test_unlabelled_joints_are_never_called_occluded():
    np.random.seed(3)
    results = clip()
    for frame in results['frames']:
        frame['keypoints_visible'][:, 3:9] = 0
    for frame in ClipOccluders(prob=1., most=4, most_covered=1.).transform(results)['frames']:
        assert not frame['keypoints_occluded'][:, 3:9].any()


def test_probability_zero_and_nobody_leave_all_as_it_is():
    assert not any(drawn(f).any() for f in ClipOccluders(prob=0.).transform(clip())['frames'])
    results = clip()
    for frame in results['frames']:
        frame['keypoints_visible'][:] = 0
    assert not any(drawn(f).any() for f in ClipOccluders(prob=1.).transform(results)['frames'])


def test_the_loaders_seed_decides():
    pictures = []
    for seed in (5, 5, 6):
        np.random.seed(seed)
        pictures.append(np.stack([f['img'] for f in ClipOccluders(prob=1.).transform(clip())
                                  ['frames']]))
    assert (pictures[0] == pictures[1]).all() and (pictures[0] != pictures[2]).any()


def test_spans_cover_half_of_the_frames_and_do_not_depend_on_the_clip():
    whole = SpanOccluders(span=4).transform(clip(32, step=0.))['frames']
    touched = np.array([drawn(frame).any() for frame in whole])
    assert touched.reshape(-1, 4).all(1).sum() == 4 and touched.sum() == 16
    part = SpanOccluders(span=4).transform(clip(6, step=0., first=10))['frames']
    for a, b in zip(whole[10:16], part):
        np.testing.assert_array_equal(a['img'], b['img'])
        np.testing.assert_array_equal(a['keypoints_occluded'], b['keypoints_occluded'])
    others = [SpanOccluders(span=4, seed=seed).transform(clip(32, 0., video))['frames']
              for seed, video in ((1, 'kick/a'), (0, 'kick/b'))]
    for other in others:
        assert any((a['img'] != b['img']).any() for a, b in zip(whole, other))
    occluded = np.stack([frame['keypoints_occluded'][0] for frame in whole])
    assert (occluded[touched].sum(1) >= 2).all() and not occluded[~touched].any()


def test_a_limb_that_is_not_labelled_is_passed_over():
    results = clip(16, step=0.)
    for frame in results['frames']:
        frame['keypoints_visible'][:, :13] = 0
        frame['keypoints_visible'][:, JHMDB.index('right_knee')] = 1
    frames = SpanOccluders(span=8).transform(results)['frames']
    hidden = {JHMDB.joints[k] for f in frames for k in np.flatnonzero(f['keypoints_occluded'][0])}
    assert hidden == {'right_knee', 'right_ankle'}
