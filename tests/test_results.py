"""The one type of answers: unpacked, drawn, as plain values and back."""

import dataclasses
import json
import math

import numpy as np
import pytest
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from rpstn import choices
from rpstn.inference.answered_joints import ANSWERS
from rpstn.pose.datasets.metainfo import JHMDB15
from rpstn.results import FrameResult, PersonResult, nameless

META = parse_pose_metainfo(JHMDB15)
RNG = np.random.default_rng(0)


def person(number: int, state: str = 'tracked') -> PersonResult:
    box = RNG.uniform(0, 50, 4).astype(np.float32)
    return PersonResult(
        number,
        box,
        RNG.uniform(10, 90, (15, 2)),
        RNG.uniform(size=15),
        state,
        META,
        float(RNG.uniform(-180, 180)),
    )


def test_a_frame_unpacks_to_joints_and_scores():
    people = (person(0), person(3))
    keypoints, scores = FrameResult(0, 0.0, people, meta=META)
    assert keypoints.shape == (2, 15, 2) and scores.shape == (2, 15)
    assert (keypoints[1] == people[1].keypoints).all() and (scores[0] == people[0].scores).all()
    nobody, unsure = FrameResult(0, 0.0, (), meta=META)
    assert nobody.shape == (0, 15, 2) and unsure.shape == (0, 15)


def test_results_cannot_be_changed():
    for result in (person(0), FrameResult(0, 0.0, ())):
        with pytest.raises(dataclasses.FrozenInstanceError):
            result.meta = {}


@pytest.mark.parametrize('time', [0.1 + 0.2, math.nan])
def test_plain_values_come_back_to_the_last_digit(time):
    result = FrameResult(7, time, (person(0, 'started'), person(2, 'lost')), meta=META)
    text = json.dumps(result.to_dict(), allow_nan=False)
    again = FrameResult.from_dict(json.loads(text), META)
    assert (again.index, again.time) == (7, pytest.approx(time, rel=0, abs=0, nan_ok=True))
    for ours, theirs in zip(result.people, again.people, strict=True):
        assert (ours.id, ours.state, ours.lost) == (theirs.id, theirs.state, theirs.lost)
        assert ours.rotation == theirs.rotation != 0
        for name in ('box', 'keypoints', 'scores'):
            assert getattr(ours, name).dtype == getattr(theirs, name).dtype
            np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))


def test_everybody_is_drawn_and_nobody_else():
    image = np.zeros((100, 100, 3), np.uint8)
    sure = dataclasses.replace(person(0), scores=np.ones(15))
    alone = sure.draw(image.copy())
    assert alone.any()
    both = FrameResult(
        0, 0.0, (sure, dataclasses.replace(sure, id=1, keypoints=sure.keypoints / 2))
    )
    drawn = both.draw(image)
    assert drawn is image and (drawn != alone).any()
    left_out = dataclasses.replace(sure, scores=np.full(15, 0.19), box=np.zeros(4))
    assert not left_out.draw(np.zeros_like(image))[5:, 5:].any()
    # By the score from which the model's joints are trusted, which the meta says.
    for threshold, drawn in ((0.19, True), (0.399, False)):
        own = dataclasses.replace(left_out, meta=dict(META, kpt_thr=threshold))
        found = FrameResult(0, 0.0, (own,), np.zeros_like(image)).draw()
        assert found[5:, 5:].any() == drawn
    assert own.draw(np.zeros_like(image), kpt_thr=0.1)[5:, 5:].any()
    with pytest.raises(ValueError, match='frame 4: an image to draw on is needed'):
        FrameResult(4, 0.0, ()).draw()


def test_joints_without_names_are_dots():
    dots = dataclasses.replace(person(0), scores=np.ones(15), meta={})
    assert nameless(15)['keypoint_id2name'][14] == 'joint_14'
    image = dots.draw(np.zeros((100, 100, 3), np.uint8))
    for x, y in np.rint(dots.keypoints).astype(int):
        assert (image[y, x] > 200).all()


def test_what_may_be_chosen_is_what_there_is():
    assert tuple(ANSWERS) == choices.JOINTS


def test_plain_values_of_older_versions_are_read():
    plain = person(0).to_dict()
    del plain['rotation']
    assert PersonResult.from_dict(plain).rotation == 0
