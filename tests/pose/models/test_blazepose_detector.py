"""BlazePose's detector answers what MediaPipe's answers, and its answers lie where people are."""

import io

import cv2
import numpy as np
import pytest
import torch

from rpstn.errors import SettingError
from rpstn.pose import BlazePoseDetector
from rpstn.pose.datasets import find_data
from rpstn.pose.models.blazepose_detection import anchor_centers, decode, detect
from rpstn.pose.models.blazepose_detector import depth_to_space
from rpstn.pose.models.blazepose_tflite import TFLiteError
from rpstn.pose.models.blazepose_weights import DETECTOR_FILE, detector_weights, mediapipe_file


@pytest.fixture(scope='module')
def weights() -> dict[str, torch.Tensor]:
    """MediaPipe's."""
    try:
        return detector_weights()
    except TFLiteError as error:
        pytest.skip(str(error))


@pytest.fixture(scope='module')
def detector(weights) -> BlazePoseDetector:
    model = BlazePoseDetector()
    model.load_state_dict(weights, strict=True)
    return model.eval()


def frame(name: str, number: int) -> np.ndarray:
    try:
        video = cv2.VideoCapture(str(find_data(name)))
    except FileNotFoundError as error:
        pytest.skip(f'needs real data: {error}')
    for _ in range(number + 1):
        read, image = video.read()
    return image


def squat() -> np.ndarray:
    """One person, seen from the front, (426, 240, 3)."""
    return frame('videos/squat_bending_forward.mp4', 20)


def assert_as_released(model: BlazePoseDetector, images: list[np.ndarray]) -> None:
    """Inputs (224, 224, 3) in [-1, 1]."""
    runtime = pytest.importorskip(
        'ai_edge_litert.interpreter', reason='the TFLite runtime ai-edge-litert is not installed'
    )
    interpreter = runtime.Interpreter(str(mediapipe_file(DETECTOR_FILE)))
    interpreter.allocate_tensors()
    for image in images:
        interpreter.set_tensor(interpreter.get_input_details()[0]['index'], image[None])
        interpreter.invoke()
        out = {
            d['name']: interpreter.get_tensor(d['index']) for d in interpreter.get_output_details()
        }
        with torch.inference_mode():
            logits, values = model(torch.from_numpy(image.transpose(2, 0, 1)[None].copy()))
        assert np.abs(logits.numpy() - out['Identity_1'][..., 0]).max() < 5e-3
        assert np.abs(values.numpy() - out['Identity']).max() < 0.02  # pixels
        # Where it matters, more closely: a person's score.
        best = logits[0].argmax()
        score = 1 / (1 + np.exp(-out['Identity_1'][0, best, 0]))
        assert abs(logits[0, best].sigmoid().item() - score) < 1e-4


def test_noise_is_answered_as_by_the_released_network(detector):
    rng = np.random.default_rng(0)
    assert_as_released(detector, list(rng.uniform(-1, 1, (2, 224, 224, 3)).astype(np.float32)))


def test_real_frames_are_answered_as_by_the_released_network(detector):
    frames = [squat(), *(frame('videos/person_1080p.mp4', n) for n in (10, 60))]
    inputs = [cv2.resize(f, (224, 224))[..., ::-1] / np.float32(127.5) - 1 for f in frames]
    assert_as_released(detector, inputs)


def test_three_quarters_of_the_pointwise_weights_were_pruned(weights):
    pointwise = [w for n, w in weights.items() if n.startswith('encoder') and w.shape[2:] == (1, 1)]
    zeros = sum(int((w == 0).sum()) for w in pointwise) / sum(w.numel() for w in pointwise)
    assert len(pointwise) == 30 and zeros == pytest.approx(0.75, abs=0.001)


