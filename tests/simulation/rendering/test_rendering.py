"""Rendered clips: reproducible, and labelled as they look."""

import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest

from rpstn.simulation import MOTIONS, CachedReader, SyntheticReader
from rpstn.simulation.athletes.body import PART
from rpstn.simulation.clips.annotated import JOINT_NAMES
from rpstn.simulation.clips.reader import animate
from rpstn.simulation.rendering.surfaces import capsule_surface, ellipsoid_surface
from rpstn.simulation.rendering.visibility import own_parts
from rpstn.video.readers import FrameReader, UnreadableFrameError

NAMES = JOINT_NAMES['penn13']


def reader(seed=0, **kwargs) -> SyntheticReader:
    return SyntheticReader((7, seed), **{'num_frames': 16, 'image_size': (128, 144), **kwargs})


def _read(task):
    return [frame.tobytes() for frame in task[0].read(task[1])]


def test_the_same_pixels_in_any_order_and_process():
    r = reader(occluder_prob=1.0)
    assert isinstance(r, FrameReader)
    frames = r.read(range(16))
    assert frames[0].shape == (144, 128, 3) and frames[0].dtype == np.uint8
    animate.cache_clear()
    shuffled = [9, 3, 9, 0, 15]
    again = r.read(shuffled)
    assert all((frames[i] == image).all() for i, image in zip(shuffled, again, strict=True))
    again[0][:] = 0  # repeats are copies
    assert again[2].any()
    with ProcessPoolExecutor(1, mp_context=get_context('spawn')) as pool:
        elsewhere = pool.submit(_read, (r, [15, 2])).result()
    assert elsewhere == [frames[15].tobytes(), frames[2].tobytes()]
    assert len(pickle.dumps(r)) < 1000


def test_seeds_differ_and_frames_move():
    a, b = (reader(seed, occluder_prob=0).read([0, 8]) for seed in (1, 2))
    assert (a[0] != b[0]).mean() > 0.5
    assert np.abs(a[0].astype(int) - a[1]).max() > 40


def test_frames_out_of_range_are_refused():
    with pytest.raises(UnreadableFrameError, match=r'synthetic:7-0.*\[0, 16\).*16'):
        reader().read([16])


def test_cached_reader_gives_the_same_and_forgets():
    plain, cached = reader(), CachedReader(reader(), limit_mb=1)
    for indices in ([1, 1, 5], [5, 9], list(range(16))):
        for a, b in zip(plain.read(indices), cached.read(indices), strict=True):
            np.testing.assert_array_equal(a, b)
            b[:] = 0  # what was handed out is not the cache's own


@pytest.mark.parametrize('motion', MOTIONS)
def test_labels_say_what_the_part_map_shows(motion):
    """The map comes from the rasterizer, the labels from single lines of sight."""
    hidden = shown = 0
    for seed in range(6):
        r = reader(seed, motions=(motion,), occluder_prob=0.5)
        keypoints, labelled, occluded = r.joints(NAMES)
        scene = animate(r).scene
        for frame in range(0, 16, 3):
            parts = scene.part_map(frame)
            for k, name in enumerate(NAMES):
                x, y = np.rint(keypoints[frame, k]).astype(int)
                inside = 0 <= x < 128 and 0 <= y < 144
                assert labelled[frame, k] == inside
                if not inside:
                    assert not occluded[frame, k]
                    continue
                assert (parts[y, x] in own_parts(name)) == (not occluded[frame, k])
                hidden, shown = hidden + occluded[frame, k], shown + (not occluded[frame, k])
    assert hidden > 20 and shown > 100


def test_the_part_map_shows_in_the_picture():
    """Painted one colour per part, without blur or noise, the picture is the map."""
    r = reader(3, occluder_prob=0, motion_blur=False)
    scene = animate(r).scene
    parts = scene.part_map(4)
    for part in ('left_thigh', 'head', 'right_forearm'):
        before = scene.render(4).astype(int)
        palette = scene.look.palette
        rows = slice(PART[part] * 8, PART[part] * 8 + 8)
        kept = palette[rows].copy()
        palette[rows] = 255 - kept
        changed = np.abs(scene.render(4).astype(int) - before).max(-1) > 0
        palette[rows] = kept
        own = parts == PART[part]
        assert own.sum() > 10
        assert changed[own].mean() > 0.9
        near = np.pad(own, 4)
        near = np.any(
            [np.roll(near, (i, j), (0, 1)) for i in range(-3, 4) for j in range(-3, 4)], 0
        )[4:-4, 4:-4]
        assert not changed[~near].any()


