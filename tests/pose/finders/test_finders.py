"""Finders of people: what moves, what MediaPipe detects, and clear words where one cannot work."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope, init_default_scope
from torch import nn

from rpstn.checkpoints import ModelError, load_all_weights
from rpstn.data.paths import find_data
from rpstn.pose.boxes import overlap
from rpstn.pose.finders import (
    FinderError,
    FoundPerson,
    MotionFinder,
    RTMDetFinder,
    WholeFrame,
    build_finder,
)
from rpstn.pose.finders.rtmdet import label_of_people, load_detector, people_of
from rpstn.video.frames import open_frames

SIZE = (320, 240)


def scene(*boxes, light: float = 1.0) -> np.ndarray:
    """A fixed textured room, with sensor noise, in which boxes of another texture stand."""
    room = np.random.default_rng(0).integers(40, 120, (24, 32, 3)).astype(np.float32)
    image = cv2.resize(room, SIZE) * light
    for x1, y1, x2, y2 in boxes:
        image[y1:y2, x1:x2] = np.random.default_rng(1).integers(120, 250, (y2 - y1, x2 - x1, 3))
    scene.noise += 1
    noise = np.random.default_rng(scene.noise).normal(0, 2, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


scene.noise = 10


def boxes_of(people: Sequence[FoundPerson]) -> np.ndarray:
    """(N, 4) float32, inside of an image of any size."""
    assert all(isinstance(person, FoundPerson) for person in people)
    assert all(p.box.dtype == np.float32 and p.box.shape == (4,) for p in people)
    assert all(0 <= p.score <= 1 and p.body is None for p in people)
    return np.reshape([person.box for person in people], (-1, 4))


def test_the_whole_frame_is_one_box():
    np.testing.assert_array_equal(boxes_of(WholeFrame().find(scene(), 0)), [[0, 0, 319, 239]])


def test_who_moves_is_found_and_who_does_not_is_not():
    finder = MotionFinder(margin=0.0)
    finder.observe(scene())
    assert not finder.find(scene()), 'all is new in a first frame'
    for _ in range(20):
        finder.observe(scene())
        assert len(finder.find(scene())) == 0, 'noise is no motion'
    for t in range(15):
        large, small = (40 + 5 * t, 60, 90 + 5 * t, 180), (270 - 4 * t, 20, 300 - 4 * t, 90)
        finder.observe(scene(large, small))
        boxes = boxes_of(finder.find(scene()))
        assert boxes.shape == (2, 4)
        for box, truth in zip(boxes, (large, small)):
            assert overlap(box, np.float32(truth)) > 0.75, t


def test_parts_of_one_person_are_joined_and_specks_left_out():
    finder = MotionFinder(margin=0.0)
    for _ in range(10):
        finder.observe(scene())
    head, body = (150, 40, 180, 70), (140, 76, 190, 170)  # six pixels apart
    finder.observe(scene(head, body, (20, 20, 26, 26)))
    (box,) = boxes_of(finder.find(scene()))
    assert overlap(box, np.float32((140, 40, 190, 170))) > 0.75


def test_a_margin_is_added_within_the_image():
    boxes = {}
    for margin in (0.0, 0.5):
        finder = MotionFinder(margin=margin)
        for _ in range(5):
            finder.observe(scene())
        finder.observe(scene((0, 100, 60, 200)))
        (boxes[margin],) = boxes_of(finder.find(scene()))
    np.testing.assert_allclose(boxes[0.5][1], boxes[0.0][1] - 50, atol=3)
    np.testing.assert_allclose(boxes[0.5][2], boxes[0.0][2] + 30, atol=3)
    assert boxes[0.5][0] == 0 and boxes[0.5][3] == 239


def test_streams_have_backgrounds_of_their_own():
    finder = MotionFinder()
    for _ in range(5):
        finder.observe(scene(), 'a')
        finder.observe(scene((100, 50, 160, 200)), 'b')
    finder.observe(scene((100, 50, 160, 200)), 'a')
    finder.observe(scene((100, 50, 160, 200)), 'b')
    assert len(finder.find(scene(), 'a')) == 1 and len(finder.find(scene(), 'b')) == 0
    finder.forget('a')
    assert len(finder.find(scene(), 'a')) == 0
    finder.observe(scene(), 'a')
    assert len(finder.find(scene(), 'a')) == 0, 'a first frame again'
    finder.forget('never seen')


def real_frames(name: str) -> list[np.ndarray]:
    try:
        return [frame.image for frame in open_frames(find_data(f'videos/{name}.mp4'))]
    except FileNotFoundError:
        pytest.skip(f'videos/{name}.mp4 is not there')


def test_mediapipe_finds_the_person_of_a_real_video():
    pytest.importorskip('mediapipe')
    images = real_frames('person_1080p')
    finder = build_finder('mediapipe')
    (box,) = boxes_of(finder.find(images[10]))
    assert (box >= 0).all() and (box[2:] < (1920, 1080)).all()
    assert box[3] - box[1] > 300 and (box[2:] - box[:2] > 100).all()
    # A part of the image, half as large: found at the place that follows.
    part = cv2.resize(images[10][100:1060, 500:1500], (500, 480), interpolation=cv2.INTER_AREA)
    (moved,) = boxes_of(finder.find(part))
    assert overlap(2 * moved + np.float32([500, 100, 500, 100]), box) > 0.8
    assert not finder.find(np.zeros((240, 320, 3), np.uint8))
    finder.forget(0)
    finder.close()


def test_a_finder_says_what_to_install(run_python):
    code = """
