"""BlazePose answers what MediaPipe's own network answers, trains, and can be exported."""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.io
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.optim import OptimWrapper
from mmengine.registry import init_default_scope
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import MODELS, TRANSFORMS
from torch import nn

from rpstn.errors import SettingError
from rpstn.pose import BlazePose, BlazePoseHead
from rpstn.pose.datasets import BLAZEPOSE33, JHMDB15, find_data
from rpstn.pose.models.blazepose import SamePad
from rpstn.pose.models.blazepose_head import BlazePoseOutput
from rpstn.pose.models.blazepose_tflite import TFLiteError
from rpstn.pose.models.blazepose_weights import LANDMARK_FILE, landmark_weights, mediapipe_file

CONFIGS = Path(__file__).parents[3] / 'configs/blazepose'
FLIP = parse_pose_metainfo(BLAZEPOSE33)['flip_indices']


@pytest.fixture(scope='module')
def weights() -> dict[str, torch.Tensor]:
    """MediaPipe's."""
    try:
        return landmark_weights()
    except TFLiteError as error:
        pytest.skip(str(error))


def estimator(weights: dict[str, torch.Tensor] | None = None, name: str = 'blazepose33', **head):
    """The model of a config, in evaluation mode."""
    init_default_scope('mmpose')
    config = Config.fromfile(CONFIGS / f'{name}.py').model
    config.head.update(head)
    model = MODELS.build(config)
    if weights is None:  # the default would let the signal fade away on its way
        torch.manual_seed(0)
        for conv in (m for m in model.modules() if isinstance(m, nn.Conv2d)):
            nn.init.kaiming_normal_(conv.weight, mode='fan_in')
    else:
        model.load_state_dict(weights, strict=True)
    return model.eval()


def jhmdb_crops(count: int) -> list[np.ndarray]:
    """RGB crops (256, 256, 3) of real people: centred on the hips, the trunk upright."""
    try:
        root = find_data('jhmdb')
    except FileNotFoundError as error:
        pytest.skip(f'needs real data: {error}')
    crops, hips, shoulders = [], [5, 6], [3, 4]
    for path in sorted(root.glob('joint_positions/*/*/joint_positions.mat'))[::9][:count]:
        joints = scipy.io.loadmat(path)['pos_img'][:, :, 4].T - 1
        name = path.relative_to(root / 'joint_positions').parent
        video = cv2.VideoCapture(str(root / 'ReCompress_Videos' / f'{name}.avi'))
        for _ in range(5):
            read, frame = video.read()
        centre = joints[hips].mean(0)
        up = joints[shoulders].mean(0) - centre
        up *= 1.5 * np.linalg.norm(joints - centre, axis=1).max() / np.linalg.norm(up)
        corners = np.float32([centre, centre + up, centre + (-up[1], up[0])])
        matrix = cv2.getAffineTransform(corners, np.float32([[128, 128], [128, 0], [256, 128]]))
        crops.append(cv2.warpAffine(frame, matrix, (256, 256))[..., ::-1].copy())
    return crops


def blurred_noise(seed: int = 0) -> np.ndarray:
    """An RGB image (256, 256, 3) of coloured clouds."""
    noise = np.random.default_rng(seed).uniform(0, 255, (256, 256, 3))
    clouds = cv2.GaussianBlur(noise, (0, 0), 12)
    return np.clip((clouds - 127) * 12 + 127, 0, 255).astype(np.uint8)


def tensors(crops: list[np.ndarray]) -> torch.Tensor:
    return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float() / 255


def answer(model, crops: list[np.ndarray]) -> BlazePoseOutput:
    with torch.inference_mode():
        return model.head(model.backbone(tensors(crops)))


