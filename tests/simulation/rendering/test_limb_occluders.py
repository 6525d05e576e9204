"""Occluders over real frames: what they cover, how they move, and what they leave alone."""

import cv2
import numpy as np
import pytest

from rpstn.simulation.rendering.limb_occluders import (
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
BODY = np.array(
    [
        [80, 50],
        [80, 100],
        [80, 30],
        [65, 55],
        [95, 55],
        [70, 110],
        [90, 110],
        [60, 80],
        [100, 80],
        [68, 145],
        [92, 145],
        [58, 105],
        [102, 105],
        [66, 180],
        [94, 180],
    ],
    np.float32,
)


def clip(length=5, step=2.0, video='kick/a', first=0) -> dict:
    frames = []
    for t in range(length):
        joints = BODY + [step * t, 0]
        frames.append(
            dict(
                img=PICTURE.copy(),
                keypoints=joints[None].astype(np.float32),
                keypoints_visible=np.ones((1, 15), np.float32),
                frame_index=first + t,
                keypoints_occluded=np.zeros((1, 15), np.float32),
                bbox=np.array([[50, 25, 110, 185]], np.float32),
            )
        )
    return dict(video=video, frames=frames)


def drawn(frame: dict) -> np.ndarray:
    return (frame['img'] != PICTURE).any(-1)


def test_segments_are_limbs_of_one_side():
    pairs = limb_segments('jhmdb15')
    assert pairs.shape == (8, 2)
    parents = {(p, c) for p, c in JHMDB.limb_indices}
    assert {tuple(pair) for pair in pairs} <= parents


@pytest.mark.parametrize('picture', [None, np.zeros((90, 70, 3), np.uint8)])
def test_a_thing_lies_over_the_limb_and_goes_with_it(picture):
    lengths = []
    for seed in range(40):
        start = np.array([[80.0, 90.0]]) + np.arange(4)[:, None] * [3.0, 4.0]
        cover = limb_cover(
            np.random.default_rng(seed), np.stack([start, start + [0, 30]], 1), 40, picture
        )
        masks = [cover.mask(n, (200, 240)) > 127 for n in range(4)]
        assert masks[0][90:121, 80].any(), 'some of the limb is under it'
        np.testing.assert_array_equal(masks[0][40:180, 30:150], masks[2][48:188, 36:156])
        lengths.append(2 * np.sqrt(masks[0].sum() / np.pi))
    assert 36 <= np.mean(lengths) <= 44, 'from round to square'


def test_a_thing_does_not_show_how_the_limb_lies():
    def cover(seed, ends):
        return limb_cover(np.random.default_rng(seed), np.array([ends], float), 40)

    middle = np.array([[[100.0, 100.0]] * 2])[0]
    for seed in range(10):  # the same thing over limbs of any length and direction
        one, other = cover(seed, middle), cover(seed, middle + [[-30, 5], [30, -5]])
        np.testing.assert_allclose(one.matrices[..., :2], other.matrices[..., :2])
        np.testing.assert_array_equal(one.alpha, other.alpha)
    ends = np.array([[85.0, 100.0], [115.0, 100.0]])
    # Where the limb's left end lies in the thing, in its own coordinates: anywhere.
    matrices = [cover(seed, ends).matrices[0] for seed in range(400)]
    found = np.stack([np.linalg.solve(m[:, :2], ends[0] - m[:, 2]) for m in matrices]) - 31.5
    inside = np.linalg.norm(found, axis=-1) < 29
    assert 0.3 < inside.mean() < 0.8, 'it hides that end often, not always'
    assert np.linalg.norm(found[inside].mean(0)) < 3
    assert np.linalg.norm(found[inside], axis=-1).std() > 5


def test_a_limb_of_no_length_has_something_over_it_all_the_same():
    cover = limb_cover(np.random.default_rng(0), np.full((1, 2, 2), 50.0), 20)
    assert np.isfinite(cover.matrices).all() and cover.mask(0, (100, 100))[50, 50] > 127


def test_clip_occluders_mark_exactly_what_they_cover():
    occlude = ClipOccluders(prob=1.0, most=1, limb_share=1.0, most_covered=1.0)
    np.random.seed(0)
    hides = []
    for _ in range(20):
        frames = occlude.transform(clip())['frames']
        for frame in frames:
            hidden = frame['keypoints_occluded'][0] > 0
            hides.append(hidden.any())
            at = np.rint(frame['keypoints'][0]).astype(int)
            changed = drawn(frame)[at[:, 1], at[:, 0]]
            assert not (hidden & ~changed).any()
            assert (frame['keypoints_visible'] == 1).all(), 'the loss asks for them'
    assert np.mean(hides) > 0.5


def test_the_same_thing_moves_with_the_limb():
    np.random.seed(1)
    frames = ClipOccluders(prob=1.0, most=1, limb_share=1.0).transform(clip(step=7.0))['frames']
    # Without its soft rim, through which the picture shows.
    core = cv2.erode(drawn(frames[0]).astype(np.uint8), np.ones((5, 5))) > 0
    assert core.sum() > 50
    for t in (1, 2):  # moved by whole pixels; another thing would differ by some 80
        moved = frames[t]['img'][np.roll(core, 7 * t, axis=1)].astype(int)
        assert np.abs(moved - frames[0]['img'][core]).mean() < 1


def test_passing_things_come_or_go_and_are_marked_only_where_they_are():
    np.random.seed(4)
    occlude = ClipOccluders(prob=1.0, most=1, passing=1.0, most_covered=1.0)
    shown = []
    for _ in range(60):
        frames = occlude.transform(clip(6, step=0.0))['frames']
        there = np.array([drawn(frame).any() for frame in frames])
        assert (np.diff(there.astype(int)) != 0).sum() <= 1
        for frame, visible in zip(frames, there):
            assert visible or not frame['keypoints_occluded'].any()
        shown.append(there)
    shown = np.array([there for there in shown if there.any()])  # what misses the picture aside
    assert not shown.all(1).any()
    assert shown[:, -1].mean() > 0.6 and shown[:, 0].any(), 'most come, some go'
    frames = ClipOccluders(prob=1.0, passing=1.0).transform(clip(1))['frames']
    assert drawn(frames[0]).any(), 'a single frame has nothing to pass in'


def test_things_may_cover_no_more_than_allowed():
    np.random.seed(2)
    shares = []
    for _ in range(40):
        frames = ClipOccluders(prob=1.0, most=3, limb_share=0.3, most_covered=0.3).transform(
            clip(2)
        )['frames']
        shares.append(np.mean([frame['keypoints_occluded'] for frame in frames]))
    assert max(shares) <= 0.3 + 1e-6 and np.mean(shares) > 0.05


def test_unlabelled_joints_are_never_called_occluded():
    np.random.seed(3)
    results = clip()
    for frame in results['frames']:
        frame['keypoints_visible'][:, 3:9] = 0
    for frame in ClipOccluders(prob=1.0, most=4, most_covered=1.0).transform(results)['frames']:
        assert not frame['keypoints_occluded'][:, 3:9].any()


def test_probability_zero_and_nobody_leave_all_as_it_is():
    assert not any(drawn(f).any() for f in ClipOccluders(prob=0.0).transform(clip())['frames'])
    results = clip()
    for frame in results['frames']:
        frame['keypoints_visible'][:] = 0
    assert not any(drawn(f).any() for f in ClipOccluders(prob=1.0).transform(results)['frames'])


def test_the_loaders_seed_decides():
    pictures = []
    for seed in (5, 5, 6):
        np.random.seed(seed)
        pictures.append(
            np.stack([f['img'] for f in ClipOccluders(prob=1.0).transform(clip())['frames']])
        )
    assert (pictures[0] == pictures[1]).all() and (pictures[0] != pictures[2]).any()


def test_spans_cover_half_of_the_frames_and_do_not_depend_on_the_clip():
    whole = SpanOccluders(span=4).transform(clip(32, step=0.0))['frames']
    touched = np.array([drawn(frame).any() for frame in whole])
    assert touched.reshape(-1, 4).all(1).sum() == 4 and touched.sum() == 16
    part = SpanOccluders(span=4).transform(clip(6, step=0.0, first=10))['frames']
    for a, b in zip(whole[10:16], part):
        np.testing.assert_array_equal(a['img'], b['img'])
        np.testing.assert_array_equal(a['keypoints_occluded'], b['keypoints_occluded'])
    others = [
        SpanOccluders(span=4, seed=seed).transform(clip(32, 0.0, video))['frames']
        for seed, video in ((1, 'kick/a'), (0, 'kick/b'))
    ]
    for other in others:
        assert any((a['img'] != b['img']).any() for a, b in zip(whole, other))
    occluded = np.stack([frame['keypoints_occluded'][0] for frame in whole])
    assert occluded[touched].any(1).mean() > 0.5 and not occluded[~touched].any()


def test_a_limb_that_is_not_labelled_is_passed_over():
    results = clip(16, step=0.0)
    for frame in results['frames']:
        frame['keypoints_visible'][:, :13] = 0
        frame['keypoints_visible'][:, JHMDB.index('right_knee')] = 1
    frames = SpanOccluders(span=8).transform(results)['frames']
    knee, ankle = (BODY[JHMDB.index(f'right_{joint}')] for joint in ('knee', 'ankle'))
    leg = np.rint(np.linspace(knee, ankle, 40)).astype(int)
    shown = [drawn(frame) for frame in frames]
    assert sum(picture.any() for picture in shown) == 8
    assert all(picture[leg[:, 1], leg[:, 0]].any() for picture in shown if picture.any())
