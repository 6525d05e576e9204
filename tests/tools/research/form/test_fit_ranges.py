"""The area under the ROC curve that fit_ranges.py prints, and turning in angle_errors.py."""

import numpy as np
import pytest

import rpstn  # noqa: F401 (first: makes the OpenMMLab stack work)


def test_the_area_is_the_share_of_pairs_in_order(monkeypatch):
    monkeypatch.syspath_prepend('tools/research/form')
    from fit_ranges import area

    assert area([2, 3], [0, 1]) == 1 and area([0], [1]) == 0 and area([1], [1]) == 0.5
    assert area([1, 3, np.nan], [2, 0]) == pytest.approx(0.75)
    assert np.isnan(area([], [1]))


def test_turned_joints_face_where_they_should(monkeypatch):
    monkeypatch.syspath_prepend('tools/research/form')
    from angle_errors import AZIMUTHS, squat, turned

    from rpstn.form.angles import azimuth, view_of

    joints, course = squat(np.random.default_rng(0))
    assert course.max() == 1
    for view, degrees in AZIMUTHS.items():
        seen = azimuth(turned(joints, degrees), 'mediapipe33')
        assert view_of(seen) == view and np.median(seen) == pytest.approx(degrees, abs=1)
