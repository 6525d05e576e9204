"""The released formula: against loops, against the codec, and where it is not PCK."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmpose.codecs import MSRAHeatmap
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import DATASETS, MODELS

from rpstn.pose import ClipDataSample, FrameEvaluator
from rpstn.pose.datasets import JHMDB15, PENN13
from rpstn.pose.evaluation.legacy_pck import LegacyPCK, argmax_cells, legacy_correct
from rpstn.pose.evaluation.pck import torso_joints

PENN = parse_pose_metainfo(PENN13)
SHOULDER, HIP = 2, 7  # right, left
INPUT, MAPS = (256, 256), (64, 64)
CENTER, SCALE = (
    np.array([100.0, 80.0]),
    np.array([128.0, 128.0]),
)  # two input pixels per image pixel


@pytest.fixture(autouse=True)
def mmpose_scope():
    init_default_scope('mmpose')


def image_of(cells: np.ndarray) -> np.ndarray:
    """Image pixels of heatmap cells: 4 input pixels per cell, half an image pixel each."""
    return (cells * 4 / 256) * SCALE + CENTER - SCALE / 2


def frame(target: np.ndarray, predicted: np.ndarray, visible=None, **meta) -> dict:
    """A frame of Penn's joints at heatmap cells (13, 2), its predictions in maps and pixels."""
    heatmaps = np.zeros((13, 64, 64), np.float32) - 1
    for k, (x, y) in enumerate(predicted):
        heatmaps[k, int(y), int(x)] = 0.7
    points = image_of(np.asarray(target, float))
    return dict(
        gt_instances=dict(
            keypoints=points[None],
            bboxes=np.r_[CENTER - 50, CENTER + 50][None],
            keypoints_visible=np.ones((1, 13)) if visible is None else visible[None],
        ),
        pred_instances=dict(keypoints=image_of(np.asarray(predicted, float))[None]),
        pred_fields=dict(heatmaps=heatmaps),
        input_center=CENTER,
        input_scale=SCALE,
        input_size=INPUT,
        padded=False,
        **meta,
    )


def evaluate(
    clips: list[list[dict]], metric: str = 'LegacyPCK', meta: dict = PENN, **options
) -> dict:
    """As a runner does: the frames of a batch flat, its clips in data_batch."""
    evaluator = FrameEvaluator([dict(type=metric, **options)])
    evaluator.dataset_meta = meta
    batch = dict(data_samples=[ClipDataSample(clip) for clip in clips])
    evaluator.process([f for clip in clips for f in clip], batch)
    return evaluator.evaluate(99)


def pose(torso: float, seed: int = 0) -> np.ndarray:
    """Cells of 13 joints, the diagonal of the torso being ``torso`` cells long."""
    cells = np.random.default_rng(seed).integers(10, 50, (13, 2)).astype(float)
    cells[HIP] = cells[SHOULDER] + [0, torso]
    return cells


def standard(clips: list[list[dict]]) -> float:
    return evaluate(clips, 'VideoPCK', normalizers=['torso'])['torso_PCK@0.2/mean']


def legacy(clips: list[list[dict]], **options) -> float:
    return evaluate(clips, **options)['legacy_PCK@0.2/mean']


def test_a_perfect_prediction_is_counted_wrong():
    """Seen from above in the first frame: a torso of one cell serves the clip, and 1 is added."""
    first, second = pose(1), pose(20, seed=1)
    clips = [[frame(first, first), frame(second, second)]]
    # Each joint is at sqrt(2) / 6.4 = 0.22, of 0.2 allowed.
    assert standard(clips) == 1 and legacy(clips) == 0
    # Of another first frame the second is all right.
    assert legacy([[frame(pose(2), pose(2)), frame(second, second)]]) == 1
    # Where the 1 belongs to the torso instead: a hip just down and right of the shoulder.
    first[HIP] = first[SHOULDER] + 1
    clips = [[frame(first, first), frame(second, second)]]
    assert standard(clips) == 1 and legacy(clips, plus_one='torso') == 0