def test_occluders_hide_joints_and_cover_them_in_the_picture():
    """The same clip with and without its occluders: what they hide looks different there."""
    hides = 0
    for seed in range(12):
        with_one, without = (reader(seed, occluder_prob=p, motion_blur=False) for p in (1, 0))
        if not animate(with_one).scene.occluders:
            continue
        keypoints, labelled, occluded = with_one.joints(NAMES)
        np.testing.assert_array_equal(keypoints, without.joints(NAMES)[0])
        more = occluded & ~without.joints(NAMES)[2]
        assert not (without.joints(NAMES)[2] & ~occluded).any()
        changed = np.abs(
            np.stack(with_one.read(range(16))).astype(int) - np.stack(without.read(range(16)))
        ).max(-1)
        for frame, k in np.argwhere(more):
            x, y = np.rint(keypoints[frame, k]).astype(int)
            hides += 1
            assert changed[frame, max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2].max() > 0
    assert hides > 40


def test_left_and_right_as_the_camera_sees_them():
    for seed in range(6):
        for azimuth, sign in ((0.0, 1), (np.pi, -1)):
            r = reader(
                seed,
                motions=('jumping_jack', 'squat'),
                azimuth=azimuth,
                elevation=0.1,
                occluder_prob=0,
            )
            keypoints, _, occluded = r.joints(NAMES)
            for joint in ('shoulder', 'hip', 'knee', 'ankle'):
                left, right = (
                    keypoints[:, NAMES.index(f'{s}_{joint}'), 0] for s in ('left', 'right')
                )
                # Facing the camera, the left side is on the picture's right.
                assert (sign * (left - right) > 0).all()
        for azimuth, far in ((np.pi / 2, 'right'), (-np.pi / 2, 'left')):
            r = reader(seed, motions=('squat',), azimuth=azimuth, elevation=0.0, occluder_prob=0)
            near = 'left' if far == 'right' else 'right'
            occluded = r.joints(NAMES)[2]
            side = {
                s: occluded[:, [NAMES.index(f'{s}_{j}') for j in ('shoulder', 'hip')]].mean()
                for s in (near, far)
            }
            assert side[far] > 0.6 and side[far] > side[near] + 0.3


def test_keypoints_lie_on_the_projected_skeleton():
    r = reader(2, camera_movement=2.0)
    skeleton, camera = animate(r).skeleton, animate(r).camera
    keypoints = r.joints(NAMES)[0]
    seen = (skeleton['left_knee'] - camera.position) @ camera.rotation.T
    plain = camera.focal * seen[:, :2] / seen[:, 2:] + camera.centre
    for i in range(16):
        moved = camera.affine[i] @ [*plain[i], 1]
        np.testing.assert_allclose(keypoints[i, NAMES.index('left_knee')], moved, atol=1e-3)


def test_surfaces_are_the_nearest_points_of_their_solids():
    """Against a search along the line of sight."""
    rng = np.random.default_rng(0)
    z = np.linspace(-60, 60, 24001)
    checked = 0
    for _ in range(60):
        a, b = rng.uniform(-12, 12, (2, 3))
        radius = rng.uniform(2, 8)
        px, py = rng.uniform(-12, 12, 2)
        hit, depth, _, normal = capsule_surface(px, py, *a, *b, radius, radius)
        points = np.stack([np.full_like(z, px), np.full_like(z, py), z], -1)
        t = np.clip((points - a) @ (b - a) / ((b - a) @ (b - a)), 0, 1)
        inside = np.linalg.norm(points - a - t[:, None] * (b - a), axis=1) < radius
        if inside.sum() > 3:
            assert hit
            assert abs(depth - z[inside][0]) < 0.02
            assert abs(np.linalg.norm(normal) - 1) < 1e-3
            checked += 1
        axes = np.linalg.qr(rng.normal(size=(3, 3)))[0] * rng.uniform(2, 12, 3)
        inverse = np.linalg.inv(axes)
        hit, depth, ball = ellipsoid_surface(px, py, a, inverse)
        inside = np.linalg.norm((points - a) @ inverse.T, axis=1) < 1
        if inside.sum() > 3:
            assert hit
            assert abs(depth - z[inside][0]) < 0.02
            np.testing.assert_allclose(np.linalg.norm(ball), 1, atol=1e-6)
    assert checked > 15
