"""Clips in, poses in image pixels out, in temporal order."""

import copy

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmpose.registry import KEYPOINT_CODECS, MODELS
from torch import nn

from rpstn.pose import ClipDataSample, VideoPoseEstimator
from rpstn.simulation.clips.dataset import SyntheticClipDataset

SIZE = 128
CODEC = dict(type='MSRAHeatmap', input_size=(SIZE, SIZE), heatmap_size=(32, 32), sigma=2)
MODEL = dict(
    type='VideoPoseEstimator',
    data_preprocessor=dict(
        type='ClipDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
    ),
    backbone=dict(
        type='RPSTNBackbone',
        num_joints=13,
        channels=16,
        input_size=(SIZE, SIZE),
        encoder=dict(type='ResNet', depth=18, stem_channels=8, base_channels=8),
    ),
    head=dict(
        type='RPSTNHead',
        num_joints=13,
        channels=16,
        relation=dict(type='JRE'),
        propagator=dict(type='JRPSP'),
        decoder=CODEC,
    ),
)


@pytest.fixture(autouse=True)
def mmpose_scope():
    init_default_scope('mmpose')


@pytest.fixture(scope='module')
def dataset() -> SyntheticClipDataset:
    """Two sequences of 7 frames: windows of 5, the second padded by 3."""
    init_default_scope('mmpose')
    return SyntheticClipDataset(
        num_sequences=2,
        num_frames=7,
        image_size=(64, 72),
        start='fixed',
        test_mode=True,
        pipeline=[
            dict(type='LoadClip'),
            dict(type='ClipBBox'),
            dict(
                type='ForEachFrame',
                transforms=[
                    dict(type='TopdownAffine', input_size=(SIZE, SIZE)),
                    dict(type='GenerateTarget', encoder=CODEC),
                ],
            ),
            dict(type='PackClipInputs'),
        ],
    )


def build(**changes) -> VideoPoseEstimator:
    torch.manual_seed(0)
    config = copy.deepcopy(MODEL)
    for name, change in changes.items():
        config[name] = {**config.get(name, {}), **change}
    return MODELS.build(config)


def batch_of(dataset, *items) -> dict:
    return pseudo_collate([dataset[i] for i in items])


def plant(model: VideoPoseEstimator, heatmaps: torch.Tensor) -> None:
    """Let the head answer fixed heatmaps (B, T, K, h, w)."""
    model.head.propagate = lambda feats: heatmaps


@pytest.mark.parametrize('frames', [1, 2, 5])
def test_tensor_mode_gives_the_heatmaps_of_every_frame(frames):
    model = build().eval()
    clip = torch.randn(2, frames, 3, SIZE, SIZE)
    heatmaps = model(clip, None, mode='tensor')
    assert heatmaps.shape == (2, frames, 13, 32, 32)
    torch.testing.assert_close(heatmaps, model.head.propagate(model.backbone(clip)))
    torch.testing.assert_close(model(clip[1:], None, mode='tensor'), heatmaps[1:])


def test_a_longer_clip_begins_with_the_heatmaps_of_a_shorter_one():
    model = build().eval()
    clip = torch.randn(1, 4, 3, SIZE, SIZE)
    torch.testing.assert_close(
        model(clip, None, mode='tensor')[:, :2], model(clip[:, :2], None, mode='tensor')
    )


def test_predictions_are_flat_in_temporal_order_without_padded_frames(dataset):
    predictions = build().eval().test_step(batch_of(dataset, 0, 1, 2, 3))
    order = [(p.metainfo['video'], p.metainfo['frame_index']) for p in predictions]
    videos = list(dict.fromkeys(video for video, _ in order))
    assert len(videos) == 2
    assert order == [(video, t) for video in videos for t in range(7)]
    assert all(p.pred_instances.keypoints.shape == (1, 13, 2) for p in predictions)


def test_keypoints_planted_in_the_heatmaps_come_out_in_image_pixels(dataset):
    model = build().eval()
    batch = batch_of(dataset, 0, 2)
    targets = torch.stack(
        [
            torch.stack([frame.gt_fields.heatmaps for frame in clip.frames])
            for clip in batch['data_samples']
        ]
    )
    plant(model, targets)
    predictions = model.test_step(batch)
    assert len(predictions) == 10
    for prediction in predictions:
        truth = prediction.gt_instances
        seen = truth.keypoints_visible[0] > 0
        # A cell is 4 input pixels, an image pixel `scale` of them: half a cell at the worst.
        cell = 4 * prediction.metainfo['input_scale'].max() / SIZE
        error = np.abs(prediction.pred_instances.keypoints - truth.keypoints)[0, seen]
        assert seen.sum() > 6 and error.max() < cell / 2 + 1e-3
        assert np.allclose(prediction.pred_instances.keypoint_scores[0, seen], 1, atol=0.02)