def released(crops: list[np.ndarray]) -> list[dict[str, np.ndarray]]:
    """What the TFLite runtime answers, with its plain kernels in single precision."""
    runtime = pytest.importorskip(
        'ai_edge_litert.interpreter', reason='the TFLite runtime ai-edge-litert is not installed'
    )
    interpreter = runtime.Interpreter(
        str(mediapipe_file(LANDMARK_FILE)),
        experimental_op_resolver_type=runtime.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    answers = []
    for crop in crops:
        image = (crop / 255).astype(np.float32)[None]
        interpreter.set_tensor(interpreter.get_input_details()[0]['index'], image)
        interpreter.invoke()
        out = {
            detail['name']: interpreter.get_tensor(detail['index'])[0]
            for detail in interpreter.get_output_details()
        }
        answers.append(
            dict(
                heatmaps=out['Identity_3'].transpose(2, 0, 1),
                landmarks=out['Identity'].reshape(39, 5),
                world=out['Identity_4'].reshape(39, 3),
                presence=out['Identity_1'],
            )
        )
    return answers


def assert_as_released(ours: BlazePoseOutput, crops: list[np.ndarray]) -> None:
    for n, theirs in enumerate(released(crops)):
        assert np.abs(ours.heatmaps[n].numpy() - theirs['heatmaps']).max() < 1e-3
        assert np.abs(ours.landmarks[n].numpy() - theirs['landmarks']).max() < 0.02  # pixels
        assert np.abs(ours.world[n].numpy() - theirs['world']).max() < 1e-4  # metres
        assert np.abs(ours.presence[n].sigmoid().numpy() - theirs['presence']).max() < 1e-3


@pytest.mark.parametrize('kernel', [3, 5])
@pytest.mark.parametrize('side', [8, 14])
def test_same_padding_is_tensorflows(kernel, side):
    total = max((-(-side // 2) - 1) * 2 + kernel - side, 0)  # TensorFlow's formula, stride 2
    image = torch.rand(1, 1, side, side)
    expected = nn.functional.pad(image, [total // 2, total - total // 2] * 2)
    torch.testing.assert_close(SamePad(kernel)(image), expected, rtol=0, atol=0)


def test_real_people_are_answered_as_by_the_released_network(weights):
    crops = jhmdb_crops(12)
    ours = answer(estimator(weights), crops)
    assert ours.presence.sigmoid().min() > 0.5, 'these are people'
    assert_as_released(ours, crops)


def test_anything_is_answered_as_by_the_released_network(weights):
    crops = [blurred_noise(seed) for seed in range(3)]
    assert_as_released(answer(estimator(weights), crops), crops)


def test_maps_and_sizes():
    maps = BlazePose()(torch.zeros(1, 3, 256, 192))
    assert [tuple(m.shape) for m in maps] == [
        (1, 48, 64, 48),
        (1, 48, 32, 24),
        (1, 48, 16, 12),
        (1, 864, 8, 6),
    ]
    (finest,) = BlazePose(out_indices=(0,))(torch.zeros(1, 3, 64, 64))
    assert finest.shape == (1, 48, 16, 16)
    count = [sum(p.numel() for p in m.parameters()) for m in (BlazePose(), BlazePoseHead())]
    # Of the file's 3.17 million; the mask's decoder is left out.
    assert count == [1_599_848, 1_567_792]


@pytest.mark.parametrize('indices', [(), (1, 0), (4,), (0, 0)])
def test_maps_that_are_not_there(indices):
    with pytest.raises(SettingError, match='out_indices must be ascending and among 0 to 3'):
        BlazePose(out_indices=indices)


def test_inputs_of_another_size():
    with pytest.raises(SettingError, match='multiples of 32, got 250x256'):
        BlazePose()(torch.zeros(1, 3, 256, 250))
    for size, indices in (((192, 256), (0, 3)), ((256, 256), (0,)), ((256, 256), (1, 3))):
        maps = BlazePose(out_indices=indices)(torch.zeros(1, 3, *size))
        with pytest.raises(SettingError, match=r'must be \(48, 64, 64\) and \(864, 8, 8\)'):
            BlazePoseHead()(maps)
    codec = dict(type='RegressionLabel', input_size=(192, 256))
    with pytest.raises(SettingError, match=r'must be \(256, 256\), got \(192, 256\)'):
        BlazePoseHead(decoder=codec)


def sample(image: np.ndarray, joints: np.ndarray, train: bool, **more) -> dict:
    """What a config's pipeline makes of an RGB image and joints (33, 2) in it."""
    pipeline = [
        dict(type='GetBBoxCenterScale', padding=1.0),
        dict(type='TopdownAffine', input_size=(256, 256)),
    ]
    if train:
        codec = Config.fromfile(CONFIGS / 'blazepose33.py').codec
        pipeline.append(dict(type='GenerateTarget', encoder=codec))
    data = dict(
        img=image[..., ::-1].copy(),
        bbox=np.float32([[0, 0, image.shape[1], image.shape[0]]]),
        bbox_score=np.ones(1, np.float32),
        keypoints=joints[None].astype(np.float32),
        keypoints_visible=np.ones((1, len(joints)), np.float32),
        dataset_keypoint_weights=np.ones(len(joints), np.float32),
        flip_indices=FLIP,
        **more,
    )
    for transform in [*pipeline, dict(type='PackPoseInputs')]:
        data = TRANSFORMS.build(transform)(data)
    return data


def test_landmarks_come_back_in_the_image(weights):
    """A crop pasted into a larger image, twice as large: joints move, depths double."""
    model, crop = estimator(weights), blurred_noise()
    large = np.zeros((512, 512, 3), np.uint8)
    large[:] = cv2.resize(crop, (512, 512), interpolation=cv2.INTER_NEAREST)
    batch = pseudo_collate([sample(large, np.zeros((33, 2)), train=False)])
    # What the warp cuts out again, which need not be the crop to the last bit.
    seen = model.data_preprocessor(batch)['inputs']
    with torch.inference_mode():
        out = model.head(model.backbone(seen))
        (person,) = (s.pred_instances for s in model.test_step(batch))
    landmarks = out.landmarks[:, :33].numpy()
    assert seen.max() <= 1 and np.abs(seen - tensors([crop])).mean() < 0.02, 'RGB in [0, 1]'
    np.testing.assert_allclose(person.keypoints, (landmarks[..., :2] - 0.5) * 2, atol=1e-3)
    np.testing.assert_allclose(person.keypoint_depths, landmarks[..., 2] * 2, atol=1e-3)
    np.testing.assert_allclose(person.keypoints_world, out.world[:, :33].numpy())
    visible, inside = 1 / (1 + np.exp(-landmarks[..., 3:].transpose(2, 0, 1)))
    np.testing.assert_allclose(person.keypoints_visible, visible, atol=1e-5)
    np.testing.assert_allclose(person.keypoint_scores, inside, atol=1e-5)
    assert person.presence.shape == (1,) and 0 <= person.presence[0] <= 1


def test_the_mirror_image_is_averaged():
    model = estimator()
    batch = pseudo_collate([sample(blurred_noise(), np.zeros((33, 2)), train=False)])
    crops = model.data_preprocessor(batch)['inputs']
    config = dict(flip_test=True, output_heatmaps=True)

    def look(crops):
        feats = [model.backbone(crops), model.backbone(crops.flip(-1))]
        (person,), (field,) = model.head.predict(feats, batch['data_samples'], config)
        return person, field.heatmaps

    with torch.inference_mode():
        (person, heatmaps), (mirrored, mirrored_heatmaps) = look(crops), look(crops.flip(-1))
    # Looked at from both sides, the mirror image has the mirrored answer.
    expected = person.keypoints[:, FLIP] * (-1, 1) + (255, 0)
    np.testing.assert_allclose(mirrored.keypoints, expected, atol=1e-2)
    np.testing.assert_allclose(mirrored.keypoint_depths, person.keypoint_depths[:, FLIP], atol=1e-2)
    np.testing.assert_allclose(
        mirrored.keypoints_world, person.keypoints_world[:, FLIP] * (-1, 1, 1), atol=1e-3
    )
    np.testing.assert_allclose(mirrored.keypoint_scores, person.keypoint_scores[:, FLIP], atol=1e-4)
    assert heatmaps.shape == (33, 64, 64) and 0 <= heatmaps.min() <= heatmaps.max() <= 1
    torch.testing.assert_close(mirrored_heatmaps, heatmaps[FLIP].flip(-1), atol=1e-4, rtol=0)


def test_left_and_right_change_places_in_the_mirror(weights):
    model, crops = estimator(weights), jhmdb_crops(6)
    straight = answer(model, crops).answered()
    flipped = answer(model, [c[:, ::-1].copy() for c in crops]).answered().mirrored(FLIP)
    sure = (straight.landmarks[..., 3] > 2) & (flipped.landmarks[..., 3] > 2)
    apart = (straight.landmarks - flipped.landmarks)[sure][:, :2].norm(dim=-1)
    assert sure.float().mean() > 0.3 and apart.median() < 5


def training_batch(model) -> dict:
    joints = np.random.default_rng(3).uniform(40, 216, (2, 33, 2))
    joints[0, 5] = (-30, 20)  # outside the crop
    return pseudo_collate([sample(blurred_noise(n), j, train=True) for n, j in enumerate(joints)])


def losses_of(model, batch: dict) -> dict[str, torch.Tensor]:
    return model(**model.data_preprocessor(batch, True), mode='loss')


def test_losses_are_those_of_the_labels():
    model = estimator().train()
    batch = training_batch(model)
    with torch.no_grad():
        losses = losses_of(model, batch)
        out = model.head(model.backbone(model.data_preprocessor(batch, True)['inputs']))
    samples = batch['data_samples']
    kpt = vis = heat = 0.0
    for n, s in enumerate(samples):
        labels = s.gt_instance_labels.keypoint_labels[0] * 256 + 0.5
        inside = s.gt_instance_labels.keypoint_weights[0]
        assert inside.sum() == (32 if n == 0 else 33)
        for k in range(33):
            x, y, _, visible, present = out.landmarks[n, k]
            for logit in (visible, present):
                p = logit.double().sigmoid()
                vis -= float(torch.log(p if inside[k] else 1 - p)) / (2 * 33 * 2) * 0.05
            if inside[k]:
                target = s.gt_fields.heatmaps[k].double()
                assert target.max() == 1
                p = out.heatmaps[n, k].double().sigmoid()
                entropy = -(target * p.log() + (1 - target) * (1 - p).log())
                heat += float(entropy.mean()) / (2 * 33)
                kpt += float(abs(x - labels[k, 0]) + abs(y - labels[k, 1])) / 256 / (2 * 33 * 2)
    for name, value in dict(loss_heatmap=heat, loss_kpt=kpt, loss_vis=vis).items():
        assert losses[name].item() == pytest.approx(value, rel=1e-4), name


def test_regression_leaves_the_backbone_to_the_heatmaps():
    for stop, reached in ((True, False), (False, True)):
        model = estimator(stop_gradient=stop).train()
        losses_of(model, training_batch(model))['loss_kpt'].backward()
        gradients = [
            p.grad is not None and p.grad.any() for p in model.backbone.encoder.parameters()
        ]
        assert any(gradients) is reached
        assert model.head.regression[-1].convs.pointwise_conv.conv.weight.grad.any()


@pytest.mark.parametrize('start', ['random', 'released'])
def test_a_few_steps_lower_every_loss(start, request):
    weights = request.getfixturevalue('weights') if start == 'released' else None
    model = estimator(weights).train()
    batch = training_batch(model)
    before = losses_of(model, batch)
    optimizer = OptimWrapper(torch.optim.Adam(model.parameters(), lr=3e-5))
    for _ in range(12):
        model.train_step(batch, optimizer)
    after = losses_of(model, batch)
    for name in ('loss_heatmap', 'loss_kpt', 'loss_vis'):
        assert after[name] < before[name], name


def test_every_weight_learns_but_what_2d_labels_do_not_know(weights):
    model = estimator(weights).train()
    losses = losses_of(model, training_batch(model))
    sum(loss for name, loss in losses.items() if name.startswith('loss')).backward()
    idle = {n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()}
    assert {n.rpartition('.')[0] for n in idle} == {'head.world', 'head.presence'}


def test_labels_that_cannot_be_learned_from():
    head, maps = BlazePoseHead(), BlazePose()(torch.zeros(2, 3, 256, 256))
    batch = training_batch(None)['data_samples']
    for one in batch:
        one.gt_instance_labels.keypoint_labels = one.gt_instance_labels.keypoint_labels[:, :17]
    with pytest.raises(SettingError, match='33 landmarks, got 17'):
        head.loss(maps, batch)
    del batch[1].gt_fields
    with pytest.raises(SettingError, match='got no heatmaps'):
        head.loss(maps, batch)


def test_a_heatmap_head_learns_other_joints_from_frozen_features(weights, tmp_path):
    torch.save(dict(state_dict=weights), tmp_path / 'full.pth')
    init_default_scope('mmpose')
    config = Config.fromfile(CONFIGS / 'heatmaps_jhmdb.py')
    assert config.train_dataloader.dataset.type == 'JHMDBClipDataset'
    config.model.backbone.init_cfg.checkpoint = str(tmp_path / 'full.pth')
    model = MODELS.build(config.model)
    model.init_weights()
    model.train()
    backbone = model.backbone.state_dict()
    assert all(backbone[k].equal(weights[f'backbone.{k}'].float()) for k in backbone)
    heatmaps = model(torch.rand(2, 3, 256, 256), None, mode='tensor')
    assert heatmaps.shape == (2, len(JHMDB15['keypoint_info']), 64, 64)
    heatmaps.mean().backward()
    learning = {name.split('.')[0] for name, p in model.named_parameters() if p.grad is not None}
    assert learning == {'head'} and not model.backbone.training


@pytest.mark.engines
@pytest.mark.filterwarnings('ignore')  # the exporter's, about itself
def test_onnx_runtime_and_openvino_answer_as_torch(weights, tmp_path):
    pytest.importorskip('onnx')
    engine = pytest.importorskip('onnxruntime')
    openvino = pytest.importorskip('openvino')
    model = estimator(weights)
    network = nn.Sequential(model.backbone, model.head)
    images = tensors([blurred_noise(n) for n in range(2)])
    with torch.no_grad():
        expected = network(images)
    graph = io.BytesIO()
    torch.onnx.export(
        network,
        (images,),
        graph,
        input_names=['images'],
        output_names=list(BlazePoseOutput._fields),
        dynamic_axes={name: {0: 'N'} for name in ('images', *BlazePoseOutput._fields)},
        dynamo=False,
    )
    session = engine.InferenceSession(graph.getvalue(), providers=['CPUExecutionProvider'])
    path = tmp_path / 'blazepose.onnx'
    path.write_bytes(graph.getvalue())
    compiled = openvino.Core().compile_model(str(path), 'CPU', {'INFERENCE_PRECISION_HINT': 'f32'})
    for count in (2, 1):
        x = images[:count].numpy()
        answers = session.run(None, dict(images=x)), list(compiled(dict(images=x)).values())
        for got in answers:
            for name, ours, theirs in zip(BlazePoseOutput._fields, expected, got):
                # Of the largest: logits reach 60, landmarks 256 pixels.
                scale = max(1.0, ours.abs().max().item())
                assert np.abs(ours[:count].numpy() - theirs).max() < 1e-4 * scale, name
