"""VideoPCK by hand and against MMPose; the evaluator that counts frames; tables."""

import numpy as np
import pytest
from mmengine.evaluator import Evaluator
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.evaluation.metrics import JhmdbPCKAccuracy

from rpstn.pose import FrameEvaluator, VideoPCK
from rpstn.pose.datasets.metainfo import JHMDB15, PENN13
from rpstn.tables import format_table

PENN = parse_pose_metainfo(PENN13)
JHMDB = parse_pose_metainfo(JHMDB15)
NAMES = [PENN['keypoint_id2name'][k] for k in range(13)]
HEAD, RIGHT_SHOULDER, LEFT_HIP = (
    NAMES.index(name) for name in ('head', 'right_shoulder', 'left_hip')
)


def sample(
    errors: dict[str, float] | float = 0.0,
    *,
    labelled: list[str] = NAMES,
    occluded: tuple[str, ...] = (),
    torso: float = 50.0,
    box=(0, 0, 100, 60),
    **meta,
) -> dict:
    """A frame of Penn joints; ``errors`` in pixels to the right, by joint or of all."""
    truth = np.zeros((1, 13, 2), np.float32)
    truth[0, :, 0] = np.arange(13) * 3
    truth[0, LEFT_HIP] = truth[0, RIGHT_SHOULDER] + (0, torso)
    predicted = truth.copy()
    for k, name in enumerate(NAMES):
        predicted[0, k, 0] += errors.get(name, 0) if isinstance(errors, dict) else errors
    return dict(
        gt_instances=dict(
            keypoints=truth,
            bboxes=np.array([box], np.float32),
            keypoints_visible=np.array([[float(name in labelled) for name in NAMES]]),
            keypoints_occluded=np.array([[float(name in occluded) for name in NAMES]]),
        ),
        pred_instances=dict(keypoints=predicted),
        **meta,
    )


def evaluate(samples: list[dict], meta: dict = PENN, **options) -> dict[str, float]:
    metric = VideoPCK(**options)
    metric.dataset_meta = meta
    metric.process({}, samples)
    return metric.evaluate(len(samples))


def test_both_normalizers_by_hand():
    # Of the box 100x60 (0.2: 20 pixels) and of the torso of 50 (0.2: 10 pixels).
    frames = [sample(dict(head=15, left_knee=25, left_wrist=9)), sample(dict(left_knee=5))]
    pck = evaluate(frames)
    assert pck['bbox_PCK@0.2/Head'] == 1 and pck['torso_PCK@0.2/Head'] == 0.5
    assert pck['bbox_PCK@0.2/joint/left_knee'] == 0.5
    assert pck['bbox_PCK@0.2/Knee'] == 0.75  # the mean of left, one half, and right, all
    assert pck['bbox_PCK@0.2/Wri.'] == pck['torso_PCK@0.2/Wri.'] == 1
    assert pck['bbox_PCK@0.2/mean'] == pytest.approx((12 + 0.5) / 13)
    assert pck['torso_PCK@0.2/mean'] == pytest.approx((11 + 0.5 + 0.5) / 13)
    assert set(name.split('/')[1] for name in pck) == {
        'Head',
        'Sho.',
        'Elb.',
        'Wri.',
        'Hip',
        'Knee',
        'Ank.',
        'mean',
        'joint',
    }
    assert sum('/joint/' in name for name in pck) == 2 * 13


def test_the_threshold_itself_is_wrong_and_named():
    assert evaluate([sample(20)])['bbox_PCK@0.2/mean'] == 0
    assert evaluate([sample(19.99)])['bbox_PCK@0.2/mean'] == 1
    assert evaluate([sample(24)], thr=0.25, normalizers=['bbox'], per_joint=False) == {
        f'bbox_PCK@0.25/{name}': 1.0
        for name in ('Head', 'Sho.', 'Elb.', 'Wri.', 'Hip', 'Knee', 'Ank.', 'mean')
    }


def test_unlabelled_joints_do_not_count():
    seen = [name for name in NAMES if name not in ('head', 'left_knee')]
    pck = evaluate([sample(dict(head=99, left_knee=99, right_knee=99), labelled=seen)])
    assert np.isnan(pck['bbox_PCK@0.2/Head']) and np.isnan(pck['bbox_PCK@0.2/joint/left_knee'])
    assert pck['bbox_PCK@0.2/Knee'] == 0  # of the right one
    assert pck['bbox_PCK@0.2/mean'] == pytest.approx(10 / 11)
    assert len(seen) == 11


def test_visible_and_occluded_apart():
    frames = [
        sample(dict(head=99, left_hip=99), occluded=('head', 'left_knee')),
        sample(occluded=('head',)),
    ]
    pck = evaluate(frames)
    # Occluded: head 1 of 2, left knee 1 of 1. Visible: left hip 1 of 2, the head never.
    assert pck['bbox_PCK@0.2/occluded'] == pytest.approx((0.5 + 1) / 2)
    assert pck['bbox_PCK@0.2/visible'] == pytest.approx((11 + 0.5) / 12)
    assert pck['bbox_PCK@0.2/mean'] == pytest.approx((11 + 0.5 + 0.5) / 13)
    without = evaluate([sample()])
    assert not any('occluded' in name or 'visible' in name for name in without)


