"""Box to crop to joints in the image: one computation on every path, right to half a pixel."""

import cv2
import numpy as np
import pytest
import torch
from mmengine.dataset import Compose, pseudo_collate
from mmpose.registry import TRANSFORMS

from rpstn.inference.clips import predict_video
from rpstn.pose.crops import Crop, Cropper, rotate_about, transform_points
from rpstn.pose.streaming.streaming import StreamingRPSTN
from rpstn.video.frames import Frame

SIZE = (320, 240)
PLANTED = np.array([[120.3, 80.6], [141.8, 92.4], [131.0, 125.25]])
BOXES = {
    'ordinary': (60, 40, 190, 200),
    'fractional': (100.5, 60.25, 180, 150),
    'narrow': (100, 20, 150, 230),
    'wide': (30, 70, 300, 135),
    'over the upper left': (-60, -40, 200, 190),
    'over the lower right': (100, 60, 360, 290),
}
# What configs cut crops out with: MMPose's, its unbiased variant, and the authors' stretched one.
TRANSFORM = {
    'affine': (dict(type='TopdownAffine'), 'MSRAHeatmap'),
    'udp': (dict(type='TopdownAffine', use_udp=True), 'UDPHeatmap'),
    'stretch': (dict(type='TopdownStretch'), 'MSRAHeatmap'),
}
ROTATIONS = (0.0, -75.0)


@TRANSFORMS.register_module(force=True)
class TurnBox:
    """Sets the rotation that RandomBBoxTransform would draw."""

    def __init__(self, degrees: float) -> None:
        self.degrees = degrees

    def __call__(self, results: dict) -> dict:
        return dict(results, bbox_rotation=np.array([self.degrees], np.float32))


@pytest.fixture(params=TRANSFORM)
def kind(request) -> str:
    return request.param


@pytest.fixture(params=BOXES)
def box(request) -> np.ndarray:
    return np.array(BOXES[request.param], np.float32)


def cut_by_pipeline(
    model, image: np.ndarray, box: np.ndarray, degrees: float = 0.0, extra: tuple[dict, ...] = ()
) -> dict:
    """The packed frame that the model's own pipeline makes, with joints where they are planted."""

    class Reader:
        path = 'planted'

        def read(self, indices):
            return [image.copy() for _ in indices]

    load, choose, each, pack = model.cfg.test_dataloader.dataset.pipeline
    inner = [dict(type='TurnBox', degrees=degrees), *each['transforms'], *extra]
    frame = dict(
        frame_index=0,
        img_path='planted#0',
        img_id=0,
        padded=False,
        bbox=box[None],
        bbox_score=np.ones(1, np.float32),
        keypoints=PLANTED[None].astype(np.float32),
        keypoints_visible=np.ones((1, 3), np.float32),
        id=0,
    )
    pipeline = Compose(
        [
            TRANSFORMS.build(step)
            for step in (
                load,
                choose,
                dict(type='ForEachFrame', transforms=inner),
                dict(type='PackClipInputs', pack_transformed=True),
            )
        ]
    )
    return pipeline(dict(video='planted', reader=Reader(), image_size=SIZE, frames=[frame]))


def centroids(crop: np.ndarray) -> np.ndarray:
    """(3, 2) centres of the coloured dots of an image, from scratch."""
    y, x = np.indices(crop.shape[:2])
    weights = crop.astype(float)
    return (
        np.stack([(weights * x[..., None]).sum((0, 1)), (weights * y[..., None]).sum((0, 1))], -1)
        / weights.sum((0, 1))[:, None]
    )


def radius(box: np.ndarray) -> float:
    """Of dots that are about 5 pixels wide in a crop of 128."""
    return max(2.0, 5 * (box[2:] - box[:2]).max() * 1.25 / 128)


@pytest.mark.parametrize('degrees', ROTATIONS)
@pytest.mark.parametrize('input_size', [(128, 128), (96, 160)], ids=str)
def test_a_crop_is_the_pipelines_to_the_pixel(dot_model, kind, box, degrees, input_size):
    transform, codec = TRANSFORM[kind]
    model = dot_model(transform, codec, input_size)
    image = np.random.default_rng(0).integers(0, 255, (*SIZE[::-1], 3), np.uint8)
    packed = cut_by_pipeline(model, image, box, degrees)
    crop = Cropper.from_config(model.cfg).crop(box, degrees)
    np.testing.assert_array_equal(crop.cut(image).transpose(2, 0, 1), packed['inputs'][0].numpy())
    meta = packed['data_samples'].frames[0].metainfo
    np.testing.assert_array_equal(crop.center, meta['input_center'])
    np.testing.assert_array_equal(crop.scale, meta['input_scale'])