@pytest.mark.parametrize('plus_one', ['distance', 'torso'])
def test_a_bad_prediction_is_counted_right(plus_one):
    """Off by one whole torso, five times what the standard allows."""
    target = pose(12)
    clips = [[frame(target, target + [12, 0])]]
    assert standard(clips) == 0 and legacy(clips, plus_one=plus_one) == 1
    # The limit lies at 1.28 torsos: 15.36 cells, less 1 where it is added.
    assert legacy([[frame(target, np.minimum(target + [14, 0], 63))]], plus_one=plus_one) == 1
    assert legacy([[frame(target, target + [17, 0])]], plus_one=plus_one) == 0


def test_the_added_one_favours_predictions_up_and_left():
    target = pose(12)
    assert legacy([[frame(target, target - [10, 10])]]) == 1  # 9 * sqrt(2) = 12.7
    assert legacy([[frame(target, target + [10, 10])]]) == 0  # 11 * sqrt(2) = 15.6


def test_truth_is_a_whole_cell():
    """A label between two cells is rounded; the prediction's refinement is not looked at."""
    target = pose(10) + 0.49
    clips = [[frame(target, np.floor(target))]]
    assert legacy(clips) == legacy([[frame(np.floor(target), np.floor(target))]]) == 1
    clips[0][0]['pred_instances']['keypoints'] += 1000
    assert legacy(clips) == 1


def literal(predicted, target, size, thr, plus_one):
    """The formula once more, in loops over numbers."""
    (ax, ay), (bx, by) = target[0][SHOULDER], target[0][HIP]
    extra = 1 if plus_one == 'torso' else 0
    torso = math.sqrt((ax - bx + extra) ** 2 + (ay - by + extra) ** 2)
    right = []
    for t in range(len(target)):
        for k in range(len(target[t])):
            dx = predicted[t][k][0] - target[t][k][0] + (1 - extra)
            dy = predicted[t][k][1] - target[t][k][1] + (1 - extra)
            distance = math.sqrt((dx / (size[0] / 10)) ** 2 + (dy / (size[1] / 10)) ** 2)
            right.append(distance < thr * torso)
    return np.reshape(right, (len(target), -1))


@pytest.mark.parametrize('plus_one', ['distance', 'torso'])
@pytest.mark.parametrize('size', [(64, 64), (48, 64)])
def test_agrees_with_a_literal_loop(plus_one, size):
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(30):
        target = rng.integers(0, size, (4, 13, 2))
        predicted = rng.integers(0, size, (4, 13, 2))
        thr = rng.uniform(0.05, 0.3)
        ours = legacy_correct(predicted, target, (SHOULDER, HIP), size, thr, plus_one)
        np.testing.assert_array_equal(ours, literal(predicted, target, size, thr, plus_one))
        shares.append(ours.mean())
    assert 0.2 < np.mean(shares) < 0.9


def test_targets_are_those_of_the_codec():
    """Also beyond the border, where a part of the Gaussian, or nothing, is left."""
    rng = np.random.default_rng(1)
    codec = MSRAHeatmap(input_size=INPUT, heatmap_size=MAPS, sigma=2)
    metric = LegacyPCK()
    for _ in range(20):
        points = rng.uniform(-60, 310, (13, 2))  # input pixels
        visible = (rng.random(13) < 0.8).astype(np.float32)
        given = frame(points / 4, rng.integers(0, 64, (13, 2)), visible)
        predicted, target, drawn = metric._cells(given)
        encoded = codec.encode(points[None].astype(np.float32), visible[None])['heatmaps']
        np.testing.assert_array_equal(target, argmax_cells(encoded))
        np.testing.assert_array_equal(drawn, encoded.any(axis=(1, 2)))
        assert not drawn.all() and drawn.any()
        np.testing.assert_array_equal(predicted, argmax_cells(given['pred_fields']['heatmaps']))
    assert argmax_cells(np.zeros((1, 4, 4))).tolist() == [[0, 0]]
    maps = np.zeros((1, 4, 6))
    maps[0, 3, 5] = 1
    assert argmax_cells(maps).tolist() == [[5, 3]]


