"""FormMetric and its functions: against scikit-learn, loops and known answers; bad input."""

import logging

import numpy as np
import pytest
import torch
from mmaction.evaluation import AccMetric
from mmaction.registry import METRICS
from mmaction.structures import ActionDataSample
from mmengine.evaluator import Evaluator
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from sklearn import metrics as sk

from rpstn.form.evaluation.metrics import FormMetric
from rpstn.form.evaluation.scores import evaluate_classes, evaluate_labels

CLASSES = ('good', 'knees caving', 'no depth', 'round back')


def samples(scores, labels, name='squat'):
    """As a recognizer gives them, through MMEngine's evaluator."""
    return [
        ActionDataSample(metainfo=dict(frame_dir=f'{name}_{i}'))
        .set_gt_label(torch.as_tensor(label))
        .set_pred_score(torch.as_tensor(score))
        for i, (score, label) in enumerate(zip(scores, labels))
    ]


def evaluate(data_samples, classes=CLASSES, **options):
    init_default_scope('mmaction')
    evaluator = Evaluator(dict(type='FormMetric', **options))
    evaluator.dataset_meta = None if classes is None else dict(classes=classes)
    for start in range(0, len(data_samples), 3):
        evaluator.process(data_samples[start : start + 3])
    return evaluator.evaluate(len(data_samples))


def random_scores(num_samples=200, num_classes=4, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, num_classes, num_samples)
    logits = rng.normal(size=(num_samples, num_classes)) + np.eye(num_classes)[labels]
    return torch.tensor(logits).float().softmax(1).numpy(), labels


def test_figures_are_scikit_learns():
    scores, labels = random_scores()
    guess, p = scores.argmax(1), scores.astype(float)
    result = evaluate(samples(scores, labels), topk=(1, 2))
    expected = dict(
        accuracy=sk.accuracy_score(labels, guess),
        balanced_accuracy=sk.balanced_accuracy_score(labels, guess),
        macro_f1=sk.f1_score(labels, guess, average='macro'),
        top1=sk.accuracy_score(labels, guess),
        top2=sk.top_k_accuracy_score(labels, scores, k=2),
        nll=-np.mean([np.log(p[i, label]) for i, label in enumerate(labels)]),
        brier=np.mean(
            [sum((p[i, c] - (c == label)) ** 2 for c in range(4)) for i, label in enumerate(labels)]
        ),
    )
    for name, value in expected.items():
        assert result[f'form/{name}'] == pytest.approx(value, abs=1e-6), name
    for c, name in enumerate(CLASSES):
        assert result[f'form/precision/{name}'] == pytest.approx(np.mean(labels[guess == c] == c))
        assert result[f'form/recall/{name}'] == pytest.approx(np.mean(guess[labels == c] == c))
        assert result[f'form/f1/{name}'] == pytest.approx(sk.f1_score(labels == c, guess == c))
        assert result[f'form/support/{name}'] == np.sum(labels == c)
    assert len(result) == 9 + 4 * 4  # all others are named above, but for two calibration errors
    assert all(isinstance(value, (int, float)) for value in result.values())
    assert list(result)[0] == 'form/accuracy'  # what save_best='auto' takes


def test_agrees_with_mmactions_metric_on_the_same_samples():
    scores, labels = random_scores()
    data_samples = samples(scores, labels)
    theirs = AccMetric(metric_options=dict(top_k_accuracy=dict(topk=(1, 3))))
    theirs.process({}, [sample.to_dict() for sample in data_samples])
    theirs, ours = theirs.evaluate(200), evaluate(data_samples, topk=(3,))
    assert ours['form/accuracy'] == pytest.approx(theirs['acc/top1'])
    assert ours['form/top3'] == pytest.approx(theirs['acc/top3'])
    assert ours['form/balanced_accuracy'] == pytest.approx(theirs['acc/mean1'])


# Class 3 is neither there nor predicted; class 2 is predicted, not there; class 1 the reverse.
ABSENT = np.array([0, 0, 0, 1]), np.array([0, 0, 2, 0])


def test_classes_without_samples():
    labels, guess = ABSENT
    result = evaluate_classes(np.eye(4)[guess], labels)
    nan = np.nan
    for name, values in dict(
        precision=[2 / 3, nan, 0, nan],
        recall=[2 / 3, 0, nan, nan],
        f1=[2 / 3, 0, 0, nan],
        support=[3, 1, 0, 0],
    ).items():
        np.testing.assert_allclose(result.per_class[name], values, err_msg=name)
    assert result.overall['balanced_accuracy'] == pytest.approx(1 / 3)
    assert result.overall['macro_f1'] == pytest.approx(2 / 9)
    # This is scikit-learn's rule: recall over classes that are there, F1 also over the predicted.
    with pytest.warns(UserWarning, match='not in y_true'):
        assert sk.balanced_accuracy_score(labels, guess) == pytest.approx(1 / 3)
    assert sk.f1_score(labels, guess, average='macro') == pytest.approx(2 / 9)
    assert result.confusion.tolist() == [[2, 0, 1, 0], [1, 0, 0, 0], [0] * 4, [0] * 4]