def test_frames_without_a_usable_torso_count_for_the_box_only():
    no_label = [name for name in NAMES if name != 'left_hip']
    frames = [
        sample(dict(head=99), labelled=no_label),
        sample(torso=0.5, errors=dict(head=99)),
        sample(),
    ]
    pck = evaluate(frames)
    assert pck['torso_PCK@0.2/Head'] == 1  # of the third frame alone
    assert pck['bbox_PCK@0.2/Head'] == pytest.approx(1 / 3)
    nothing = evaluate(frames[:1])
    assert np.isnan(nothing['torso_PCK@0.2/mean']) and nothing['bbox_PCK@0.2/mean'] > 0.9


def test_how_many_frames_do_not_count_is_logged(caplog):
    logger = MMLogger.get_instance('test_metrics')
    logger.addHandler(caplog.handler)
    evaluate([sample(), sample(torso=0)])
    assert 'torso_PCK@0.2: 1 of 2 frames have no usable torso' in caplog.text
    assert '| bbox_PCK@0.2  |' in caplog.text and '| 100.0' in caplog.text


def test_padded_frames_do_not_count():
    frames = [sample(), sample(99, padded=True), sample(padded=False)]
    assert evaluate(frames)['bbox_PCK@0.2/mean'] == 1


def test_a_frame_met_twice_counts_once():
    """As a sampler repeats items to give every process as many."""
    right, wrong = sample(img_id=3, img_path='a'), sample(99, img_id=4, img_path='a')
    assert evaluate([right, wrong, wrong, wrong])['bbox_PCK@0.2/mean'] == 0.5
    # Not frames of other data sets that are numbered alike, nor frames without a number.
    other = sample(99, img_id=3, img_path='b')
    assert evaluate([right, other])['bbox_PCK@0.2/mean'] == 0.5
    assert evaluate([sample(), sample(), sample(), sample(99)])['bbox_PCK@0.2/mean'] == 0.75


def test_wrong_options_name_what_is_allowed():
    with pytest.raises(ValueError, match=r"\('bbox', 'torso'\).*\['head'\]"):
        VideoPCK(normalizers=['bbox', 'head'])
    with pytest.raises(ValueError, match=r"\['nose'\] are not among the joints of penn_action"):
        evaluate([sample()], torso=('nose', 'left_hip'))
    # Two other joints, 30 pixels apart: 0.2 is 6.
    pck = evaluate([sample(dict(head=5.9, left_knee=6.1))], torso=('head', NAMES[10]))
    assert pck['torso_PCK@0.2/Head'] == 1 and pck['torso_PCK@0.2/joint/left_knee'] == 0


@pytest.mark.parametrize('thr', [0.05, 0.2])
def test_agrees_with_mmposes_jhmdb_metric_on_random_frames(thr):
    rng = np.random.default_rng(0)
    frames = []
    for index in range(40):
        truth = rng.uniform(0, 200, (1, 15, 2))
        labelled = rng.random((1, 15)) < 0.8
        labelled[0, [4, 5]] = True  # MMPose measures the torso whether labelled or not
        corner = rng.uniform(0, 50, 2)
        frames.append(
            dict(
                gt_instances=dict(
                    keypoints=truth,
                    keypoints_visible=labelled,
                    bboxes=np.concatenate([corner, corner + rng.uniform(50, 150, 2)])[None],
                ),
                pred_instances=dict(keypoints=truth + rng.normal(0, 40 * thr, truth.shape)),
                img_id=index,
            )
        )
    theirs = JhmdbPCKAccuracy(thr=thr, norm_item=['bbox', 'torso'])
    theirs.dataset_meta = JHMDB
    theirs.process({}, frames)
    theirs = theirs.evaluate(40)
    ours = evaluate(frames, JHMDB, thr=thr)
    groups = {
        'Head': 'Head ',
        'Sho.': 'Sho ',
        'Elb.': 'Elb ',
        'Wri.': 'Wri ',
        'Hip': 'Hip ',
        'Knee': 'Knee ',
        'Ank.': 'Ank ',
        'mean': '',
    }
    for normalizer, word in (('bbox', 'PCK'), ('torso', 'tPCK')):
        for group, their_name in groups.items():
            value = ours[f'{normalizer}_PCK@{thr:g}/{group}']
            assert 0 < value < 1
            assert value == pytest.approx(theirs[their_name + word]), (normalizer, group)


def test_the_evaluator_counts_frames_where_mmengines_would_cut_to_clips():
    """Two clips of five frames; those from the third on are all wrong."""
    init_default_scope('mmpose')
    frames = [sample(0 if i < 2 else 99, img_id=i) for i in range(10)]
    figures = {}
    for evaluator in (Evaluator, FrameEvaluator):
        evaluator = evaluator([dict(type='VideoPCK', normalizers=['bbox'])])
        evaluator.dataset_meta = PENN
        for _ in range(2):  # the second epoch starts from nothing
            evaluator.process(frames[:5])
            evaluator.process(frames[5:])
            figures[type(evaluator)] = evaluator.evaluate(2)['bbox_PCK@0.2/mean']
    assert figures == {Evaluator: 1, FrameEvaluator: pytest.approx(0.2)}


def test_table():
    table = format_table(
        ['', 'Head', 'mean'], [['bbox', 0.98765, None], ['torso', float('nan'), 7]], scale=100
    )
    assert table.splitlines() == [
        '|       | Head | mean |',
        '| ----- | ---: | ---: |',
        '| bbox  | 98.8 |    - |',
        '| torso |    - |    7 |',
    ]
    assert format_table(['a'], [[0.5]], digits=3).splitlines()[-1] == '| 0.500 |'
