"""Which frames of a set the classifiers see of each repetition."""

import numpy as np

from rpstn.assess.forms import FormReader
from rpstn.form.classifier import FormPrediction
from rpstn.form.exercises import load_exercise
from rpstn.form.repetitions import Repetition
from rpstn.lift.structures import Joints3D
from rpstn.skeletons import get_skeleton


def repetition(start, end) -> Repetition:
    return Repetition(start, (start + end) // 2, end, False, 1.0, 0.0, 1.0)


def test_a_repetition_is_seen_with_the_standing_around_it():
    alone = [repetition(50, 100)]
    assert FormReader._around(alone, 0, 300) == slice(30, 121)
    assert FormReader._around(alone, 0, 110) == slice(30, 110)
    assert FormReader._around([repetition(10, 60)], 0, 300) == slice(0, 81)


def test_but_not_with_its_neighbours():
    three = [repetition(20, 60), repetition(64, 100), repetition(180, 220)]
    assert FormReader._around(three, 1, 300) == slice(62, 115)
    assert FormReader._around(three, 0, 300) == slice(4, 63)


def test_a_fault_that_the_view_does_not_show_is_not_named():
    reader = FormReader(load_exercise('squat'))
    still = np.tile(np.float32([0.0, 1.0, 0.0]), (60, 33, 1))
    still += np.random.default_rng(0).normal(size=(1, 33, 3)).astype(np.float32) * 0.3
    joints = Joints3D(
        still,
        np.ones((60, 33)),
        np.arange(60) / 30,
        np.arange(60),
        get_skeleton('blazepose33'),
        source='file',
        scale='metric',
        upright=True,
    )
    heels = {'heels lifting', 'toes lifting'}
    assert set(reader(joints, [repetition(10, 50)], 'front').whole.unseen) == heels
    assert not reader(joints, [repetition(10, 50)], 'oblique').whole.unseen


def test_what_is_not_named_stays_in_sight():
    form = FormPrediction({'good': 0.2, 'heels lifting': 0.8}, 0.5, ('good',), ('heels lifting',))
    assert form.label == 'unsure' and form.best == 'heels lifting'