import rpstn
from rpstn.pose.finders import FinderError, build_finder
try:
    build_finder('mediapipe')
except FinderError as error:
    print(error)
"""
    said = run_python(code, hidden=('mediapipe',))
    assert said.returncode == 0, said.stderr
    assert 'requirements/mediapipe.txt' in said.stdout


@pytest.mark.skipif(find_spec('mmdet') is not None, reason='mmdet is installed')
def test_rtmdet_says_that_it_needs_mmdetection():
    with pytest.raises(FinderError, match='not installed: .*mmdet. Install with: .*mmdet==3.3.0'):
        RTMDetFinder()


def test_files_of_a_detector_are_looked_at_first(tmp_path):
    config = str(tmp_path / 'detector.py')
    for name in (config, 'detector.yaml'):
        with pytest.raises(FinderError, match='a config file of a detector .*--det-weights'):
            load_detector(name, None, 'cpu')
    with pytest.raises(FinderError, match='detector.py: no such file'):
        load_detector(config, 'https://example.com/detector.pth', 'cpu')
    with pytest.raises(FinderError, match='detector.pth: no such file'):
        load_detector('rtmdet_m_8xb32-300e_coco', str(tmp_path / 'detector.pth'), 'cpu')
    unsafe = tmp_path / 'unsafe.pth'
    torch.save(dict(state_dict=Path), unsafe)
    with pytest.raises(ModelError, match='unsafe.pth: not loaded, .*not known to be safe'):
        load_detector('rtmdet_m_8xb32-300e_coco', str(unsafe), 'cpu')
    with pytest.raises(ModelError, match='nowhere.pth: cannot be downloaded'):
        load_detector('rtmdet_m_8xb32-300e_coco', 'http://127.0.0.1:9/nowhere.pth', 'cpu')
    with pytest.raises(FinderError, match='mmdet://a: no such file'):
        load_detector('rtmdet_m_8xb32-300e_coco', 'mmdet://a', 'cpu')


def test_a_detector_must_know_people():
    assert label_of_people(('car', 'Person', 'pedestrian')) == 1
    with pytest.raises(FinderError, match='knows no people, but: aeroplane, bicycle'):
        label_of_people(('aeroplane', 'bicycle'))


class Scaled(nn.Sequential):
    """Layers whose weights had another name once, and a weight that is one number."""

    def __init__(self):
        super().__init__(nn.Linear(2, 3), nn.BatchNorm1d(3))
        self.scale = nn.Parameter(torch.tensor(1.0))

    def _load_from_state_dict(self, weights, prefix, *args):
        if prefix + 'zoom' in weights:
            weights[prefix + 'scale'] = weights.pop(prefix + 'zoom')
        super()._load_from_state_dict(weights, prefix, *args)


def test_a_detector_has_all_of_its_weights_from_the_checkpoint():
    weights = Scaled().state_dict()
    model = Scaled()
    load_all_weights(model, dict(state_dict={f'module.{k}': v for k, v in weights.items()}))
    torch.testing.assert_close(model.state_dict(), weights)
    renamed = {k.replace('scale', 'zoom'): v for k, v in weights.items()}
    renamed.pop('1.num_batches_tracked')
    load_all_weights(model, dict(renamed, more=torch.zeros(1)))
    with pytest.raises(RuntimeError, match='^1 weights are missing, the first scale$'):
        load_all_weights(model, {k: v for k, v in weights.items() if k != 'scale'})
    with pytest.raises(RuntimeError, match='^1 weights have another shape, the first 0.weight$'):
        load_all_weights(model, dict(weights, **{'0.weight': torch.zeros(3, 1)}))


@pytest.fixture
def detector(tmp_path) -> tuple[str, str]:
    """RTMDet-tiny that knows people only, random, and its weights."""
    pytest.importorskip('mmdet')
    pytest.importorskip('mmcv._ext')
    from mmdet.apis import DetInferencer
    from mmengine.utils import get_installed_path

    config = tmp_path / 'detector.py'
    base = Path(get_installed_path('mmdet')) / '.mim/configs/rtmdet/rtmdet_tiny_8xb32-300e_coco.py'
    config.write_text(
        f'_base_ = {str(base)!r}\n'
        'model = dict(backbone=dict(init_cfg=None), bbox_head=dict(num_classes=1))\n'
    )
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = DetInferencer(str(config), None, 'cpu').model
    weights = tmp_path / 'detector.pth'
    torch.save(
        dict(state_dict=model.state_dict(), meta=dict(dataset_meta=dict(classes=('person',)))),
        weights,
    )
    return str(config), str(weights)


def test_rtmdet_gives_what_mmdetection_gives(detector):
    from mmdet.apis import inference_detector, init_detector

    image = scene((100, 60, 150, 180))
    with DefaultScope.overwrite_default_scope('mmdet'):
        expected = inference_detector(init_detector(*detector, device='cpu'), image).pred_instances
    threshold = float(expected.scores[3:5].mean())
    init_default_scope('mmpose')
    finder = build_finder('rtmdet', config=detector[0], checkpoint=detector[1], min_score=threshold)
    people = finder.find(image)
    assert DefaultScope.get_current_instance().scope_name == 'mmpose'
    expected = people_of(
        dict(
            bboxes=expected.bboxes.tolist(),
            scores=expected.scores.tolist(),
            labels=expected.labels.tolist(),
        ),
        threshold,
    )
    assert 1 <= len(people) <= 4
    np.testing.assert_allclose(boxes_of(people), boxes_of(expected), atol=1e-2)
    np.testing.assert_allclose([p.score for p in people], [p.score for p in expected], atol=1e-4)


def test_weights_of_another_detector_are_refused(detector):
    config, weights = detector
    saved = torch.load(weights)
    del saved['state_dict']['backbone.stem.0.conv.weight']
    torch.save(saved, weights)
    with pytest.raises(FinderError, match='does not fit .* 1 weights are missing.*stem.0.conv'):
        build_finder('rtmdet', config=config, checkpoint=weights)


def test_an_unknown_finder_is_refused():
    with pytest.raises(ValueError, match=r"one of blazepose, frame, .*got 'yolo'"):
        build_finder('yolo')
    assert isinstance(build_finder('frame'), WholeFrame)
    assert build_finder('motion', min_area=0.2).min_area == 0.2


def test_people_are_chosen_among_detections():
    boxes = [[0, 0, 10, 10], [50, 0, 60, 10], [1, 0, 11, 10], [80, 0, 90, 9], [0, 50, 9, 60]]
    prediction = dict(bboxes=boxes, scores=[0.6, 0.9, 0.7, 0.95, 0.4], labels=[0, 0, 0, 16, 0])
    people = people_of(prediction, 0.5)
    np.testing.assert_array_equal(boxes_of(people), [boxes[1], boxes[2]])
    assert [person.score for person in people] == [0.9, 0.7]
    np.testing.assert_array_equal(boxes_of(people_of(prediction, 0.5, label=16)), [boxes[3]])
    assert people_of(dict(bboxes=[], scores=[], labels=[]), 0.5) == []