@pytest.mark.parametrize('degrees', ROTATIONS)
def test_training_knows_where_the_dots_went(dot_model, dots, kind, box, degrees):
    """Dots seen in the crop, joints carried along with it, and the target's peaks are one."""
    transform, codec = TRANSFORM[kind]
    model = dot_model(transform, codec, padding=2.5)  # all dots within the crop
    coding = model.cfg.model.head.decoder
    packed = cut_by_pipeline(
        model,
        dots(PLANTED, 2 * radius(box), SIZE),
        box,
        degrees,
        (dict(type='GenerateTarget', encoder=coding),),
    )
    frame = packed['data_samples'].frames[0]
    joints = frame.gt_instances.transformed_keypoints[0]
    seen = centroids(packed['inputs'][0].numpy().transpose(1, 2, 0))
    crop = Cropper.from_config(model.cfg).crop(box, degrees)
    corners = crop.to_image(np.array([[0, 0], [128, 0], [128, 128], [0, 128]]))
    if ((corners >= 0) & (corners < SIZE)).all():  # else dots are cut, with centroids elsewhere
        np.testing.assert_allclose(seen, joints, atol=0.5)
    np.testing.assert_allclose(crop.to_input(PLANTED), joints, atol=1e-3)
    decoded, _ = model.head.decoder.decode(frame.gt_fields.heatmaps.numpy())
    np.testing.assert_allclose(crop.to_image(decoded[0]), PLANTED, atol=0.5)


@pytest.mark.parametrize('degrees', ROTATIONS)
def test_testing_finds_the_dots_in_the_image(dot_model, dots, kind, box, degrees):
    model = dot_model(*TRANSFORM[kind])
    packed = cut_by_pipeline(model, dots(PLANTED, radius(box), SIZE), box, degrees)
    with torch.no_grad():
        (found,) = model.test_step(pseudo_collate([packed]))
    where = Cropper.from_config(model.cfg).crop(box, degrees).to_input(PLANTED)
    shown = ((where > 4) & (where < 124)).all(axis=1)  # a turned box may leave some out
    assert shown.any()
    np.testing.assert_allclose(found.pred_instances.keypoints[0][shown], PLANTED[shown], atol=0.5)
    assert (found.pred_instances.keypoint_scores[0][shown] > 0.8).all()


def test_clips_and_streams_find_the_dots_in_the_image(dot_model, dots, kind, box):
    model = dot_model(*TRANSFORM[kind])
    images = [dots(PLANTED + t, radius(box), SIZE) for t in range(4)]
    clips = predict_video(model, [Frame(t, t, image) for t, image in enumerate(images)], box)
    stream = StreamingRPSTN(model)
    for t, (image, pose) in enumerate(zip(images, clips, strict=True)):
        joints, scores = stream.step(image, [box])
        np.testing.assert_allclose(pose.people[0].keypoints, PLANTED + t, atol=0.5)
        np.testing.assert_allclose(joints[0], PLANTED + t, atol=0.5)
        np.testing.assert_allclose(joints[0], pose.people[0].keypoints, atol=1e-3)
        np.testing.assert_allclose(scores[0], pose.people[0].scores, atol=1e-6)


@pytest.mark.parametrize('degrees', ROTATIONS)
@pytest.mark.parametrize('keep_aspect', [True, False])
def test_a_crop_goes_there_and_back(box, degrees, keep_aspect):
    crop = Cropper((96, 160), 1.1, keep_aspect).crop(box, degrees)
    points = np.random.default_rng(0).uniform(-50, 350, (4, 7, 2))
    np.testing.assert_allclose(crop.to_image(crop.to_input(points)), points, atol=1e-3)
    np.testing.assert_allclose(crop.to_input(crop.center), (48, 80), atol=1e-3)
    # A second restatement: by centre, sides and rotation, without any matrix.
    by_hand = (points / (96, 160) - 0.5) * crop.scale + crop.center
    np.testing.assert_allclose(
        crop.to_image(points), rotate_about(by_hand, crop.center, degrees), atol=1e-2
    )


def test_the_padded_box_lies_in_the_crop_whatever_its_aspect(box):
    for size in ((128, 128), (96, 160), (160, 96)):
        corners = Cropper(size, 1.25).crop(box).to_input(box.reshape(2, 2))
        assert (corners > 0).all() and (corners < size).all()
        sides = corners[1] - corners[0]
        assert np.isclose((sides / size).max(), 1 / 1.25, atol=1e-3)
        assert np.isclose(sides[0] / sides[1], np.divide(*(box[2:] - box[:2])), atol=1e-3)


def test_points_move_as_opencv_moves_them():
    matrix = np.array([[0.3, -1.2, 4], [0.7, 0.1, -9]])
    points = np.random.default_rng(0).normal(size=(5, 1, 2))
    np.testing.assert_allclose(transform_points(points, matrix), cv2.transform(points, matrix))


def test_a_config_without_a_crop_is_refused_by_name():
    with pytest.raises(
        ValueError, match=r"ClipBBox or ClipBody, and TopdownAffine.*got \['LoadClip'\]"
    ):
        Cropper.from_pipeline([dict(type='LoadClip')])


def test_crops_do_not_touch_the_image(box):
    image = np.full((240, 320, 3), 7, np.uint8)
    Crop(np.array([10.0, 20]), np.array([30.0, 30]), (64, 64)).cut(image)[:] = 0
    assert (image == 7).all()
