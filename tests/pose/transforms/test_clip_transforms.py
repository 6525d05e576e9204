"""Images and joints of a clip go through the same transforms, with the same random numbers."""

import random

import cv2
import numpy as np
import pytest
import torch
from mmcv.transforms import BaseTransform
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from rpstn.pose.datasets import PENN13, UnreadableFrameError
from rpstn.pose.transforms import ClipBBox, ForEachFrame, LoadClip, PackClipInputs

META = parse_pose_metainfo(PENN13)
# One colour a joint, far apart, so that each dot is found again after resampling.
COLORS = np.array(
    [[b, g, r] for b in (60, 150, 240) for g in (60, 150, 240) for r in (60, 150, 240)], np.uint8
)[np.arange(13) * 2]


class Drawn:
    """Frames with a dot of its colour at every joint."""

    path = 'drawn.avi'

    def __init__(self, keypoints):
        self.keypoints = keypoints

    def read(self, indices):
        images = []
        for index in indices:
            image = np.zeros((240, 320, 3), np.uint8)
            for point, color in zip(self.keypoints[index], COLORS, strict=True):
                center = tuple(int(round(float(v) * 16)) for v in point)
                cv2.circle(image, center, 5 * 16, color.tolist(), -1, shift=4)
            images.append(image)
        return images


def clip(frames=4, seed=0):
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(np.arange(4), np.arange(4)), -1).reshape(-1, 2)[:13]
    keypoints = (
        np.array([100, 60])
        + grid * 32
        + rng.uniform(-6, 6, (frames, 13, 2))
        + np.arange(frames)[:, None, None] * [3, -2]
    ).astype(np.float32)
    occluded = (rng.random((frames, 13)) < 0.4).astype(np.float32)
    return dict(
        video='drawn',
        reader=Drawn(keypoints),
        image_size=(320, 240),
        frames=[
            dict(
                id=t,
                img_id=t,
                img_path=f'drawn.avi#{t}',
                video='drawn',
                frame_index=t,
                padded=t == frames - 1,
                category_id=1,
                bbox_score=np.ones(1, np.float32),
                bbox=np.concatenate([keypoints[t].min(0), keypoints[t].max(0)])[None],
                keypoints=keypoints[t][None],
                keypoints_visible=np.ones((1, 13), np.float32),
                keypoints_occluded=occluded[t][None],
                flip_indices=META['flip_indices'],
            )
            for t in range(frames)
        ],
    )


def find_dots(image):
    """(13, 2) centre of the largest spot of each colour, NaN where too little of it is seen."""
    distance = np.abs(image[:, :, None].astype(int) - COLORS.astype(int)).max(axis=3)
    found = np.full((len(COLORS), 2), np.nan)
    for k in range(len(COLORS)):
        close = (distance[..., k] < 25).astype(np.uint8)
        _, _, stats, centers = cv2.connectedComponentsWithStats(close)
        if len(stats) > 1 and stats[1:, cv2.CC_STAT_AREA].max() > 30:
            found[k] = centers[1 + stats[1:, cv2.CC_STAT_AREA].argmax()]
    return found


def augment(**bbox):
    return ForEachFrame(
        [
            dict(type='RandomFlip', prob=0.5),
            dict(
                type='RandomBBoxTransform',
                shift_factor=0.1,
                scale_factor=(0.8, 1.4),
                rotate_factor=40,
                rotate_prob=1.0,
                **bbox,
            ),
            dict(type='TopdownAffine', input_size=(256, 256)),
        ]
    )


@pytest.mark.parametrize('mode', ['frame', 'clip'])
def test_dots_are_found_where_the_joints_went(mode):
    flips = set()
    for seed in range(12):
        np.random.seed(seed)
        original = clip(seed=seed)
        results = augment()(ClipBBox(mode, padding=1.4)(LoadClip()(original)))
        flips.add(results['frames'][0]['flip'])
        for frame in results['frames']:
            dots = find_dots(frame['img'])
            # A flip renames joints: the dot of the left one is now the right one's.
            dots = dots[frame['flip_indices']] if frame['flip'] else dots
            after = frame['transformed_keypoints'][0]
            inside = ((after > 14) & (after < 241)).all(axis=1) & np.isfinite(dots).all(axis=1)
            assert inside.sum() >= 5
            assert np.abs(dots - after)[inside].max() < 1
    assert flips == {True, False}


def test_all_frames_get_the_same_draw_and_clips_differ():
    drawn = []
    for seed in (1, 2):
        np.random.seed(seed)
        frames = augment()(ClipBBox('clip')(LoadClip()(clip())))['frames']
        rotations = {float(frame['bbox_rotation'][0]) for frame in frames}
        scales = {tuple(frame['input_scale']) for frame in frames}
        assert len(rotations) == len(scales) == len({frame['flip'] for frame in frames}) == 1
        drawn.append((rotations, scales))
    assert drawn[0] != drawn[1]


def test_colour_is_the_same_in_all_frames():
    results = LoadClip()(clip())
    for frame in results['frames']:
        frame['img'] = np.tile(COLORS[:, None], (1, 8, 1))
    np.random.seed(3)
    frames = ForEachFrame([dict(type='PhotometricDistortion')])(results)['frames']
    assert not np.array_equal(frames[0]['img'], np.tile(COLORS[:, None], (1, 8, 1)))
    for frame in frames[1:]:
        np.testing.assert_array_equal(frame['img'], frames[0]['img'])