def test_decoding_equals_codec_and_back_projection_by_hand(dataset):
    model = build().eval()
    batch = batch_of(dataset, 2)
    heatmaps = torch.rand(1, 5, 13, 32, 32)
    plant(model, heatmaps)
    prediction = model.test_step(batch)[3]
    meta = prediction.metainfo
    keypoints, scores = KEYPOINT_CODECS.build(CODEC).decode(heatmaps[0, 3].numpy())
    center, scale = np.ravel(meta['input_center']), np.ravel(meta['input_scale'])
    by_hand = [
        [
            center[0] - scale[0] / 2 + x * scale[0] / SIZE,
            center[1] - scale[1] / 2 + y * scale[1] / SIZE,
        ]
        for x, y in keypoints[0]
    ]
    np.testing.assert_allclose(prediction.pred_instances.keypoints[0], by_hand, rtol=1e-5)
    np.testing.assert_allclose(prediction.pred_instances.keypoint_scores, scores)


def test_flip_test_is_the_mean_with_the_mirrored_clip(dataset):
    batch = batch_of(dataset, 0)
    model = build(test_cfg=dict(flip_test=True, output_heatmaps=True)).eval()
    for parameter in model.head.parameters():
        nn.init.normal_(parameter, std=0.3)
    pairs = {
        i: j for i, j in enumerate(batch['data_samples'][0].frames[0].metainfo['flip_indices'])
    }
    predictions = model.test_step(copy.deepcopy(batch))
    with torch.no_grad():
        clip = model.data_preprocessor(batch)['inputs']
        plain = model(clip, None, mode='tensor')
        mirrored = model(clip.flip(-1), None, mode='tensor')
    for t, prediction in enumerate(predictions):
        for k in range(13):
            expected = (plain[0, t, k] + mirrored[0, t, pairs[k]].flip(-1)) / 2
            torch.testing.assert_close(prediction.pred_fields.heatmaps[k], expected)
    assert not torch.allclose(plain[0, 0], predictions[0].pred_fields.heatmaps, atol=1e-3)


def test_loss_of_a_batch_of_clips_ignores_padded_frames(dataset):
    model = build().eval()
    losses = []
    for noise in (0, 100):
        data = model.data_preprocessor(batch_of(dataset, 1, 3), True)
        for clip in data['data_samples']:
            padded = [frame.metainfo['padded'] for frame in clip.frames]
            assert padded == [False] * 2 + [True] * 3
            for frame in clip.frames[2:]:
                frame.gt_fields.heatmaps += noise
        data['inputs'][:, 2:] += noise
        losses.append(model(**data, mode='loss')['loss_kpt'])
    assert losses[0] > 0 and torch.equal(*losses)


@pytest.mark.parametrize(
    'changes, message',
    [
        (dict(head=dict(num_joints=15)), 'num_joints=13 and head num_joints=15'),
        (dict(backbone=dict(channels=32)), 'channels=32 and head channels=16'),
        (
            dict(backbone=dict(input_size=(256, 256))),
            r"needs \{'input_size': \(256, 256\), "
            r"'heatmap_size': \(64, 64\)\}, got .*\(128, 128\).*\(32, 32\)",
        ),
        (dict(backbone=dict(heatmap_stride=8)), r"'heatmap_size': \(16, 16\)\}, got"),
        (dict(backbone=dict(input_size=(96, 128))), r"'heatmap_size': \(24, 32\)\}, got"),
    ],
)
def test_parts_that_do_not_fit_are_refused_with_what_would(changes, message):
    with pytest.raises(ValueError, match=message):
        build(**changes)


def test_normalisation_is_mean_and_deviation_of_rgb():
    preprocessor = build().data_preprocessor
    clips = torch.randint(0, 256, (2, 3, 3, 8, 8), dtype=torch.uint8)
    data = dict(inputs=list(clips), data_samples=[ClipDataSample([]) for _ in clips])
    inputs = preprocessor(data)['inputs']
    assert inputs.shape == (2, 3, 3, 8, 8) and inputs.dtype == torch.float32
    for channel, (mean, std) in enumerate([(123.675, 58.395), (116.28, 57.12), (103.53, 57.375)]):
        bgr = 2 - channel
        torch.testing.assert_close(inputs[:, :, channel], (clips[:, :, bgr].float() - mean) / std)