def test_joints_without_target_do_not_count_and_columns_are_means():
    target = pose(10)
    visible = np.ones(13)
    visible[0] = 0
    far = target.copy()
    far[0] = far[11] = [63, 63]  # the head, unlabelled, and the left ankle
    figures = evaluate([[frame(target, far, visible)], [frame(target, target, visible)]])
    assert np.isnan(figures['legacy_PCK@0.2/Head'])
    assert figures['legacy_PCK@0.2/Ank.'] == 0.75
    assert figures['legacy_PCK@0.2/mean'] == pytest.approx((11 + 0.5) / 12)
    # An unlabelled end of the torso: its map's argmax is the cell (0, 0).
    visible[HIP] = 0
    target[SHOULDER] = [0, 1]
    assert evaluate([[frame(target, target, visible)]])['legacy_PCK@0.2/mean'] == 0


def test_clips_of_a_batch_are_told_apart_and_padding_is_left_out():
    small, large = pose(1), pose(20)
    padded = {**frame(small, small), 'padded': True}
    clips = [
        [frame(small, small), frame(large, large)],
        [frame(large, large), frame(small, small), padded],
    ]
    # The first clip is all wrong, by its first frame, the second all right.
    assert legacy(clips) == 0.5


def test_a_models_own_heatmaps_through_the_evaluator():
    """A clip of 10 frames in two windows, of a model with random weights."""
    config = Config.fromfile(Path(__file__).parents[3] / 'configs/rpstn_demo.py')
    config.model.test_cfg = dict(output_heatmaps=True)
    config.model.backbone.encoder.update(stem_channels=8, base_channels=8)
    config.test_dataloader.dataset.update(num_sequences=1)
    torch.manual_seed(0)
    model, data = MODELS.build(config.model).eval(), DATASETS.build(config.test_dataloader.dataset)
    batch = pseudo_collate([data[0], data[1]])
    with torch.no_grad():
        maps = model(**model.data_preprocessor(batch), mode='tensor').flatten(0, 1).numpy()
        samples = model.test_step(batch)
    evaluator = FrameEvaluator([dict(type='LegacyPCK', sigma=1.5), dict(type='VideoPCK')])
    evaluator.dataset_meta = data.metainfo
    evaluator.process(samples, batch)
    figures = evaluator.evaluate(2)
    right, counted = np.zeros(13), np.zeros(13)
    codec = model.head.decoder
    for start in (0, 5):
        frames = [data[start // 5]['data_samples'].frames[t] for t in range(5)]
        target = [argmax_cells(f.gt_fields.heatmaps.numpy()) for f in frames]
        drawn = [f.gt_fields.heatmaps.numpy().any(axis=(1, 2)) for f in frames]
        predicted = [argmax_cells(maps[start + t]) for t in range(5)]
        counted += np.sum(drawn, axis=0)
        right += (literal(predicted, target, (32, 32), 0.2, 'distance') & drawn).sum(axis=0)
    assert codec.sigma == 1.5 and 0 < right.sum() < counted.sum()
    assert figures['legacy_PCK@0.2/mean'] == pytest.approx(np.mean((right / counted)[counted > 0]))
    assert 'torso_PCK@0.2/mean' in figures


def test_errors_name_what_is_needed():
    given = frame(pose(10), pose(10))
    del given['pred_fields']
    with pytest.raises(ValueError, match=r'model\.test_cfg\.output_heatmaps=True'):
        legacy([[given]])
    with pytest.raises(ValueError, match="plus_one must be 'distance' or 'torso', got 'both'"):
        LegacyPCK(plus_one='both')
    with pytest.raises(ValueError, match=r"torso joints \['chin'\] are not among .*penn_action"):
        legacy([[frame(pose(10), pose(10))]], torso=('chin', 'left_hip'))
    metric = LegacyPCK()
    batch = dict(data_samples=[ClipDataSample([frame(pose(9), pose(9))] * 2)])
    with pytest.raises(ValueError, match='of the batch have 2 frames, the predictions 1'):
        metric.process(batch, [frame(pose(9), pose(9))])


def test_the_torso_is_that_of_the_data_set_or_the_one_that_is_named():
    for meta, joints in ((PENN, (2, 7)), (parse_pose_metainfo(JHMDB15), (4, 5))):
        assert torso_joints(meta, None, 'LegacyPCK') == joints
    assert torso_joints(PENN, ('head', 'left_hip'), 'LegacyPCK') == (0, 7)
    with pytest.raises(ValueError, match=r"LegacyPCK: torso joints \['tail'\] are not among"):
        torso_joints(PENN, ('head', 'tail'), 'LegacyPCK')