class Draw(BaseTransform):
    def __init__(self, numbers):
        self.numbers = numbers

    def transform(self, frame):
        # The first frame draws more: what follows must be the same for all nevertheless.
        extra = 5 if frame['frame_index'] == 0 and self.numbers == 1 else 0
        drawn = [(np.random.rand(), random.random()) for _ in range(self.numbers + extra)]
        frame.setdefault('drawn', []).append(drawn[0])
        return frame


def test_random_numbers_are_replayed_per_transform_and_then_go_on():
    np.random.seed(0)
    random.seed(0)
    results = ForEachFrame([Draw(1), Draw(2)])(clip())
    drawn = [frame['drawn'] for frame in results['frames']]
    assert all(d == drawn[0] for d in drawn)
    assert drawn[0][0] != drawn[0][1]
    again = ForEachFrame([Draw(1)])(clip())['frames'][0]['drawn']
    assert again[0] not in drawn[0], 'the next clip must draw anew'


def test_flip_swaps_occlusion_with_the_joints():
    original = LoadClip()(clip())
    before = [(f['keypoints_occluded'].copy(), f['keypoints'].copy()) for f in original['frames']]
    once = ForEachFrame([dict(type='RandomFlip', prob=1.0)])
    frames = once(original)['frames']
    for frame, (occluded, keypoints) in zip(frames, before, strict=True):
        order = META['flip_indices']
        np.testing.assert_array_equal(frame['keypoints_occluded'], occluded[:, order])
        np.testing.assert_allclose(frame['keypoints'][..., 0], 319 - keypoints[:, order, 0])
    twice = once(dict(frames=frames))['frames']
    for frame, (occluded, keypoints) in zip(twice, before, strict=True):
        np.testing.assert_array_equal(frame['keypoints_occluded'], occluded)
        np.testing.assert_allclose(frame['keypoints'], keypoints)


def test_a_transform_that_gives_up_gives_up_the_clip():
    assert ForEachFrame([lambda frame: None])(clip()) is None


def test_clip_box_holds_all_boxes_and_leaves_the_persons_box():
    boxes = np.concatenate([f['bbox'] for f in clip()['frames']])
    low, high = boxes[:, :2].min(0), boxes[:, 2:].max(0)
    for frame, box in zip(ClipBBox('clip', padding=1.5)(clip())['frames'], boxes, strict=True):
        np.testing.assert_allclose(frame['bbox_center'][0], (low + high) / 2, rtol=1e-6)
        np.testing.assert_allclose(frame['bbox_scale'][0], (high - low) * 1.5, rtol=1e-6)
        np.testing.assert_array_equal(frame['bbox'][0], box)
    for frame, box in zip(ClipBBox('frame', padding=1.0)(clip())['frames'], boxes, strict=True):
        np.testing.assert_allclose(frame['bbox_center'][0], (box[:2] + box[2:]) / 2, rtol=1e-6)
        np.testing.assert_allclose(frame['bbox_scale'][0], box[2:] - box[:2], rtol=1e-6)
    with pytest.raises(ValueError, match="mode must be 'frame' or 'clip', got 'union'"):
        ClipBBox('union')


def test_packed_clip():
    codec = dict(type='MSRAHeatmap', input_size=(128, 128), heatmap_size=(32, 32), sigma=2)
    steps = ForEachFrame(
        [
            dict(type='TopdownAffine', input_size=(128, 128)),
            dict(type='GenerateTarget', encoder=codec),
        ]
    )
    results = steps(ClipBBox()(LoadClip()(clip())))
    images = [frame['img'].copy() for frame in results['frames']]
    packed = PackClipInputs()(results)
    assert packed['inputs'].shape == (4, 3, 128, 128) and packed['inputs'].dtype == torch.uint8
    for image, tensor, sample, t in zip(
        images, packed['inputs'], packed['data_samples'].frames, range(4), strict=True
    ):
        np.testing.assert_array_equal(tensor.permute(1, 2, 0).numpy(), image)
        assert sample.metainfo['frame_index'] == t and sample.metainfo['video'] == 'drawn'
        assert sample.metainfo['padded'] == (t == 3)
        assert sample.gt_instances.keypoints_occluded.shape == (1, 13)
        assert sample.gt_fields.heatmaps.shape == (13, 32, 32)
        assert {'input_center', 'input_scale', 'input_size', 'flip_indices'} <= set(sample.metainfo)


class OneOff(Drawn):
    """The last frame is smaller than the others."""

    def read(self, indices):
        *images, last = super().read(indices)
        return [*images, last[:200]]


def test_every_frames_size_is_checked():
    original = clip()
    original['reader'] = OneOff(original['reader'].keypoints)
    with pytest.raises(UnreadableFrameError, match=r'drawn\.avi: frame 3 .* 320x200 .* 320x240'):
        LoadClip()(original)
    original.pop('image_size')  # unknown: nothing to compare with
    assert LoadClip()(original)['frames'][3]['img_shape'] == (200, 320)


def test_frames_of_different_sizes_are_refused():
    results = LoadClip()(clip())
    results['frames'][1]['img'] = results['frames'][1]['img'][:100]
    with pytest.raises(ValueError, match='drawn: the frames of a clip must have one size'):
        PackClipInputs()(results)
