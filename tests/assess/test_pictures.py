"""What is drawn on the frames, and which faces are not seen any more."""

from dataclasses import replace

import cv2
import numpy as np

from rpstn.assess.pictures import Painter, fitting, write
from rpstn.video.frames import open_frames

FACE = ('nose', 'left_eye', 'right_eye', 'left_mouth', 'right_mouth')


def detail(image):
    return float(cv2.Laplacian(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.CV_64F).var())


def test_small_videos_are_enlarged_and_the_person_is_in_the_crop(assessment):
    painter = Painter(assessment)
    assert painter.size == (480, 852)
    rows, columns = painter.crop
    inside = assessment.track.keypoints[assessment.track.scores >= 0.2] * painter.scale
    assert (inside >= (columns.start, rows.start)).all()
    assert (inside <= (columns.stop, rows.stop)).all()


def test_what_is_drawn_is_trusted_by_the_models_own_threshold(assessment):
    image = np.full((426, 240, 3), 128, np.uint8)
    track = assessment.track
    assert 0.2 < track.kpt_thr < 1
    fainter = replace(track, scores=np.full_like(track.scores, track.kpt_thr - 0.01))
    hidden, drawn = (
        Painter(replace(assessment, track=one))(image, int(track.frames[0]), caption=False)
        for one in (fainter, replace(fainter, kpt_thr=0.2))
    )
    assert (hidden == 128).all() and (drawn != 128).any()


def test_faces_are_blurred_and_nothing_else(assessment, video):
    frame = next(iter(open_frames(video)))
    noise = np.random.default_rng(0).integers(0, 256, frame.image.shape, np.uint8)
    plain, blurred = (Painter(assessment, blur) for blur in (False, True))
    for painter in (plain, blurred):
        painter._draw = lambda image, row: None  # the skeleton hides what is under it
    seen, hidden = (painter(noise, 0, caption=False) for painter in (plain, blurred))
    joints = assessment.track.skeleton.joints
    points = assessment.track.keypoints[0] * plain.scale
    for name in FACE:
        x, y = points[joints.index(name)].astype(int)
        part = slice(y - 5, y + 6), slice(x - 5, x + 6)
        assert detail(hidden[part]) < 0.01 * detail(seen[part]), name
    hips = int(points[joints.index('left_hip'), 1])
    assert (seen[hips:] == hidden[hips:]).all()


def test_where_the_face_is_not_known_all_is_blurred(assessment):
    noise = np.random.default_rng(0).integers(0, 256, (426, 240, 3), np.uint8)
    shown, hidden = (
        Painter(assessment, blur)(noise, 10**6, caption=False) for blur in (False, True)
    )
    assert detail(hidden) < 0.01 * detail(shown)


def test_count_phase_and_angle_are_written(assessment, video):
    painter = Painter(assessment)
    bottom = assessment.repetitions[0].bottom
    index = int(assessment.track.frames[bottom])
    image = np.full((426, 240, 3), 128, np.uint8)
    with_text, without = painter(image, index), painter(image, index, caption=False)
    changed = (with_text != without).any(-1)
    assert changed[:140, :400].any() and not changed[200:].any()


def test_letters_are_as_large_as_fits():
    image = np.zeros((40, 300, 3), np.uint8)
    text = 'Go down until the thighs are level'
    size = fitting(text, 30, 280)
    write(image, text, (10, 5), size)
    assert not image[:, 292:].any() and image[:, 250:290].any()
    assert fitting('Go', 30, 280) == 30 and fitting(text, 30, 1) == 8


def test_letters_that_do_not_fit_are_cut_off():
    image = np.zeros((20, 30, 3), np.uint8)
    write(image, 'far too long for this', (10, 5), 14)
    assert image[:, 10:].any() and not image[:, :10].any()
    write(image, 'outside', (40, 40), 14)
