"""Which frames of a set the classifiers see of each repetition."""

from rpstn.assess.forms import FormReader
from rpstn.form.repetitions import Repetition


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
