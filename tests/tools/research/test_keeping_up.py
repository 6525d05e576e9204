"""Pictures of the camera that live counting is measured with: their numbers, and their times."""

import time
from itertools import islice

import cv2
import numpy as np
from live.keeping_up import SQUAT, Camera, fitted, number_in, numbered


def test_numbers_come_back_from_pictures_that_were_encoded_and_scaled():
    rng = np.random.default_rng(0)
    for number in (0, 1, 513, 1023):
        image = numbered(rng.integers(0, 256, (480, 640, 3), np.uint8), number)
        for _ in range(2):  # by the camera, and by who has drawn on it
            image = cv2.imdecode(cv2.imencode('.jpg', image)[1], cv2.IMREAD_COLOR)
        assert number_in(image) == number_in(cv2.resize(image, (540, 405))) == number


def test_a_clip_fits_whole():
    image = fitted(np.zeros((426, 240, 3), np.uint8), (640, 480))
    assert image.shape == (480, 640, 3)
    assert (image[:, 200:440] == 0).all() and (image[:, :180] == 128).all()


def test_the_clip_is_shown_at_its_own_speed():
    camera = Camera(SQUAT, 20.0, (64, 48))
    assert camera.loop == round(46 / 12.5 * 20)
    began = time.monotonic()
    assert len(list(islice(camera.parts(), 5))) == len(camera.sent) == 5
    assert 0.19 < time.monotonic() - began < 2  # four pauses
    assert (np.diff(camera.sent) > 0.045).all()