def test_folded_frames_serve_a_single_frame_estimator(dataset):
    init_default_scope('mmpose')
    batch = batch_of(dataset, 1, 2)
    options = dict(MODEL['data_preprocessor'])
    clips = MODELS.build(options)(copy.deepcopy(batch))
    folded = MODELS.build(dict(options, fold_frames=True))(batch)
    assert torch.equal(folded['inputs'], clips['inputs'].flatten(0, 1))
    frames = [frame for clip in clips['data_samples'] for frame in clip.frames]
    assert [f.metainfo['id'] for f in folded['data_samples']] == [f.metainfo['id'] for f in frames]
    single = MODELS.build(
        dict(
            type='TopdownPoseEstimator',
            data_preprocessor=dict(options, fold_frames=True),
            backbone=dict(type='ResNet', depth=18, stem_channels=8, base_channels=8),
            head=dict(
                type='HeatmapHead',
                in_channels=64,
                out_channels=13,
                deconv_out_channels=(16, 16, 16),
                decoder=CODEC,
            ),
        )
    ).eval()
    assert len(single.test_step(batch_of(dataset, 1, 2))) == 10


def test_clips_of_different_shapes_are_refused(dataset):
    batch = batch_of(dataset, 0, 2)
    batch['inputs'][1] = batch['inputs'][1][:3]
    with pytest.raises(ValueError, match=r'\(3, 3, 128, 128\), \(5, 3, 128, 128\)'):
        build().data_preprocessor(batch)


@pytest.mark.parametrize('codec', ['MSRAHeatmap', 'UDPHeatmap'])
def test_joints_of_turned_crops_come_back_to_the_image(codec):
    """Targets are the answer: of clips and of single frames alike, MMPose's own left turned."""
    coding = dict(CODEC, type=codec)
    cut = [
        dict(type='TopdownAffine', input_size=(SIZE, SIZE), use_udp=codec == 'UDPHeatmap'),
        dict(type='GenerateTarget', encoder=coding),
    ]
    turned = SyntheticClipDataset(
        num_sequences=2,
        num_frames=5,
        image_size=(64, 72),
        start='fixed',
        test_mode=True,
        pipeline=[
            dict(type='LoadClip'),
            dict(type='ClipBody', joints='penn13', input_size=(SIZE, SIZE), rotate_factor=40.0),
            dict(type='ForEachFrame', transforms=cut),
            dict(type='PackClipInputs'),
        ],
    )
    np.random.seed(1)
    batch = batch_of(turned, 0, 1)
    targets = torch.stack(
        [torch.stack([f.gt_fields.heatmaps for f in s.frames]) for s in batch['data_samples']]
    )
    video = build(head=dict(decoder=coding)).eval()
    plant(video, targets)
    errors = {'VideoPoseEstimator': _errors(video.test_step(copy.deepcopy(batch)))}
    for kind in ('TurnedPoseEstimator', 'TopdownPoseEstimator'):
        single = MODELS.build(
            dict(
                type=kind,
                data_preprocessor=dict(MODEL['data_preprocessor'], fold_frames=True),
                backbone=dict(type='ResNet', depth=18, stem_channels=8, base_channels=8),
                head=dict(
                    type='HeatmapHead',
                    in_channels=64,
                    out_channels=13,
                    deconv_out_channels=(16, 16, 16),
                    decoder=coding,
                ),
            )
        ).eval()
        single.head.forward = lambda feats: targets.flatten(0, 1)
        errors[kind] = _errors(single.test_step(copy.deepcopy(batch)))
    # A cell is 4 input pixels, about 3 of the image: half a cell at the worst.
    assert errors['TurnedPoseEstimator'].max() < 2
    np.testing.assert_allclose(errors['VideoPoseEstimator'], errors['TurnedPoseEstimator'])
    assert np.median(errors['TopdownPoseEstimator']) > 5


def _errors(predictions: list) -> np.ndarray:
    """Pixels that the labelled joints are off by."""
    off = [
        np.linalg.norm(p.pred_instances.keypoints - p.gt_instances.keypoints, axis=-1)[
            p.gt_instances.keypoints_visible > 0
        ]
        for p in predictions
    ]
    return np.concatenate(off)
