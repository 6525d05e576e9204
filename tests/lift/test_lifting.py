"""From what inference answers to joints in space, by the one door; and what it refuses."""

import math
from dataclasses import replace

import numpy as np
import pytest

from rpstn.errors import SettingError
from rpstn.lift import SOURCES, Joints3D, LiftError, Track, lift, longest_track, tracks_of
from rpstn.results import FrameResult, PersonResult, peaks_of

from squat_bodies import HEIGHT, SKELETON, joints_of, rotation, squat

META = dict(keypoint_id2name=dict(enumerate(SKELETON.joints)))


def results(poses: np.ndarray, image: bool = True) -> list[FrameResult]:
    """What inference answers of a body (T, 33, 3), and of somebody else in the first frames."""
    found = []
    for n, pose in enumerate(poses):
        world = pose * (1, -1, -1)
        scores = np.where(np.isfinite(pose).all(-1), 1.02, 0.0)
        person = PersonResult(
            1, np.zeros(4), 100 * np.nan_to_num(world[:, :2]), scores, meta=META, world=world
        )
        others = (replace(person, id=0),) if n < 3 else ()
        picture = np.zeros((48, 64, 3), np.uint8) if image else None
        found.append(FrameResult(n, n / 25, (*others, person), picture, META))
    return found


def test_a_video_becomes_upright_joints_to_scale():
    camera = rotation('x', 12)
    tracks = tracks_of(results(0.9 * squat() @ camera.T))
    assert [len(track.frames) for track in tracks.values()] == [3, 50]
    track = longest_track(tracks)
    assert track.image_size == (64, 48) and track.skeleton is SKELETON
    joints = lift(track, height=HEIGHT, cutoff=None)
    assert (joints.source, joints.scale, joints.upright) == ('blazepose', 'height', True)
    np.testing.assert_allclose(joints.joints, squat(), atol=0.03)
    np.testing.assert_allclose(joints.joint('hip'), 0, atol=1e-12)
    assert joints.scores.max() == 1 and joints.scores[0, SKELETON.index('nose')] == 0
    np.testing.assert_allclose(joints.times, np.arange(50) / 25)


def test_nominal_metres_stay_without_a_height():
    joints = lift(longest_track(tracks_of(results(0.9 * squat()))))
    assert joints.scale == 'nominal'
    thigh = joints.joint('left_hip') - joints.joint('left_knee')
    assert np.linalg.norm(thigh[0]) == pytest.approx(0.9 * 0.245 * HEIGHT, rel=1e-3)


@pytest.mark.parametrize('share, state', [(1.0, 'lost'), (0.49, 'tracked'), (0.0, 'tracked')])
def test_the_lost_are_not_known(share, state):
    """Nor who is seen less than half as well as usual: nobody is there any more."""
    seen = results(squat())
    person = seen[20].people[0]
    person = replace(person, scores=share * person.scores, state=state)
    seen[20] = replace(seen[20], people=(person,))
    track = longest_track(tracks_of(seen))
    joints = lift(track)
    assert np.isnan(joints.joints[20]).all() and (joints.scores[20] == 0).all()
    assert np.isnan(track.keypoints[20]).all()
    assert np.isfinite(joints.joint('left_knee')[[19, 21]]).all()


def test_who_is_seen_half_as_well_as_usual_is_there():
    seen = results(squat())
    person = seen[20].people[0]
    seen[20] = replace(seen[20], people=(replace(person, scores=0.51 * person.scores),))
    assert np.isfinite(longest_track(tracks_of(seen)).keypoints[20]).any()


def test_whether_somebody_is_there_is_judged_by_peaks_whatever_the_scores():
    knots = [(0, 0), (0.2, 0.399), (0.5, 0.895), (1, 1)]
    calibrated = dict(META, kpt_thr=0.399, score_knots=knots)
    seen = [replace(result, meta=calibrated) for result in results(squat())]
    for frame, share in ((20, 0.49), (21, 0.51)):
        person = seen[frame].people[0]
        peaks = share * person.scores.clip(0, 1)
        scores = np.interp(peaks, *np.transpose(knots))
        np.testing.assert_allclose(peaks_of(scores, calibrated), peaks, atol=1e-12)
        assert peaks_of(scores, META) is scores
        seen[frame] = replace(seen[frame], people=(replace(person, scores=scores),))
    track = longest_track(tracks_of(seen))
    assert np.isnan(track.keypoints[20]).all() and np.isfinite(track.keypoints[21]).any()
    assert track.kpt_thr == 0.399
    assert longest_track(tracks_of(results(squat()))).kpt_thr == 0.2


def test_another_source_needs_only_to_be_registered():
    @SOURCES.register_module('test flat')
    class Flat:
        takes = Track

        def __init__(self, depth: float = 0.0) -> None:
            self.depth = depth

        def __call__(self, given: Track) -> Joints3D:
            places = given.keypoints * (0.01, -0.01)
            depth = np.full_like(places[..., :1], self.depth)
            return joints_of(np.concatenate([places, depth], -1), source='test flat')

    try:
        track = longest_track(tracks_of(results(squat())))
        joints = lift(track, dict(type='test flat', depth=0.5), tilt=0)
        assert joints.source == 'test flat'
        np.testing.assert_allclose(joints.joint('left_knee')[:, 2], 0.5)
    finally:
        SOURCES.module_dict.pop('test flat')


def test_what_cannot_be_lifted_is_refused_in_one_line():
    seen = results(squat())
    track = longest_track(tracks_of(seen))
    with pytest.raises(SettingError, match='must be one of blazepose, file.*got .guess'):
        lift(track, 'guess')
    for source in (None, 'blazepose'):
        if source or 'lifter' not in SOURCES.module_dict:
            with pytest.raises(LiftError, match='world=True'):
                lift(replace(track, world=None), source)
    with pytest.raises(LiftError, match='starts from Path, got Track'):
        lift(track, 'file')
    with pytest.raises(LiftError, match='no joint is known'):
        lift(replace(track, world=track.world * np.nan))
    with pytest.raises(LiftError, match='nobody was found'):
        longest_track(tracks_of([]))
    with pytest.raises(LiftError, match='no clock'):
        tracks_of([replace(result, time=math.nan) for result in seen])
    with pytest.raises(LiftError, match='of a skeleton of rpstn.skeletons'):
        tracks_of([replace(seen[0], meta=dict(keypoint_id2name={0: 'a'}))])
