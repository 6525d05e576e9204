"""Stresses over real frames: what they hide, how they move, and what they leave alone."""

import cv2
import numpy as np
import pytest

from rpstn.errors import SettingError
from rpstn.simulation import CrossingPerson, LimbOcclusion, MotionBlur
from rpstn.simulation.stress.blur import line_kernel
from rpstn.skeletons import get_skeleton

JHMDB = get_skeleton('jhmdb15')
WIDTH, HEIGHT = 320, 240
PICTURE = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
# A standing person, in JHMDB's order.
BODY = np.array(
    [
        *([80, 50], [80, 100], [80, 30], [65, 55], [95, 55], [70, 110], [90, 110], [60, 80]),
        *([100, 80], [68, 145], [92, 145], [58, 105], [102, 105], [66, 180], [94, 180]),
    ],
    np.float32,
) + [20, 30]


def clip(length=30, step=1.0, video='kick/a', unlabelled=()) -> dict:
    frames = []
    for t in range(length):
        visible = np.ones((1, 15), np.float32)
        visible[0, list(unlabelled)] = 0
        frames.append(
            dict(
                img=PICTURE.copy(),
                keypoints=(BODY + [step * t, 0])[None].astype(np.float32),
                keypoints_visible=visible,
                keypoints_occluded=np.zeros((1, 15), np.float32),
                bbox=np.array([[70 + step * t, 55, 130 + step * t, 215]], np.float32),
            )
        )
    return dict(video=video, frames=frames)


def images(results: dict) -> np.ndarray:
    return np.stack([frame['img'] for frame in results['frames']])


def hidden(results: dict) -> np.ndarray:
    return np.stack([frame['keypoints_occluded'][0] > 0 for frame in results['frames']])


def test_a_limb_is_hidden_in_the_middle_and_moves_with_the_thing():
    results = LimbOcclusion(length=20).transform(clip(30))
    ages = [frame['hidden_for'] for frame in results['frames']]
    assert ages == [0] * 5 + [*range(1, 21)] + [0] * 5
    changed = (images(results) != PICTURE).any(-1)
    np.testing.assert_array_equal(changed.any((1, 2)), np.array(ages) > 0)
    covered = hidden(results)
    assert covered[5:25].any(1).all() and not covered[:5].any() and not covered[25:].any()
    assert (covered[5:25] == covered[5]).all(), 'the body keeps its shape, so the same joints'
    # A step of a whole pixel a frame: the thing lies as much further.
    assert (changed[6, :, 51:250] != changed[5, :, 50:249]).sum() < 5  # where noise meets itself
    joint = int(np.flatnonzero(covered[5])[0])
    x, y = np.rint(results['frames'][5]['keypoints'][0, joint]).astype(int)
    assert changed[5, y - 1 : y + 2, x - 1 : x + 2].any()


def test_a_short_occlusion_is_the_beginning_of_the_long_one():
    short, long = (LimbOcclusion(length=n).transform(clip(30)) for n in (5, 20))
    np.testing.assert_array_equal(images(short)[:10], images(long)[:10])
    assert (images(short)[10:] == PICTURE).all()
    assert (images(short)[5:10] != PICTURE).any((1, 2, 3)).all()


def test_seed_and_video_decide_about_the_limb():
    def drawn(seed=0, video='kick/a'):
        return images(LimbOcclusion(seed=seed).transform(clip(22, video=video)))

    np.testing.assert_array_equal(drawn(), drawn())
    assert (drawn() != drawn(seed=1)).any() and (drawn() != drawn(video='kick/b')).any()


def test_only_labelled_limbs_are_hidden():
    arms = [JHMDB.index(f'{side}_{j}') for side in ('left', 'right') for j in ('elbow', 'wrist')]
    legs = [JHMDB.index(f'{side}_{j}') for side in ('left', 'right') for j in ('knee', 'ankle')]
    for seed in range(5):
        results = LimbOcclusion(seed=seed).transform(clip(22, unlabelled=arms))
        assert hidden(results).any() and not hidden(results)[:, arms].any()
    untouched = LimbOcclusion().transform(clip(22, unlabelled=arms + legs))
    assert (images(untouched) == PICTURE).all() and not hidden(untouched).any()
    assert {frame['hidden_for'] for frame in untouched['frames']} == {0}


