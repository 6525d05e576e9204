"""Figures of the table: jitter against loops, PCK of known answers, occluders, the reference."""

import numpy as np
import pytest

from rpstn.pose.datasets import find_data
from rpstn.simulation import SpanOccluders
from rpstn.skeletons import map_joints

from lite_evaluation import (
    Evaluation,
    acceleration_error,
    evaluate,
    jhmdb_clips,
    swapped_sides,
    videos,
)
from lite_table import COLUMNS, cells, difference_table, legend_text, main_table, mean_text

try:
    find_data('jhmdb')
except FileNotFoundError:
    pytest.skip('the clips of JHMDB are not here', allow_module_level=True)


@pytest.fixture(scope='module')
def dataset():
    return jhmdb_clips('val')


def truth_of(results: dict) -> np.ndarray:
    return np.stack([frame['keypoints'][0] for frame in results['frames']])


def nobody_in(results: dict) -> np.ndarray:
    return np.full((len(results['frames']), 15, 2), np.nan)


def test_acceleration_error_against_loops():
    rng = np.random.default_rng(0)
    predicted, truth = rng.normal(size=(2, 7, 3, 2))
    labelled = rng.random((7, 3)) > 0.2
    predicted[3, 1] = np.nan
    expected = []
    for t in range(1, 6):
        for k in range(3):
            a, b = (p[t - 1, k] - 2 * p[t, k] + p[t + 1, k] for p in (predicted, truth))
            if labelled[t - 1 : t + 2, k].all() and np.isfinite(a).all():
                expected.append(np.linalg.norm(a - b))
    np.testing.assert_allclose(
        np.sort(acceleration_error(predicted, truth, labelled)), np.sort(expected)
    )
    # Neither an offset nor a drift is jitter.
    drift = truth + 5 + np.arange(7)[:, None, None] * 0.3
    np.testing.assert_allclose(
        acceleration_error(drift, truth, np.ones((7, 3), bool)), 0, atol=1e-9
    )


def test_swapped_sides_are_those_nearer_to_each_others_labels():
    truth = np.zeros((3, 4, 2))
    truth[:, 1, 0], truth[:, 3, 0] = 10, 20  # left at 0, right at 10 and 20
    labelled = np.ones((3, 4), bool)
    pairs = [(0, 1), (2, 3)]
    assert not swapped_sides(truth + 3, truth, labelled, pairs).any()
    swapped = truth.copy()
    swapped[1, [0, 1]] = truth[1, [1, 0]]
    swapped[2, 2:] = truth[2, 3]  # both on one side: not swapped, but wrong
    np.testing.assert_array_equal(
        swapped_sides(swapped, truth, labelled, pairs).reshape(3, 2),
        [[False, False], [True, False], [False, False]],
    )
    swapped[0, 0], labelled[2, 3] = np.nan, False
    assert len(swapped_sides(swapped, truth, labelled, pairs)) == 4


def test_the_truth_is_perfect_and_nothing_is_nothing(dataset):
    row = evaluate('truth', 'labels', truth_of, dataset, every=14)
    assert row.jitter == row.missing == row.swapped == 0
    assert row.limbs('torso') == row.limbs('bbox') == 1
    figures = dict(zip(COLUMNS, cells(row)))
    assert all(value == 100 for name, value in figures.items() if 'torso' in name or 'box' in name)
    nobody = evaluate('nobody', 'nothing', nobody_in, dataset, 14)
    assert nobody.missing == 1 and cells(nobody)[:10] == [0] * 10
    # The counts of clips are those of the figures.
    for normalizer in ('torso', 'bbox'):
        for of in ('clean', 'with occluders', 'occluded'):
            assert row.counts[of][normalizer].pck(np.ones((1, 2))) == [1]
            assert nobody.counts[of][normalizer].pck(np.ones((1, 2))) == [0]


