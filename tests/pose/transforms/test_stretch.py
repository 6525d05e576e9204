"""The box stretched to the input, as the release cuts it out."""

import cv2
import numpy as np
import pytest

from rpstn.pose.transforms import TopdownStretch


def results(box: tuple[float, float, float, float], **more) -> dict:
    x1, y1, x2, y2 = box
    image = cv2.GaussianBlur(
        np.random.RandomState(0).randint(0, 256, (120, 160, 3)).astype(np.uint8), (0, 0), 5
    )
    return dict(
        img=image,
        bbox_center=np.array([[(x1 + x2) / 2, (y1 + y2) / 2]], np.float32),
        bbox_scale=np.array([[x2 - x1, y2 - y1]], np.float32),
        keypoints=np.array([[[x1, y1], [x2, y2], [x2, y1]]], np.float32),
        **more,
    )


def test_corners_of_the_box_become_corners_of_the_input():
    out = TopdownStretch((64, 128))(results((20, 10, 120, 60)))
    assert out['img'].shape == (128, 64, 3)
    np.testing.assert_allclose(
        out['transformed_keypoints'], [[[0, 0], [64, 128], [64, 0]]], atol=1e-3
    )
    np.testing.assert_array_equal(out['keypoints'], [[[20, 10], [120, 60], [120, 10]]])
    np.testing.assert_array_equal(out['input_scale'], [100, 50])  # with which MMPose maps back
    np.testing.assert_array_equal(out['input_center'], [70, 35])
    assert out['input_size'] == (64, 128)


def test_the_image_is_what_resizing_the_crop_gives():
    data = results((20, 10, 120, 60))
    expected = cv2.resize(data['img'][10:60, 20:120], (128, 128)).astype(float)
    out = TopdownStretch((128, 128))(data)['img'].astype(float)
    assert np.abs(out - expected)[4:-4, 4:-4].mean() < 3  # half a pixel apart by convention


@pytest.mark.parametrize('angle', [30.0, -100.0])
def test_a_rotation_turns_the_box_before_it_is_stretched(angle):
    out = TopdownStretch([64, 128])(
        results((20, 10, 120, 60), bbox_rotation=np.array([angle], np.float32))
    )
    turn = np.deg2rad(angle)
    for corner, found in zip([(-50, -25), (50, 25), (50, -25)], out['transformed_keypoints'][0]):
        x = np.cos(turn) * corner[0] + np.sin(turn) * corner[1]
        y = -np.sin(turn) * corner[0] + np.cos(turn) * corner[1]
        np.testing.assert_allclose(found, [(x / 100 + 0.5) * 64, (y / 50 + 0.5) * 128], atol=1e-2)
