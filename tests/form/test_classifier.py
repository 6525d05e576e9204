"""The door from joints to a form class, by what ships and on real squats."""

import json

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate

from rpstn.checkpoints import SHIPPED, ModelError
from rpstn.errors import SettingError
from rpstn.form.classifier import FormClassifier, FormPrediction, calibrate
from rpstn.form.datasets import SkeletonFormDataset
from rpstn.pose.datasets import find_data
from rpstn.skeletons import get_skeleton, map_joints

NAMES = ('squat', 'squat_distances')
try:
    REAL = find_data('squat_mediapipe19/labels.csv').parent
except FileNotFoundError:
    REAL = None
real = pytest.mark.skipif(REAL is None, reason='squat_mediapipe19 is not there')


@pytest.fixture(scope='module', params=NAMES)
def classifier(request):
    return FormClassifier.from_pretrained(request.param)


def squat(frames=40, seed=0) -> np.ndarray:
    """(T, 33, 3) metres, y up: hips go down and up again above feet that stand."""
    rng = np.random.default_rng(seed)
    skeleton = get_skeleton('blazepose33')
    body = rng.normal(0, 0.05, (33, 3))
    for names, height in (('ankle', 0.1), ('knee', 0.5), ('hip', 0.9), ('shoulder', 1.4)):
        for side, x in (('left', 0.15), ('right', -0.15)):
            body[skeleton.index(f'{side}_{names}')] = x, height, 0
    down = np.sin(np.linspace(0, np.pi, frames))[:, None, None]
    moving = body[None].repeat(frames, 0)
    moving[..., 1:2] *= 1 - 0.3 * down
    return moving.astype(np.float32)