def test_a_clip_shorter_than_the_occlusion_is_covered_whole():
    results = LimbOcclusion(length=20).transform(clip(12))
    assert [frame['hidden_for'] for frame in results['frames']] == [*range(1, 13)]


@pytest.mark.parametrize('length', [0, 21])
def test_lengths_that_are_none_are_refused(length):
    with pytest.raises(SettingError, match=f'LimbOcclusion: length must be .*got {length} of 20'):
        LimbOcclusion(length=length)


@pytest.mark.parametrize('start', [0.0, 120.0])  # the nearer side is the left one, the right one
def test_somebody_crosses_in_front(start):
    given = clip(24, step=0.0)
    for frame in given['frames']:
        frame['keypoints'][..., 0] += start
        frame['bbox'][:, ::2] += start
    results = CrossingPerson().transform(given)
    changed = (images(results) != PICTURE).any(-1)
    assert not changed[:2].any(), 'the labelled person is alone at first'
    walker = np.stack([frame['walker'] for frame in results['frames']])
    middle = walker[..., 0].mean(1)
    assert (np.sign(np.diff(middle)) == (1 if start == 0 else -1)).all()
    at = 100 + start
    assert abs(middle[11:13].mean() - at) < 12, 'in the middle of the clip both are in one place'
    tall = walker[:, :, 1].max(1) - walker[:, :, 1].min(1)
    assert (tall > 0.6 * 160).all() and (tall < 1.3 * 160).all()
    # What is behind the walker is marked, as drawn, and nothing else.
    covered = hidden(results)
    assert covered[10:14].any() and not covered[:2].any()
    for mask, marked, frame in zip(changed, covered, results['frames'], strict=True):
        x, y = np.rint(frame['keypoints'][0]).astype(int).T
        assert cv2.dilate(mask.astype(np.uint8), np.ones((3, 3)))[y, x][marked].all()
        assert not marked[~mask[y, x]].any() or (mask[y, x] == marked).mean() > 0.8
    # The walker's own joints lie on what is drawn.
    inside = ((walker >= 0) & (walker < [WIDTH, HEIGHT])).all(-1)
    drawn = [
        changed[n, int(round(y)), int(round(x))]
        for n in range(24)
        for (x, y), within in zip(walker[n], inside[n], strict=True)
        if within and x < WIDTH - 1 and y < HEIGHT - 1
    ]
    assert np.mean(drawn) > 0.95


def test_the_walker_is_the_same_in_every_run():
    first, again = (images(CrossingPerson(seed=3).transform(clip(4))) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert (first != images(CrossingPerson(seed=4).transform(clip(4)))).any()


@pytest.mark.parametrize(('angle', 'moves'), [(0, (1, 0)), (np.pi / 2, (0, 1))])
def test_a_blurred_point_is_an_even_line(angle, moves):
    kernel = line_kernel(5, angle)
    wanted = np.zeros((5, 5))
    wanted[(2, slice(None)) if moves[0] else (slice(None), 2)] = 1
    np.testing.assert_array_equal(kernel > 1e-6, wanted > 0)
    line = kernel[wanted > 0]
    np.testing.assert_allclose(line, [1 / 8, 1 / 4, 1 / 4, 1 / 4, 1 / 8], atol=0.02)


def test_blur_moves_nothing():
    """The middle of a bright point stays where it is, whatever the direction."""
    for seed in range(4):
        image = np.zeros((41, 41, 3), np.uint8)
        image[20, 20] = 255
        blurred = MotionBlur(9, seed).transform(dict(video='a', frames=[dict(img=image)]))
        weights = blurred['frames'][0]['img'][..., 0].astype(float)
        y, x = np.mgrid[:41, :41]
        centre = np.array([(weights * x).sum(), (weights * y).sum()]) / weights.sum()
        np.testing.assert_allclose(centre, [20, 20], atol=0.15)
        assert 5 <= max(np.ptp(np.nonzero(weights)[0]), np.ptp(np.nonzero(weights)[1])) + 1 <= 9
    whole = MotionBlur(1).transform(clip(2))
    assert (images(whole) == PICTURE).all()


@pytest.mark.parametrize('length', [0, 4])
def test_even_blurs_are_refused(length):
    with pytest.raises(SettingError, match=f'MotionBlur: length must be odd.*got {length}'):
        MotionBlur(length)
