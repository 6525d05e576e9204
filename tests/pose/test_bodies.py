"""Bodies, and crops about them: a planted pattern comes back at every angle."""

import numpy as np
import pytest

from rpstn.errors import SettingError
from rpstn.pose.bodies import BodyJoints, body_of_box, circle_radius
from rpstn.pose.crops import Crop, Cropper
from rpstn.pose.transforms import ClipBody
from rpstn.skeletons import get_skeleton

JHMDB = get_skeleton('jhmdb15')
PARTS = BodyJoints.of(JHMDB.joints)
# Upright, hips about (100, 100): x, y of each joint.
UPRIGHT = {
    'neck': (100, 62), 'belly': (100, 80), 'head': (100, 50),
    'right_shoulder': (88, 65), 'left_shoulder': (112, 65),
    'right_hip': (92, 100), 'left_hip': (108, 100),
    'right_elbow': (80, 80), 'left_elbow': (120, 80),
    'right_knee': (92, 130), 'left_knee': (108, 130),
    'right_wrist': (78, 98), 'left_wrist': (122, 98),
    'right_ankle': (92, 160), 'left_ankle': (108, 160),
}  # fmt: skip
STANDING = np.array([UPRIGHT[name] for name in JHMDB.joints], float)
ALL = np.ones(15, bool)


def turned(degrees: float) -> np.ndarray:
    """The standing body, turned clockwise about its hips as it is seen on the screen."""
    a = np.deg2rad(degrees)
    matrix = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])  # x to y: y points down
    return (STANDING - 100) @ matrix.T + 100


@pytest.mark.parametrize('degrees', [0, 30, 90, 179, -45, -120])
def test_center_radius_and_angle_are_those_of_the_body(degrees):
    body = PARTS.body(turned(degrees), ALL)
    assert body.center == pytest.approx([100, 100])
    assert body.radius == pytest.approx(np.hypot(8, 60))
    assert np.degrees(body.angle) == pytest.approx(degrees)


@pytest.mark.parametrize('wild', [1, 2])
def test_one_or_two_wild_joints_make_no_large_crop(wild):
    joints = STANDING.copy()
    joints[[JHMDB.index('right_wrist'), JHMDB.index('left_wrist')][:wild]] = (900, -700)
    radius = PARTS.body(joints, ALL).radius
    assert np.hypot(8, 60) <= radius <= 1.5 * np.hypot(8, 60)


def test_a_stretched_arm_is_held():
    joints = STANDING.copy()
    joints[JHMDB.index('right_wrist')] = (100 - 75, 100)
    assert PARTS.body(joints, ALL).radius == pytest.approx(75)


def test_without_hips_or_shoulders_a_body_counts_as_upright():
    lying = turned(90)
    for parts in ('hip', 'shoulder'):
        used = np.array([not name.endswith(parts) for name in JHMDB.joints])
        body = PARTS.body(lying, used)
        assert body.angle == 0
        assert np.linalg.norm(lying[used] - body.center, axis=1).max() <= body.radius + 1e-9
    one = np.array([name != 'left_hip' for name in JHMDB.joints])
    assert PARTS.body(lying, one).center == pytest.approx(lying[JHMDB.index('right_hip')])


def test_with_fewer_than_three_joints_there_is_no_body():
    assert PARTS.body(STANDING, np.arange(15) < 2) is None
    assert PARTS.body(STANDING, np.arange(15) < 3) is not None


def test_joints_without_hips_are_refused():
    with pytest.raises(SettingError, match='no left_hip, right_hip among'):
        BodyJoints.of(['left_shoulder', 'right_shoulder', 'nose'])


def test_points_upon_each_other_leave_a_circle():
    assert circle_radius(np.zeros((5, 2)), np.zeros(2)) == 1.0


def test_a_box_gives_an_upright_body():
    body = body_of_box(np.array([10, 20, 50, 120]))
    assert (body.center.tolist(), body.radius, body.angle) == ([30, 70], 50, 0)


