"""The stress table: PCK of chosen joints against VideoPCK, who is followed, tables of known
answers, and that an occlusion's beginning does not know how long it will last."""

import importlib

import cv2
import numpy as np
import pytest

from rpstn.pose.datasets import find_data
from rpstn.pose.datasets.metainfo import METAINFO
from rpstn.pose.evaluation.pck import VideoPCK
from rpstn.simulation import LimbOcclusion, MotionBlur

from lite_evaluation import clip_counts, jhmdb_clips, videos
from lite_predictors import inferencer_predictor, streaming_inferencer

ROWS = [
    *((name, 'label poses') for name in ('single frame', 'RPSTN-Lite')),
    *((name, 'whole frames') for name in ('single frame', 'RPSTN-Lite', 'MediaPipe Pose, full')),
]


@pytest.fixture
def tool(monkeypatch):
    monkeypatch.syspath_prepend('tools/research/stress')
    return lambda name: importlib.import_module(name)


def made_clip(tool, seed=0, frames=30, **changes):
    rng = np.random.default_rng(seed)
    keypoints = rng.uniform(50, 150, (frames, 15, 2))
    labelled = rng.random((frames, 15)) > 0.2
    ages = np.clip(np.arange(frames) - 4, 0, 20) * (np.arange(frames) < 25)
    fields = dict(
        video='a',
        keypoints=keypoints,
        labelled=labelled,
        hidden=labelled & (rng.random((frames, 15)) > 0.3) & (ages > 0)[:, None],
        boxes=np.tile([40.0, 40, 160, 160], (frames, 1)),
        hidden_for=ages,
        walker=np.full((frames, 15, 2), np.nan),
    )
    return tool('stress_run').Clip(**{**fields, **changes})


def sample(clip, found, frame: int) -> dict:
    truth = dict(
        keypoints=clip.keypoints[frame][None],
        bboxes=clip.boxes[frame][None],
        keypoints_visible=clip.labelled[frame][None],
    )
    return dict(img_id=frame, gt_instances=truth, pred_instances=dict(keypoints=found[frame][None]))


@pytest.mark.parametrize('normalizer', ['torso', 'bbox'])
def test_counts_are_those_of_the_metric(tool, normalizer):
    counting = tool('stress_counts')
    clip = made_clip(tool)
    found = clip.keypoints + np.random.default_rng(1).normal(0, 12, clip.keypoints.shape)
    metric = VideoPCK()
    metric.dataset_meta = jhmdb_meta()
    metric.process({}, [sample(clip, found, frame) for frame in range(30)])
    wanted = clip_counts(metric, [metric.results])[normalizer]
    got = counting.counts([clip], [found], counting.every_joint, normalizer)
    assert got.right.tolist() == [[wanted.right.sum()]]
    assert got.counted.tolist() == [[wanted.counted.sum()]]
    assert 0.2 < counting.share(got) < 0.95


def jhmdb_meta() -> dict:
    from mmpose.datasets.datasets.utils import parse_pose_metainfo

    return parse_pose_metainfo(METAINFO['jhmdb15'])


def test_joints_are_chosen_by_the_frame_since_the_occlusion_began(tool):
    counting = tool('stress_counts')
    clip = made_clip(tool)
    for first, last in ((1, 1), (1, 5), (7, 10), (1, 20)):
        hidden = counting.hidden_joints(first, last)(clip)
        others = counting.other_joints(first, last)(clip)
        frames = np.zeros(30, bool)
        frames[4 + first : 5 + last] = True
        np.testing.assert_array_equal(hidden, clip.hidden & frames[:, None])
        np.testing.assert_array_equal(hidden | others, clip.labelled & frames[:, None])
        assert not (hidden & others).any()
    after = counting.afterwards(clip)
    np.testing.assert_array_equal(after[25:], clip.labelled[25:])
    assert not after[:25].any()
    # Where nothing was hidden there is nothing afterwards.
    none = made_clip(tool, hidden=np.zeros((30, 15), bool), hidden_for=np.zeros(30, int))
    assert not counting.afterwards(none).any()


def test_who_is_followed(tool):
    counting = tool('stress_counts')
    clip = made_clip(tool, frames=30)
    other = clip.keypoints + [200, 0]
    clip = made_clip(tool, frames=30, walker=other)
    nobody = np.full(other.shape, np.nan)
    assert counting.kept(clip, clip.keypoints + 20)
    assert not counting.kept(clip, other) and not counting.kept(clip, nobody)
    assert not counting.on_walker(clip, clip.keypoints + 20).any()
    assert counting.on_walker(clip, other + 20).all()
    assert not counting.on_walker(clip, nobody).any()