def test_it_answers_probabilities_that_depend_on_movement_alone(classifier):
    joints = squat()
    seen = classifier(joints, 'blazepose33')
    assert sum(seen.probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert 0 < seen.right < 1 and seen.label in (*classifier.classes, 'unsure')
    # Whether the hips or the feet stay where they are must not matter, nor which side is which.
    skeleton = get_skeleton('blazepose33')
    hips = [skeleton.index(f'{side}_hip') for side in ('left', 'right')]
    moved = joints - joints[:, hips].mean(1, keepdims=True)
    mirrored = joints[:, list(skeleton.flip_indices)] * [-1, 1, 1]
    # (Only the pipeline of the first averages a clip and its mirror image.)
    averaged = any('AddMirrored' in repr(step) for step in classifier.transforms)
    for other in (moved, mirrored) if averaged else (moved,):
        assert list(classifier(other, skeleton).probabilities.values()) == pytest.approx(
            list(seen.probabilities.values()), abs=0.01
        )


@real
@pytest.mark.parametrize('name', NAMES)
def test_it_says_what_the_recognizer_says_in_a_test(name):
    """Joints in metres, y up, through the door, or the data set's own through its loader."""
    saved = json.loads((SHIPPED / f'form_{name}.json').read_text())
    dataset = Config(saved['recognizer']).test_dataloader.dataset
    items = SkeletonFormDataset(
        data_root=str(REAL),
        prepare=dataset.prepare,
        pipeline=dataset.pipeline,
        split=dict(type='given', part='test'),
        indices=12,
        test_mode=True,
    )
    raw = np.load(REAL / 'keypoints3d.npz')
    classifier = FormClassifier.from_pretrained(name)
    for number in range(12):
        with torch.inference_mode():
            sample = classifier.model.test_step(pseudo_collate([items[number]]))[0]
        joints = raw[items.get_data_info(number)['frame_dir']]
        got = classifier.scores(joints * np.float32([0.01, -0.01, -0.01]), 'mediapipe19')
        np.testing.assert_allclose(got, sample.pred_score.numpy(), atol=1e-3)


@real
def test_it_knows_the_squats_it_was_trained_on_about_the_hips():
    """As a network answers them that looks at one image at a time."""
    rows = [row.split(',') for row in (REAL / 'labels.csv').read_text().splitlines()[1::40]]
    raw = np.load(REAL / 'keypoints3d.npz')
    classifier, skeleton = FormClassifier.from_pretrained('squat'), get_skeleton('mediapipe19')
    hips = [skeleton.index(f'{side}_hip') for side in ('left', 'right')]
    right = 0
    for name, label, *_ in rows:
        joints = raw[name] * np.float32([0.01, -0.01, -0.01])
        joints = joints - joints[:, hips].mean(1, keepdims=True)
        right += classifier(joints, skeleton).best == label
    assert right >= 0.6 * len(rows)


def test_a_clip_is_the_mean_of_its_repetitions(classifier):
    ones = [classifier(squat(seed=seed), 'blazepose33') for seed in range(3)]
    whole = classifier.whole(ones)
    for name in classifier.classes:
        expected = np.mean([one.probabilities[name] for one in ones])
        assert whole.probabilities[name] == pytest.approx(expected)
    assert whole.unsure_below == ones[0].unsure_below


def test_what_is_missing_is_named(classifier):
    joints = squat()
    joints[:, get_skeleton('blazepose33').index('left_knee')] = np.nan
    with pytest.raises(SettingError, match='got none of left_knee'):
        classifier(joints, 'blazepose33')
    # Without feet less is known; the probabilities still are some.
    seen = classifier(map_joints(squat(), 'blazepose33', 'coco17'), 'coco17')
    assert sum(seen.probabilities.values()) == pytest.approx(1, abs=1e-5)
    with pytest.raises(SettingError, match='at least 2'):
        classifier(squat(1), 'blazepose33')


def test_what_it_leaned_on_is_the_slope_of_the_score():
    """Against a small step of all distances towards what they were at the start."""
    classifier = FormClassifier.from_pretrained('squat_distances')
    leaned = classifier.leaned_on(squat(), 'blazepose33')
    assert leaned.shape == (64, 171) and np.abs(leaned[0]).max() == 0
    packed = pseudo_collate([classifier._item(squat(), 'blazepose33')])
    inputs = classifier.model.data_preprocessor(packed, False)['inputs'].flatten(0, 2)
    head, backbone = classifier.model.cls_head, classifier.model.backbone
    with torch.no_grad():
        distances = classifier.model.represent(inputs)
        step = distances - distances[..., :1]
        best = head(backbone(distances)[:, None])[0].argmax()
        higher, lower = (
            head(backbone(distances + size * step)[:, None])[0, best] for size in (1e-3, -1e-3)
        )
    assert leaned.sum() == pytest.approx(float(higher - lower) / 2e-3, rel=0.02)
    with pytest.raises(SettingError, match='leans on'):
        FormClassifier.from_pretrained('squat').leaned_on(squat(), 'blazepose33')


def test_unknown_and_damaged_ones_are_refused(tmp_path):
    with pytest.raises(ModelError, match=r"no classifier called 'plank'.*there: squat"):
        FormClassifier.from_pretrained('plank')
    (tmp_path / 'form_squat.json').write_bytes((SHIPPED / 'form_squat.json').read_bytes())
    (tmp_path / 'form_squat.pt').write_bytes((SHIPPED / 'form_squat_distances.pt').read_bytes())
    with pytest.raises(ModelError, match='form_squat.pt'):
        FormClassifier.from_pretrained('squat', tmp_path)


def test_temperature_keeps_the_order_and_its_limits_are_known():
    scores = np.array([0.7, 0.2, 0.1])
    assert calibrate(scores, 1) == pytest.approx(scores)
    assert calibrate(scores, 2) == pytest.approx(np.sqrt(scores) / np.sqrt(scores).sum())
    assert calibrate(scores, 1e6) == pytest.approx(np.full(3, 1 / 3), abs=1e-5)
    assert calibrate(scores, 0.01) == pytest.approx([1, 0, 0], abs=1e-5)


def test_unsure_from_the_stated_probability_on():
    for limit, label in ((0.7, 'a'), (0.7001, 'unsure')):
        assert FormPrediction({'a': 0.7, 'b': 0.3}, limit).label == label
    assert FormPrediction({'a': 1.0}).right is None


def test_all_weights_of_the_wheel_together_are_small():
    assert sum(path.stat().st_size for path in SHIPPED.glob('*.pt')) <= 30e6