def test_depth_to_space_is_tensorflows():
    features = torch.arange(2 * 8 * 3 * 2).view(2, 8, 3, 2)
    spread = depth_to_space(features)
    assert spread.shape == (2, 2, 6, 4)
    for n, channel, row, column in np.ndindex(*spread.shape):
        quarter = 2 * (row % 2) + column % 2
        expected = features[n, 2 * quarter + channel, row // 2, column // 2]
        assert spread[n, channel, row, column] == expected


def test_anchors_are_the_centres_of_the_cells():
    expected = []
    for stride, anchors in ((8, 2), (16, 2), (32, 6)):
        for row in range(224 // stride):
            for column in range(224 // stride):
                expected += [((column + 0.5) * stride, (row + 0.5) * stride)] * anchors
    np.testing.assert_array_equal(anchor_centers(), np.array(expected))
    logits, values = BlazePoseDetector()(torch.zeros(1, 3, 224, 224))
    assert logits.shape == (1, len(expected)) and values.shape == (1, len(expected), 12)


def test_other_sizes_are_refused():
    with pytest.raises(SettingError, match=r'shape \(N, 3, 224, 224\), got \(1, 3, 256, 256\)'):
        BlazePoseDetector()(torch.zeros(1, 3, 256, 256))


def test_people_are_decoded_from_anchors():
    logits, values = np.full(2254, -150.0), np.zeros((2254, 12))
    values[:, 2:4] = 40
    # Hips 50 pixels below the face, the circle's point 120 above the hips, to their right.
    values[:, 4:8] = 0, 50, 72, -46
    first, double, second, unsure = (
        2 * (28 * 10 + 5),
        2 * (28 * 10 + 6),
        1568 + 2 * (14 * 2 + 11),
        0,
    )
    logits[[first, double, second, unsure]] = 2, 3, 1, -0.1
    found = decode(logits, values)
    np.testing.assert_allclose(found.scores, 1 / (1 + np.exp([-3.0, -1])), rtol=1e-6)
    centers = np.array([(52, 84), (184, 40)])
    np.testing.assert_allclose(found.faces, np.hstack([centers - 20, centers + 20]))
    np.testing.assert_allclose(found.centers, centers + (0, 50))
    np.testing.assert_allclose(found.radii, 120)
    np.testing.assert_allclose(np.sin(found.angles), 72 / 120)
    np.testing.assert_allclose(np.cos(found.angles), 96 / 120)
    np.testing.assert_allclose(found.boxes[0], (52 - 120, 134 - 120, 52 + 120, 134 + 120))
    assert len(decode(logits, values, max_overlap=0.9).scores) == 3
    assert len(decode(logits, values, min_score=0.4).scores) == 3
    nobody = decode(logits - 50, values)
    assert nobody.points.shape == (0, 4, 2) and nobody.boxes.shape == (0, 4)
    assert nobody.angles.shape == (0,)


def test_a_person_is_found_where_they_are(detector):
    image = squat()
    (score,), (center,), (radius,), (angle,) = (
        getattr(found, name)
        for found in [detect(detector, image)]
        for name in ('scores', 'centers', 'radii', 'angles')
    )
    # Looked at: hips at (110, 280), soles at 418, crown at 150; upright.
    assert score > 0.9 and np.linalg.norm(center - (110, 280)) < 20
    assert 120 < radius < 160 and abs(np.degrees(angle)) < 8
    # The square input of an upright image is that image between black bars.
    height, width = image.shape[:2]
    bars = (height - width) // 2
    square = cv2.copyMakeBorder(image, 0, 0, bars, bars, cv2.BORDER_CONSTANT)
    other = detect(detector, square)
    np.testing.assert_allclose(other.centers[0] - (bars, 0), center, atol=0.05)
    np.testing.assert_allclose(other.radii[0], radius, atol=0.05)


@pytest.mark.engines
@pytest.mark.filterwarnings('ignore')  # the exporter's, about itself
def test_onnx_runtime_answers_as_torch(detector):
    pytest.importorskip('onnx')
    engine = pytest.importorskip('onnxruntime')
    images, graph = torch.rand(1, 3, 224, 224) * 2 - 1, io.BytesIO()
    torch.onnx.export(detector, (images,), graph, input_names=['images'], dynamo=False)
    session = engine.InferenceSession(graph.getvalue(), providers=['CPUExecutionProvider'])
    with torch.inference_mode():
        expected = detector(images)
    for ours, theirs in zip(expected, session.run(None, dict(images=images.numpy()))):
        assert np.abs(ours.numpy() - theirs).max() < 1e-4 * max(1, ours.abs().max().item())