@pytest.fixture
def measured(tool):
    """RPSTN-Lite is always right, the single frame where nothing is hidden, MediaPipe never."""
    run = tool('stress_run')
    whole = np.ones((30, 15), bool)
    clips = [made_clip(tool, seed, labelled=whole) for seed in range(4)]
    found = {}
    for row in ROWS:
        right = [clip.keypoints for clip in clips]
        if row[0] == 'single frame':
            right = [np.where(clip.hidden[..., None], np.nan, clip.keypoints) for clip in clips]
        found[row] = [a * np.nan for a in right] if row[0].startswith('MediaPipe') else right
    names = run.stresses('jhmdb15', 0, draws=2)
    ends = {row: answers for row, answers in found.items() if row[1] == 'whole frames'}
    return {name: run.Answers(clips, ends if name.startswith('blur') else found) for name in names}


def table_cells(table: str) -> dict[tuple[str, str], list[str]]:
    lines = [[cell.strip() for cell in line.split('|')[1:-1]] for line in table.splitlines()[2:]]
    return {(line[0], line[1]): line[2:] for line in lines}


def test_tables_and_plot_of_known_answers(tool, measured, tmp_path):
    report = tool('stress_report')
    hidden = table_cells(report.occlusion_table(measured, 'hidden'))
    assert list(hidden) == ROWS
    assert set(hidden['RPSTN-Lite', 'label poses']) == {'100.0'}
    assert set(hidden['single frame', 'label poses']) == {'0.0'}
    others = table_cells(report.occlusion_table(measured, 'others'))
    assert set(others['single frame', 'whole frames']) == {'100.0'}
    assert set(others['MediaPipe Pose, full', 'whole frames']) == {'0.0'}
    differences = report.difference_table(measured).splitlines()
    assert len(differences) == 2 + 3 * 2 * 2  # rows that see the same, joints, normalizers
    assert '**+100.0** (+100.0 to +100.0)' in differences[2]
    assert '+0.0 (+0.0 to +0.0)' in differences[4], 'the other joints of the single frame'
    crossing = table_cells(report.crossing_table(measured))
    assert crossing['RPSTN-Lite', 'whole frames'][-3:] == ['4 of 4', '4 of 4', '0.0']
    assert crossing['MediaPipe Pose, full', 'whole frames'][-3:] == ['0 of 4', '0 of 4', '0.0']
    assert crossing['RPSTN-Lite', 'label poses'][-3:] == ['-', '-', '-']
    assert list(table_cells(report.blur_table(measured))) == ROWS[2:]
    assert len(report.blur_differences(measured).splitlines()) == 2 + 2 * 2
    assert len(report.age_table(measured).splitlines()) == 2 + 5 * 2
    assert len(report.crossing_differences(measured).splitlines()) == 2 + 3 * 2
    report.plot(measured, tmp_path / 'stress.png')
    assert cv2.imread(str(tmp_path / 'stress.png')) is not None


def test_answers_are_kept_and_read_again(tool, tmp_path):
    try:
        find_data('jhmdb')
    except FileNotFoundError:
        pytest.skip('the clips of JHMDB are not here')
    run = tool('stress_run')
    dataset, calls = jhmdb_clips('val'), []

    def right(results):
        calls.append(results['video'])
        return [frame['keypoints'][0] for frame in results['frames']]

    conditions = {'clean': None, 'occlusion 0': LimbOcclusion(), 'blur 5': MotionBlur(5)}
    for _ in range(2):
        answers = dict(run.measure({ROWS[0]: right}, dataset, conditions, 14, tmp_path))
        for clip, found in zip(
            answers['occlusion 0'].clips, answers['occlusion 0'].found[ROWS[0]], strict=True
        ):
            np.testing.assert_array_equal(clip.keypoints, found)
            assert clip.hidden.any()
        assert not any(clip.hidden.any() for clip in answers['clean'].clips)
        assert not answers['blur 5'].found, 'on whole frames alone'
    assert len(calls) == 4, 'two clips, as they are and with something over a limb, once'


@pytest.mark.slow
def test_answers_of_hidden_frames_do_not_know_for_how_long(tool):
    """So that one run with the longest occlusion tells of all shorter ones."""
    try:
        find_data('jhmdb')
    except FileNotFoundError:
        pytest.skip('the clips of JHMDB are not here')
    predict = inferencer_predictor(streaming_inferencer(live=True))
    short, long = (
        next(iter(videos(jhmdb_clips('val'), 1, LimbOcclusion(length=length))))
        for length in (5, 20)
    )
    ages = [frame['hidden_for'] for frame in long['frames']]
    end = ages.index(5) + 1
    answers = [np.stack(list(predict(results))) for results in (short, long)]
    np.testing.assert_array_equal(answers[0][:end], answers[1][:end])
    assert (answers[0][end:] != answers[1][end:]).any()