def test_answers_are_one_a_frame(dataset):
    with pytest.raises(ValueError, match='shorter'):
        evaluate('short', 'labels', lambda results: truth_of(results)[1:], dataset, every=20)


def test_the_first_row_is_compared_with_those_that_see_the_same(dataset):
    def shifted(results: dict) -> np.ndarray:
        return truth_of(results) + 1000 * (np.arange(15) < 3)[:, None]

    rows = {
        ('truth', 'clips'): [evaluate('truth', 'clips', truth_of, dataset, every=14)],
        ('shifted', 'clips'): [evaluate('shifted', 'clips', shifted, dataset, every=14)],
        ('nobody', 'frames'): [evaluate('nobody', 'frames', nobody_in, dataset, every=14)],
    }
    line = difference_table(rows).splitlines()[2:]
    assert len(line) == 1 and 'truth less shifted' in line[0]
    assert line[0].count('**+20.0** (+20.0 to +20.0)') == 4  # clean, and covered
    assert difference_table({('truth', 'clips'): rows['truth', 'clips']}) == ''
    assert [text.split('|')[2].strip() for text in main_table(rows).splitlines()[2:]] == [
        'clips',
        'clips',
        'frames',
    ]
    text = legend_text(rows, seed=3, threads=1, flip=False)
    assert '(nobody in 100.0% of the frames)' in text and 'seed 3' in text


def test_only_what_is_covered_counts_as_occluded(dataset):
    """A predictor that is right where nothing is drawn, and far off under what is drawn."""

    def predict(results: dict) -> np.ndarray:
        hidden = np.stack([frame['keypoints_occluded'][0] > 0 for frame in results['frames']])
        return truth_of(results) + 1000 * hidden[..., None]

    row = evaluate('half blind', 'labels', predict, dataset, every=14)
    figures = dict(zip(COLUMNS, cells(row)))
    assert figures['torso'] == figures['box, visible'] == figures['torso, visible'] == 100
    assert figures['torso, occluded'] == figures['box, occluded'] == 0
    assert 50 < figures['torso, with occluders'] == figures['box, with occluders'] < 100


def test_videos_are_whole_and_half_of_their_frames_covered(dataset):
    plain = list(videos(dataset, 14))
    assert [len(r['frames']) for r in plain] == dataset.sequences.lengths()[::14].tolist()
    covered = list(videos(dataset, 14, SpanOccluders()))
    touched = [
        (a['img'] != b['img']).any()
        for p, c in zip(plain, covered)
        for a, b in zip(p['frames'], c['frames'])
    ]
    assert 0.25 < np.mean(touched) < 0.75
    again = list(videos(dataset, 14, SpanOccluders()))
    assert all(
        (a['img'] == b['img']).all()
        for p, c in zip(covered, again)
        for a, b in zip(p['frames'], c['frames'])
    )


def test_several_seeds_show_their_spread():
    assert mean_text([[1.0, np.nan], [3.0, np.nan]]) == ['2.0 ± 1.4', '-']
    assert mean_text([[2.0]]) == ['2.0']
    assert len(
        cells(
            Evaluation(
                'empty',
                'nothing',
                clean={'torso_PCK@0.2/joint/left_knee': 1.0, 'bbox_PCK@0.2/joint/left_knee': 1.0},
            )
        )
    ) == len(COLUMNS)


def test_mediapipe_finds_a_person(dataset):
    pytest.importorskip('mediapipe', reason='mediapipe is not installed')
    from mediapipe_pose import SOURCE, MediaPipePose

    results = next(videos(dataset))
    with MediaPipePose() as pose:
        joints, visible = map(np.stack, zip(*(pose(f['img']) for f in results['frames'][:4])))
    mapped, truth = map_joints(joints, SOURCE, 'jhmdb15'), truth_of(results)[:4]
    size = np.ptp(truth, axis=1).max(-1)
    error = np.linalg.norm(mapped - truth, axis=-1) / size[:, None]
    assert visible.max() > 0.5 and np.median(error) < 0.1