def test_one_class_alone_and_certain_errors_stay_finite():
    result = evaluate_classes(np.eye(3)[[1, 1]], np.array([1, 1]))
    assert result.overall['balanced_accuracy'] == result.overall['macro_f1'] == 1
    assert result.overall['nll'] == pytest.approx(0)
    result = evaluate_classes(np.eye(2)[[1, 1]], np.array([0, 0]), topk=(2,))
    assert result.overall['accuracy'] == 0 and result.overall['top2'] == 1
    assert 30 < result.overall['nll'] < 40 and result.overall['brier'] == 2
    assert result.overall['ece'] == 1


def test_labels_figures_are_scikit_learns():
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 2, (100, 4))
    scores = 1 / (1 + np.exp(-rng.normal(size=(100, 4)) - targets + 0.5))
    result = evaluate(samples(scores, targets), multi_class=True)
    guess = (scores > 0.5).astype(int)
    assert result['form/mAP'] == pytest.approx(
        sk.average_precision_score(targets, scores, average='macro')
    )
    assert result['form/macro_f1'] == pytest.approx(sk.f1_score(targets, guess, average='macro'))
    assert result['form/exact_match'] == pytest.approx(
        np.mean([list(a) == list(b) for a, b in zip(targets, guess)])
    )
    assert result['form/brier'] == pytest.approx(
        np.mean([sk.brier_score_loss(targets[:, c], scores[:, c]) for c in range(4)])
    )
    for c, name in enumerate(CLASSES):
        for figure, function in dict(
            precision=sk.precision_score, recall=sk.recall_score, f1=sk.f1_score
        ).items():
            assert result[f'form/{figure}/{name}'] == pytest.approx(
                function(targets[:, c], guess[:, c])
            ), figure
        assert result[f'form/average_precision/{name}'] == pytest.approx(
            sk.average_precision_score(targets[:, c], scores[:, c])
        )
        assert result[f'form/support/{name}'] == targets[:, c].sum()
    strict = evaluate(samples(scores, targets), multi_class=True, threshold=0.9)
    assert strict['form/recall/good'] < result['form/recall/good']


@pytest.mark.filterwarnings('error')
def test_labels_that_none_or_all_bear():
    """Columns: borne by none and never predicted; by none, predicted; by all; by some."""
    targets = np.array([[0, 0, 1, 1], [0, 0, 1, 0]])
    scores = np.array([[0.1, 0.9, 0.8, 0.7], [0.2, 0.1, 0.4, 0.3]])
    result = evaluate_labels(scores, targets)
    nan = np.nan
    for name, values in dict(
        precision=[nan, 0, 1, 1],
        recall=[nan, nan, 0.5, 1],
        f1=[nan, 0, 2 / 3, 1],
        average_precision=[nan, nan, 1, 1],
        support=[0, 0, 2, 1],
    ).items():
        np.testing.assert_allclose(result.per_class[name], values, err_msg=name)
    assert result.overall['mAP'] == 1 and result.overall['exact_match'] == 0
    assert result.overall['macro_f1'] == pytest.approx((0 + 2 / 3 + 1) / 3)
    # One label alone, which nobody bears: nothing is defined, and nothing fails.
    result = evaluate_labels(np.array([[0.1], [0.2]]), np.array([[0], [0]]))
    assert np.isnan(result.overall['mAP']) and result.overall['exact_match'] == 1


def test_tables_are_logged(caplog):
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    labels, guess = ABSENT
    with caplog.at_level(logging.INFO):
        evaluate(samples(np.eye(4)[guess], labels))
    logger.removeHandler(caplog.handler)
    assert '| knees caving |         - |    0.0 |  0.0 |       1 |' in caplog.text
    assert '| 0 good           |   2 |   0 |   1 |   0 |' in caplog.text
    assert "2 classes have no sample here, and no recall: ['no depth', 'round back']" in caplog.text