@pytest.mark.parametrize('use_udp', [False, True])
@pytest.mark.parametrize('degrees', range(-180, 180, 15))
def test_a_planted_pattern_comes_back_from_every_angle(degrees, use_udp):
    # Each joint a soft dot of its own image, cut out upright and looked for there.
    joints = turned(degrees) + [40.3, 30.6]
    cropper = Cropper((256, 256), upright=True, use_udp=use_udp)
    crop = cropper.crop_body(PARTS.body(joints, ALL))
    rows, columns = np.mgrid[:300, :320]
    for joint, upright in zip(joints[::4], STANDING[::4]):
        dot = np.exp(-((columns - joint[0]) ** 2 + (rows - joint[1]) ** 2) / (2 * 3**2))
        seen = crop.cut((255 * dot).astype(np.float32))
        weights = np.maximum(seen - 10, 0)
        y, x = (np.sum(grid * weights) / weights.sum() for grid in np.mgrid[:256, :256])
        scale = 256 / (2 * 1.25 * np.hypot(8, 60))
        assert np.linalg.norm((x, y) - ((upright - 100) * scale + 128)) < 0.5 * scale
        if use_udp:
            # MMPose's unbiased codecs take pixel W - 1 to W.
            x, y = np.array([x, y]) * 256 / 255
        assert np.linalg.norm(crop.to_image(np.array([x, y])) - joint) < 0.5


def clip(*poses: np.ndarray) -> dict:
    return dict(
        frames=[
            dict(
                keypoints=pose[None].astype(np.float32),
                keypoints_visible=np.ones((1, 15), np.float32),
                bbox=np.array([[10, 20, 50, 120]], np.float32),
            )
            for pose in poses
        ]
    )


def test_clips_are_cut_by_their_labels_or_those_of_the_frame_before():
    poses = STANDING, turned(40) + 10, turned(80) + 30
    for lag, wanted in ((False, (0, 40, 80)), (True, (0, 0, 40))):
        frames = ClipBody('jhmdb15', lag=lag).transform(clip(*poses))['frames']
        assert [float(f['bbox_rotation'][0]) for f in frames] == pytest.approx(wanted, abs=1e-4)
        shift = 10 if lag else 30
        assert frames[2]['bbox_center'][0] == pytest.approx([100 + shift] * 2, abs=1e-4)
        assert frames[2]['bbox_scale'][0] == pytest.approx([2.5 * np.hypot(8, 60)] * 2)


def test_the_transform_cuts_what_streaming_cuts():
    pose = turned(25) + 3
    frame = ClipBody('jhmdb15', padding=1.4).transform(clip(pose))['frames'][0]
    crop = Cropper((256, 256), padding=1.4, upright=True).crop_body(PARTS.body(pose, ALL))
    theirs = Crop(
        frame['bbox_center'][0], frame['bbox_scale'][0], (256, 256), frame['bbox_rotation'][0]
    )
    assert theirs.matrix == pytest.approx(crop.matrix, abs=1e-3)


def test_a_frame_without_labels_is_cut_out_by_its_box():
    results = clip(STANDING)
    results['frames'][0]['keypoints_visible'][:] = 0
    frame = ClipBody('jhmdb15').transform(results)['frames'][0]
    assert frame['bbox_center'][0].tolist() == [30, 70]
    assert frame['bbox_scale'][0].tolist() == [125, 125]
    assert frame['bbox_rotation'][0] == 0


def test_what_is_drawn_stays_in_its_limits_and_differs_from_clip_to_clip():
    np.random.seed(0)
    jitter = ClipBody(
        'jhmdb15', scale_factor=(0.8, 1.5), rotate_factor=10, shift_factor=0.03, wobble=0
    )
    plain = 2.5 * np.hypot(8, 60)
    drawn = []
    for _ in range(200):
        frames = jitter.transform(clip(STANDING, STANDING))['frames']
        first, second = (
            [f['bbox_scale'][0, 0], f['bbox_rotation'][0], *f['bbox_center'][0]] for f in frames
        )
        assert first == second
        drawn.append(first)
    scale, rotation, x, y = np.array(drawn).T
    assert 0.8 <= scale.min() / plain < 0.85 and 1.4 < scale.max() / plain <= 1.5
    assert np.abs(rotation).max() <= 20 and np.std(rotation) == pytest.approx(9, abs=1.5)
    for shift in ((x - 100) / scale, (y - 100) / scale):
        assert np.abs(shift).max() <= 0.06 + 1e-6 and np.std(shift) == pytest.approx(
            0.027, abs=0.005
        )


def test_frames_of_a_clip_wobble():
    np.random.seed(0)
    jitter = ClipBody('jhmdb15', rotate_factor=10, wobble=0.2)
    turns = np.array(
        [
            [f['bbox_rotation'][0] for f in jitter.transform(clip(STANDING, STANDING))['frames']]
            for _ in range(100)
        ]
    )
    assert 0 < np.abs(turns[:, 0] - turns[:, 1]).max() <= 0.2 * 40


@pytest.mark.parametrize('factors', [(0, 1), (2, 1)])
def test_scales_that_are_none_are_refused(factors):
    with pytest.raises(SettingError, match='scale_factor must be two factors'):
        ClipBody('jhmdb15', scale_factor=factors)