@pytest.mark.parametrize(
    'scores, label, options, message',
    [
        (torch.ones(3) / 3, 0, {}, r'4 classes .*pred_score has 3 scores'),
        (torch.tensor([0.5, 0.5, 0, torch.nan]), 0, {}, r'pred_score of squat_0 must be finite'),
        (torch.tensor([1.0, 0, 0, torch.inf]), 0, dict(num_bins=None), r'must be finite'),
        (torch.tensor([3.0, 1, 0, -1]), 0, {}, r"sum to 1 \(average_clips='prob'.*num_bins=None"),
        (torch.tensor([0.9, 0.9, 0.9, 0.9]), 0, {}, r'sum to 1'),
        (torch.tensor([3.0, 1, 0, 0]), [0, 0, 1, 0], dict(multi_class=True), r'within \[0, 1\]'),
        (torch.ones(4) / 4, 4, {}, r'gt_label of squat_0 .* 0 to 3, got 4'),
        (torch.ones(4) / 4, -1, {}, r'0 to 3, got -1'),
        (torch.ones(4) / 4, [0, 1, 0, 1], {}, r'one class, got \[0 1 0 1\].*multi_class=True'),
        (torch.ones(4) / 4, [0, 1, 0], dict(multi_class=True), r'4 numbers 0 or 1, got \[0 1 0\]'),
        (torch.ones(4) / 4, [0, 2, 0, 0], dict(multi_class=True), r'4 numbers 0 or 1'),
        (torch.ones(2, 4) / 4, 0, {}, r'vector of one score per class.*\(2, 4\)|\[2, 4\]'),
        (dict(rgb=torch.ones(4), pose=torch.ones(4)), 0, {}, r'vector of one score.*got dict'),
    ],
)
def test_samples_that_do_not_fit_are_named(scores, label, options, message):
    sample = ActionDataSample(metainfo=dict(frame_dir='squat_0')).set_gt_label(label)
    sample.set_field(scores, 'pred_score')
    with pytest.raises(ValueError, match=f'FormMetric: .*{message}'):
        evaluate([sample], **options)


def test_other_bad_input():
    ok, short = samples([torch.ones(4) / 4, torch.ones(3) / 3], [0, 0])
    with pytest.raises(ValueError, match=r'squat_1 has shape \(3,\).*before it \(4,\)'):
        evaluate([ok, short], classes=None)
    with pytest.raises(ValueError, match='no sample'):
        evaluate([])
    with pytest.raises(ValueError, match='class names must differ'):
        evaluate([ok], classes=('a', 'b', 'a', 'c'))
    with pytest.raises(ValueError, match='num_bins must be at least 1 or None, got 0'):
        FormMetric(num_bins=0)
    with pytest.raises(ValueError, match=r'topk .*got \(0, 1\)'):
        FormMetric(topk=(0, 1))
    with pytest.raises(ValueError, match=r'none with multi_class=True, got \(2,\)'):
        FormMetric(topk=(2,), multi_class=True)


def test_options():
    scores, labels = random_scores()
    # Logits, where no probabilities are needed; the data set without names; another prefix.
    result = evaluate(samples(9 * scores - 5, labels), classes=None, num_bins=None, prefix='fold0')
    assert set(result) == {'fold0/accuracy', 'fold0/balanced_accuracy', 'fold0/macro_f1'} | {
        f'fold0/{figure}/{c}'
        for figure in ('precision', 'recall', 'f1', 'support')
        for c in range(4)
    }
    assert result['fold0/accuracy'] == evaluate(samples(scores, labels))['form/accuracy']
    assert not [
        name for name in evaluate(samples(scores, labels), per_class=False) if name.count('/') > 1
    ]
    assert METRICS.get('FormMetric') is FormMetric
    # Half precision, as of mixed precision, whose rows sum to 1 only about.
    half = [torch.tensor(row).bfloat16() for row in scores]
    assert evaluate(samples(half, labels))['form/nll'] == pytest.approx(
        evaluate(samples(scores, labels))['form/nll'], abs=0.01
    )
    rounded = samples([[1.0004, 0, 0, 0]], [[1, 0, 0, 0]])
    assert evaluate(rounded, multi_class=True)['form/brier'] == 0


GATHER = """
import rpstn, torch, torch.distributed as dist, torch.multiprocessing as mp
from rpstn.form.evaluation.metrics import FormMetric

def work(rank, address):
    dist.init_process_group('gloo', init_method=address, rank=rank, world_size=2)
    metric = FormMetric(log_tables=False)
    metric.dataset_meta = dict(classes=('a', 'b'))
    # Five samples, dealt out in turn; the last one of rank 1 repeats the first.
    labels, guesses = [0, 1, 1, 0, 1, 0], [0, 1, 0, 1, 1, 0]
    for i in range(rank, 6, 2):
        metric.process({}, [dict(pred_score=torch.eye(2)[guesses[i]],
                                 gt_label=torch.tensor([labels[i]]))])
    figures = metric.evaluate(5)
    assert figures['form/accuracy'] == 3 / 5, figures
    assert figures['form/support/a'] == 2 and figures['form/recall/b'] == 2 / 3, figures

mp.start_processes(work, ('file://{file}',), 2,
                   start_method='fork')
"""


def test_two_processes_gather_and_drop_what_a_sampler_repeats(run_python, tmp_path):
    done = run_python(GATHER.replace('{file}', str(tmp_path / 'store')))
    assert done.returncode == 0, done.stderr
