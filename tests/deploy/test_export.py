"""Exported graphs answer what the model answers, and damaged or foreign files are refused."""

import copy
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.model import ImgDataPreprocessor
from torch import nn

onnx = pytest.importorskip('onnx')
onnxruntime = pytest.importorskip('onnxruntime')

from rpstn.benchmark.pose import build_model, release_way  # noqa: E402
from rpstn.checkpoints import ModelError  # noqa: E402
from rpstn.cli.main import main  # noqa: E402
from rpstn.deploy.engines import build_stepper  # noqa: E402
from rpstn.deploy.export import MANIFEST, Exported, ExportError, export_model  # noqa: E402
from rpstn.deploy.exported_steppers import EngineError, OnnxStepper, run_clip_graph  # noqa: E402
from rpstn.deploy.integer_sums import bits_for_all, weight_bits  # noqa: E402
from rpstn.deploy.onnx_graphs import GRAPHS, Normalize, for_one, trace  # noqa: E402
from rpstn.deploy.parity import compare_heatmaps, compare_steppers  # noqa: E402
from rpstn.deploy.sample_clips import random_clips, read_clips  # noqa: E402
from rpstn.deploy.subpixel import SubpixelDeconv, is_doubling, with_subpixels  # noqa: E402
from rpstn.engine.cpu import for_inference  # noqa: E402 (after what may be missing)
from rpstn.files import sha256  # noqa: E402
from rpstn.pose.alignment import ALIGNMENT  # noqa: E402
from rpstn.pose.bodies import Body  # noqa: E402
from rpstn.pose.crops import Cropper  # noqa: E402
from rpstn.pose.models import propagation  # noqa: E402
from rpstn.pose.presence import presences  # noqa: E402
from rpstn.pose.streaming.streaming import TorchStepper  # noqa: E402
from rpstn.pose.world import check_world, world_joints  # noqa: E402

from tiny_rpstn import CHANNELS, JOINTS, SIZE, tiny_config  # noqa: E402

pytestmark = pytest.mark.engines

CLIP_LEN = 3
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def model():
    built = build_model(tiny_config())
    fast = for_inference(built)
    fast.cfg = built.cfg
    return fast


@pytest.fixture(scope='module')
def exported(model, tmp_path_factory):
    return export_model(
        model,
        tmp_path_factory.mktemp('exported'),
        clip_len=CLIP_LEN,
        calibration=random_clips((SIZE, SIZE), CLIP_LEN),
    )


def session(source):
    return onnxruntime.InferenceSession(
        source if isinstance(source, bytes) else str(source), providers=['CPUExecutionProvider']
    )


def crops(batch: int, frames: int = CLIP_LEN) -> torch.Tensor:
    generator = torch.Generator().manual_seed(batch)
    return torch.randint(
        0, 256, (batch, frames, 3, SIZE, SIZE), generator=generator, dtype=torch.uint8
    )


def expected(model, clips: torch.Tensor) -> np.ndarray:
    """By the model's own preprocessor, and clip mode."""
    images = ImgDataPreprocessor.forward(
        model.data_preprocessor, dict(inputs=list(clips.flatten(0, 1)))
    )['inputs']
    with torch.inference_mode():
        images = images.to(next(model.parameters()).dtype).unflatten(0, clips.shape[:2])
        return model(images, None, mode='tensor').numpy()


@pytest.mark.parametrize('batch', [1, 3])
def test_the_clip_graph_equals_clip_mode_for_any_batch(model, exported, batch):
    clips = crops(batch)
    (found,) = session(exported.file('clip')).run(None, dict(clips=clips.numpy()))
    assert found.shape == (batch, CLIP_LEN, JOINTS, 16, 16)
    np.testing.assert_allclose(found, expected(model, clips), atol=1e-5)


@pytest.mark.parametrize('batch', [1, 3])
def test_start_and_steps_equal_clip_mode(model, exported, batch):
    clips = crops(batch, 4)
    start, step = (session(exported.file(graph)) for graph in ('start', 'step'))
    state = start.run(None, dict(crops=clips[:, 0].numpy()))
    found = [state[0]]
    for t in range(1, 4):
        state = step.run(None, dict(zip(GRAPHS['step'][0], (clips[:, t].numpy(), *state))))
        found.append(state[0])
    np.testing.assert_allclose(np.stack(found, 1), expected(model, clips), atol=1e-5)


def test_for_one_answers_the_same(exported):
    proto = onnx.load(str(exported.file('step')))
    clips = crops(1)
    rng = np.random.default_rng(0)
    feed = dict(
        crops=clips[:, 0].numpy(),
        heatmaps=rng.random((1, JOINTS, 16, 16), np.float32),
        features=rng.random((1, CHANNELS, 16, 16), np.float32),
    )
    wanted = session(proto.SerializeToString()).run(None, feed)
    for_one(proto)
    assert not any(node.op_type == 'Scan' for node in proto.graph.node)
    for a, b in zip(session(proto.SerializeToString()).run(None, feed), wanted):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_released_norms_and_non_local_relation_are_exported():
    # What is carried is then embed(F(I_t)), not F(I_t).
    model = build_model(tiny_config(relation=dict(type='NonLocalRelation'), norms='shared'))
    clips = crops(2, 2)
    (found,) = session(trace(model, 'clip', 2).SerializeToString()).run(
        None, dict(clips=clips.numpy())
    )
    np.testing.assert_allclose(found, expected(model, clips), atol=1e-5)
    start, step = (session(trace(model, graph).SerializeToString()) for graph in ('start', 'step'))
    state = start.run(None, dict(crops=clips[:, 0].numpy()))
    heatmaps, _ = step.run(None, dict(zip(GRAPHS['step'][0], (clips[:, 1].numpy(), *state))))
    np.testing.assert_allclose(heatmaps, found[:, 1], atol=1e-5)


@pytest.mark.parametrize(
    'relation',
    [
        dict(type='PairwiseRelation', kernel_size=5, temporal=True),
        dict(
            type='RelationSequence',
            relations=[
                dict(type='JRE', similarity='cosine', temperature=0.1, heads=2, features=CHANNELS),
                dict(type='TokenRelation', width=16, temporal=True),
            ],
        ),
    ],
)
def test_relations_that_look_at_features_and_the_last_frame_are_exported(relation):
    torch.manual_seed(0)
    model = build_model(tiny_config(relation=relation))
    for parameter in model.head.relation.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    clips = crops(3, 3)
    wanted = expected(model, clips)
    assert wanted.std() > 1e-3
    graphs = {name: session(trace(model, name, 3).SerializeToString()) for name in GRAPHS}
    (found,) = graphs['clip'].run(None, dict(clips=clips.numpy()))
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    state = graphs['start'].run(None, dict(crops=clips[:, 0].numpy()))
    np.testing.assert_allclose(state[0], wanted[:, 0], atol=1e-5)
    for t in (1, 2):
        feed = dict(zip(GRAPHS['step'][0], (clips[:, t].numpy(), *state)))
        state = graphs['step'].run(None, feed)
        np.testing.assert_allclose(state[0], wanted[:, t], atol=1e-5)


@pytest.mark.parametrize('batch', [1, 3])
def test_the_parts_of_lite_are_exported_for_any_batch(batch):
    config = tiny_config()
    config.model.backbone.type = 'SharedBackbone'
    config.model.head.norms = 'none'
    config.model.head.propagator = dict(type='ResidualJRPSP', carry=True)
    torch.manual_seed(0)
    model = build_model(config)
    propagator = model.head.propagator
    for part in (propagator.kernel[-1], propagator.carry.change, propagator.carry.gate):
        torch.nn.init.constant_(part.weight, 0.5)  # they start as if they were not there
    torch.nn.init.normal_(model.backbone.heatmaps.weight)
    clips = crops(batch, 3)
    wanted = expected(model, clips)
    assert wanted.std() > 1e-3
    (found,) = session(trace(model, 'clip', 3).SerializeToString()).run(
        None, dict(clips=clips.numpy())
    )
    np.testing.assert_allclose(found, wanted, atol=1e-5 * np.abs(wanted).max())
    start, step = (session(trace(model, graph).SerializeToString()) for graph in ('start', 'step'))
    state = start.run(None, dict(crops=clips[:, 0].numpy()))
    for t in (1, 2):
        state = step.run(None, dict(zip(GRAPHS['step'][0], (clips[:, t].numpy(), *state))))
    np.testing.assert_allclose(state[0], wanted[:, 2], atol=1e-5 * np.abs(wanted).max())


@pytest.fixture(scope='module')
def lite(tmp_path_factory):
    """RPSTN-Lite with random weights that let an image come through, none of its parts idle."""
    config = Config.fromfile(ROOT / 'configs/lite/rpstn_lite_readout.py')
    config.model.backbone.pretrained = config.model.head.propagator.pretrained = None
    config.model.backbone.encoder.backbone.init_cfg = None
    torch.manual_seed(0)
    model = build_model(config)
    head = model.head
    for conv in (m for m in model.backbone.modules() if isinstance(m, nn.Conv2d)):
        nn.init.kaiming_normal_(conv.weight, mode='fan_in')
    nn.init.uniform_(model.backbone.encoder.backbone.backbone.head.landmarks.bias, 0, 256)
    jre, tokens = head.relation, head.readout
    nn.init.normal_(jre.out[1].weight)
    nn.init.constant_(tokens.scale, 0.5)
    nn.init.constant_(tokens.sharpness, 5.0)  # these maps are far higher than trained ones
    nn.init.constant_(head.propagator.kernel[-1].weight, 0.5)
    for part in (head.propagator.carry.change, head.propagator.carry.gate):
        nn.init.normal_(part.weight, std=0.1)
    fast = for_inference(model)
    fast.cfg = model.cfg
    folder = tmp_path_factory.mktemp('lite')
    return fast, export_model(fast, folder, clip_len=2, calibration=upright_clips(fast, 2))


def upright_clips(model, count: int) -> list[torch.Tensor]:
    """Blobs cut out about bodies that turn."""
    cropper = Cropper.from_config(model.cfg)
    assert cropper.upright
    clips = []
    for frames in random_clips((320, 320), 3, count):
        images = [frame.permute(1, 2, 0).numpy() for frame in frames]
        bodies = [
            Body(np.array([160.0, 150.0]) + 5 * t, 110.0, np.deg2rad(25.0 * t)) for t in range(3)
        ]
        cuts = [cropper.about(body).cut(image) for body, image in zip(bodies, images)]
        clips.append(torch.from_numpy(np.stack(cuts)).permute(0, 3, 1, 2).contiguous())
    return clips


@pytest.mark.parametrize('batch', [1, 3])
def test_lite_is_exported_whole_for_any_batch(lite, batch):
    model, exported = lite
    clips = torch.stack(upright_clips(model, batch))
    # In double precision, so that the graphs' own rounding is all that is measured.
    wanted = expected(copy.deepcopy(model).double(), clips)
    assert wanted.shape == (batch, 3, 33, 64, 64) and wanted[:, 1:].std() > 1e-3
    start, step = (session(exported.file(graph)) for graph in ('start', 'step'))
    # In their order, though the readout leaves the heatmaps unused, and of known sizes.
    assert [value.name for value in step.get_inputs()] == list(GRAPHS['step'][0])
    for graph in (start, step):
        sizes = [value.shape[1:] for value in graph.get_outputs()[:2]]
        assert sizes == [[33, 64, 64], [64 + 33, 64, 64]]
    state = start.run(None, dict(crops=clips[:, 0].numpy()))
    found = [state[0]]
    for t in (1, 2):
        state = step.run(None, dict(zip(GRAPHS['step'][0], (clips[:, t].numpy(), *state))))
        found.append(state[0])
    np.testing.assert_allclose(np.stack(found, 1), wanted, atol=1e-4 * np.abs(wanted).max())
    (found,) = session(exported.file('clip')).run(None, dict(clips=clips[:, :2].numpy()))
    np.testing.assert_allclose(found, wanted[:, :2], atol=1e-4 * np.abs(wanted).max())


@pytest.mark.parametrize(
    'engine, precision',
    [
        ('onnx', 'float32'),
        ('onnx', 'int8'),
        pytest.param('openvino', 'float32', marks=pytest.mark.slow),
    ],
)
def test_exported_lite_answers_joints_in_metres_too(lite, engine, precision):
    """Of several people, in their first frame and after it."""
    pytest.importorskip(dict(onnx='onnxruntime').get(engine, engine))
    model, exported = lite
    clips = torch.stack(upright_clips(model, 2))
    steppers = TorchStepper(model), build_stepper(exported, engine, precision)
    expected, found = (in_metres(stepper, clips) for stepper in steppers)
    assert expected.shape == (3, 2, 33, 3) and np.ptp(expected, axis=2).min() > 1e-3
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize('engine', ['onnx', pytest.param('openvino', marks=pytest.mark.slow)])
@pytest.mark.parametrize('people', [1, 2])
def test_exported_lite_says_where_bodies_are_too(lite, engine, people):
    pytest.importorskip(dict(onnx='onnxruntime').get(engine, engine))
    model, exported = lite
    clips = torch.stack(upright_clips(model, 2))[:people]
    steppers = TorchStepper(model), build_stepper(exported, engine, 'float32')
    states = [stepper.start(clips[:, 0]) for stepper in steppers]
    for t in range(1, clips.shape[1] + 1):
        expected, found = (np.asarray(stepper.regressed[ALIGNMENT]) for stepper in steppers)
        assert expected.shape == (people, 4)
        np.testing.assert_allclose(found, expected, atol=0.02)  # pixels
        expected, found = (presences(stepper) for stepper in steppers)
        assert expected.shape == (people,) and 0 < expected.min() <= expected.max() < 1
        np.testing.assert_allclose(found, expected, rtol=0.01, atol=1e-6)
        if t < clips.shape[1]:
            states = [s.step(clips[:, t], *state) for s, state in zip(steppers, states)]


def test_what_one_of_the_graphs_does_not_answer_is_not_asked_for(lite, tmp_path):
    """As in an export of before there was such an answer."""
    _, exported = lite
    older = shutil.copytree(exported.folder, tmp_path / 'older')
    proto = onnx.load(older / 'step.onnx')
    kept = [port for port in proto.graph.output if port.name != ALIGNMENT]
    assert len(kept) == len(proto.graph.output) - 1
    del proto.graph.output[:]
    proto.graph.output.extend(kept)
    onnx.save(proto, older / 'step.onnx')
    before, now = (sha256(folder / 'step.onnx') for folder in (exported.folder, older))
    manifest = older / 'export.json'
    manifest.write_text(manifest.read_text().replace(before, now))
    stepper = build_stepper(Exported.open(older), 'onnx', 'float32')
    assert set(stepper.regressed) == {'world', 'presence'}
    stepper.start(torch.zeros(1, 3, 256, 256, dtype=torch.uint8))
    assert stepper.regressed['world'].shape == (1, 117)


def in_metres(stepper, clips):
    """(T, N, 33, 3) of clips that are followed."""
    assert check_world(stepper)
    state = stepper.start(clips[:, 0])
    found = [world_joints(stepper, [10.0, 0.0])]
    for t in range(1, clips.shape[1]):
        state = stepper.step(clips[:, t], *state)
        found.append(world_joints(stepper, [10.0, 0.0]))
    return np.stack(found)


def test_lite_in_integers_is_its_propagation_alone(lite):
    model, exported = lite
    assert integer_convolutions(exported, 'start') == []
    quantized = integer_convolutions(exported, 'step')
    names = {name.split('/')[2] for name in quantized}
    assert names == {'reduce', 'kernel'} and all('/propagator/' in name for name in quantized)
    clips = upright_clips(model, 2)
    parity = compare_steppers(TorchStepper(model), OnnxStepper(exported, 'int8', 1), clips)
    assert parity.joints == 2 * 3 * 33 and 1e-5 < parity.greatest / parity.range < 0.3


def test_clips_to_calibrate_by_are_of_the_first_data_set_however_wrapped():
    config = Config.fromfile(ROOT / 'configs/lite/rpstn_lite.py')
    inner = dict(
        type='SyntheticClipDataset', num_sequences=2, num_frames=7, image_size=(64, 72), clip_len=2
    )
    repeated = dict(type='RepeatDataset', times=2, dataset=inner)
    config.train_dataloader.dataset = dict(
        _delete_=True, type='ConcatDataset', datasets=[repeated, dict(type='no such')]
    )
    for step in config.test_dataloader.dataset.pipeline:
        if step.type == 'ClipBody':
            step.joints = 'penn13'
    model = nn.Module()
    model.cfg = config
    clips = read_clips(model, ['train'], clip_len=3, limit=4)
    assert [tuple(clip.shape) for clip in clips] == [(3, 3, 256, 256)] * len(clips) != []


def test_tracing_leaves_the_model_and_the_module_as_they_were(model):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    function = propagation.dynamic_depthwise_conv
    trace(model, 'step')
    assert propagation.dynamic_depthwise_conv is function
    after = model.state_dict()
    assert list(before) == list(after)
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_normalize_is_the_preprocessors():
    image = torch.zeros(1, 3, 1, 1, dtype=torch.uint8)
    image[0, 0], image[0, 2] = 255, 51  # blue, red
    preprocessor = build_model(tiny_config()).data_preprocessor
    red, green, blue = Normalize(preprocessor)(image).flatten().tolist()
    assert red == pytest.approx((51 - 123.675) / 58.395, abs=1e-5)
    assert green == pytest.approx(-116.28 / 57.12, abs=1e-5)
    assert blue == pytest.approx((255 - 103.53) / 57.375, abs=1e-5)


def test_the_release_way_equals_clip_mode(model):
    clips = crops(1)
    with torch.inference_mode():
        found = release_way(model, clips[0])
    np.testing.assert_allclose(found, expected(model, clips)[:, -1], atol=1e-5)


@pytest.mark.parametrize('size', [(5, 7), (1, 1)])
def test_a_subpixel_deconvolution_is_the_transposed_one(size):
    deconv = nn.ConvTranspose2d(3, 5, 4, 2, 1)
    sequence = nn.Sequential(deconv, nn.Identity(), nn.ReLU(), nn.ConvTranspose2d(5, 2, 2, 2))
    maps = torch.randn(2, 3, *size)
    wanted = sequence(maps)
    replaced = with_subpixels(sequence)
    assert isinstance(replaced[0], SubpixelDeconv)
    assert type(replaced[3]) is nn.ConvTranspose2d  # of another kernel
    torch.testing.assert_close(replaced(maps), wanted)
    assert not is_doubling(nn.ConvTranspose2d(4, 4, 4, 2, 1, groups=2))


def test_metadata_and_manifest_say_what_a_user_needs(exported):
    for name, entry in exported.manifest['files'].items():
        props = {p.key: p.value for p in onnx.load(str(exported.folder / name)).metadata_props}
        assert props['graph'] == entry['graph'] and props['precision'] == entry['precision']
        assert json.loads(props['input_size']) == [SIZE, SIZE]
        assert json.loads(props['heatmap_size']) == [16, 16]
        assert json.loads(props['mean']) == pytest.approx([123.675, 116.28, 103.53])
        assert json.loads(props['std']) == pytest.approx([58.395, 57.12, 57.375])
        assert props['input'] == 'uint8 BGR, raw' and props['network_channels'] == 'RGB'
    assert sorted(exported.manifest['files']) == [
        'clip.int8.onnx',
        'clip.onnx',
        'start.int8.onnx',
        'start.onnx',
        'step.int8.onnx',
        'step.onnx',
    ]
    (opset,) = onnx.load(str(exported.file('step'))).opset_import
    assert (opset.domain, opset.version) == ('', exported.manifest['opset'])


@pytest.mark.parametrize('graph', GRAPHS)
def test_what_is_quantized_and_what_stays_in_float(exported, graph):
    proto = onnx.load(str(exported.file(graph, 'int8')))
    made_by = {output: node for node in proto.graph.node for output in node.output}
    quantized, kept = set(), set()
    for node in proto.graph.node:
        if node.op_type == 'Conv':
            source = made_by.get(node.input[1])
            integers = source is not None and source.op_type == 'DequantizeLinear'
            (quantized if integers else kept).add(node.name)
    # Relation, and what gives heatmaps.
    assert all(
        part not in name
        for name in quantized
        for part in ('/relation', '/predict', '/heatmaps', '/final_layer', '/downsample')
    )
    # Of image networks the layers whose cells have 16 pixels or more: 0.conv comes before a
    # deconvolution's cells are interleaved.
    for name in quantized | kept:
        if '/encoder/' in name or '/initializer/' in name:
            coarse = any(part in name for part in ('layer3', 'layer4', 'deconv_layers.0'))
            assert (name in quantized) == (coarse and 'downsample' not in name), name
    assert any('/layer4/' in name for name in quantized)
    for part in ('/kernel.0/of_features', '/kernel.0/of_heatmaps'):
        assert any(part in name for name in quantized) == (graph != 'start')


def integer_convolutions(exported, graph: str) -> list[str]:
    proto = onnx.load(str(exported.file(graph, 'int8')))
    integers = {node.output[0] for node in proto.graph.node if node.op_type == 'DequantizeLinear'}
    return [
        node.name
        for node in proto.graph.node
        if node.op_type == 'Conv' and node.input[1] in integers
    ]


def test_more_can_be_kept_in_float(exported, model, tmp_path):
    kept = export_model(
        model,
        tmp_path / 'out',
        graphs=('start', 'step'),
        calibration=random_clips((SIZE, SIZE), 2),
        keep_float=['layer4', 'kernel'],
    )
    assert kept.manifest['keep_float'] == ['layer4', 'kernel']
    before, after = (set(integer_convolutions(e, 'step')) for e in (exported, kept))
    assert (
        before - after == {name for name in before if 'layer4' in name or 'kernel' in name} != set()
    )
    with pytest.raises(ExportError, match=r"has 'layer9' in its name; they are .*layer1"):
        export_model(model, tmp_path / 'no', graphs=('start',), keep_float=['layer9'])
    assert not (tmp_path / 'no').exists()


def test_more_bits_than_are_right_on_this_processor_are_refused(exported, tmp_path):
    assert exported.manifest['weight_bits'] == bits_for_all()
    shutil.copytree(exported.folder, tmp_path / 'more')
    more = Exported.open(tmp_path / 'more')
    more.manifest['weight_bits'] = 9  # in a file it would be refused: nothing has so many
    advice = rf'more: .*weights of 9 bits.*export with --weight-bits {weight_bits("onnx")}$'
    with pytest.raises(EngineError, match=advice):
        OnnxStepper(more, 'int8', 1)
    with pytest.raises(EngineError, match=advice):
        run_clip_graph(more, crops(1), 'onnx', 'int8')
    OnnxStepper(more, 'float32', 1)


def test_weights_have_as_many_bits_as_asked_for(model, tmp_path):
    seven = export_model(
        model,
        tmp_path / 'out',
        graphs=('start',),
        weight_bits=7,
        calibration=random_clips((SIZE, SIZE), 2),
    )
    integers = [
        onnx.numpy_helper.to_array(tensor)
        for tensor in onnx.load(str(seven.file('start', 'int8'))).graph.initializer
        if tensor.data_type == onnx.TensorProto.INT8 and len(tensor.dims) == 4
    ]
    assert integers and max(np.abs(weights.astype(int)).max() for weights in integers) == 64
    with pytest.raises(ExportError, match=r'weight_bits must be of \(7, 8\), got 4'):
        export_model(model, tmp_path / 'no', weight_bits=4)
    assert not (tmp_path / 'no').exists()


def test_an_encoder_with_depthwise_convolutions_stays_in_float(tmp_path):
    config = tiny_config()
    config.model.backbone.encoder = dict(type='MobileNetV2', out_indices=(7,))
    model = for_inference(build_model(config))
    exported = export_model(
        model, tmp_path, graphs=('step',), calibration=random_clips((SIZE, SIZE), 2)
    )
    quantized = integer_convolutions(exported, 'step')
    assert quantized and all('/propagator/' in name for name in quantized)


def test_damaged_files_are_refused(model, tmp_path):
    folder = tmp_path / 'out'
    exported = export_model(model, folder, graphs=('step',))
    data = bytearray(exported.file('step').read_bytes())
    data[len(data) // 2] ^= 1
    (folder / 'step.onnx').write_bytes(data)
    with pytest.raises(ExportError, match=r'step\.onnx: missing or damaged'):
        Exported.open(folder).file('step')
    with pytest.raises(ExportError, match='no start graph in float32, only step float32'):
        Exported.open(folder).file('start')
    for text, message in (
        ('{"format": 1', 'damaged'),
        ('[]', 'damaged'),
        ('{"format": 7, "files": {}}', 'must be of format 1'),
    ):
        (folder / MANIFEST).write_text(text)
        with pytest.raises(ExportError, match=message):
            Exported.open(folder)
    with pytest.raises(ExportError, match='no export.json'):
        Exported.open(tmp_path)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(files=[]), 'files must be graphs'),
        (dict(files={'../step.onnx': {}}), r"beside it, got '../step.onnx'"),
        (dict(files={'/etc/passwd': {}}), 'beside it, got'),
        (dict(files={'a/b.onnx': {}}), 'beside it, got'),
        (dict(files={'step.onnx': []}), 'step.onnx must have graph, precision, sha256'),
        (dict(files={'step.onnx': dict(graph='step', precision=1)}), 'step.onnx must have graph'),
        (dict(input_size='big'), 'input_size must be two numbers'),
        (dict(input_size=[1]), 'input_size must be two numbers'),
        (dict(heatmap_size=[1, -1]), 'heatmap_size must be two numbers'),
        (dict(num_joints=1e9), 'num_joints and channels must be two numbers'),
        (dict(channels=None), 'num_joints and channels must be two numbers'),
        (dict(weight_bits='os.system'), 'weight_bits must be of'),
    ],
)
def test_a_manifest_names_graphs_beside_it_only(exported, change, message, tmp_path):
    (tmp_path / MANIFEST).write_text(json.dumps({**exported.manifest, **change}))
    with pytest.raises(ExportError, match=message) as error:
        Exported.open(tmp_path)
    assert '\n' not in str(error.value)


def test_a_graph_reads_no_other_file(tmp_path):
    """ONNX files may say that weights are in another one, of any name."""
    (tmp_path / 'secret').write_bytes(np.ones(1, np.float32).tobytes())
    weight = onnx.TensorProto(name='w', data_type=1, dims=[1], data_location=1)
    weight.external_data.add(key='location', value='secret')
    values = [onnx.helper.make_tensor_value_info(name, 1, [1]) for name in 'xy']
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node('Add', ['x', 'w'], ['y'])], 'g', values[:1], values[1:], [weight]
    )
    proto = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid('', 17)])
    proto.ir_version = 8
    names = [f'{graph}.onnx' for graph in ('start', 'step', 'clip')]
    for name in names:
        (tmp_path / name).write_bytes(proto.SerializeToString())
    files = {
        name: dict(graph=name[:-5], precision='float32', sha256=sha256(tmp_path / name))
        for name in names
    }
    facts = dict(
        format=1, files=files, input_size=[8, 8], heatmap_size=[2, 2], num_joints=1, channels=1
    )
    exported = Exported(tmp_path, facts)
    for engine in ('onnx', 'openvino'):
        with pytest.raises(ModelError, match=r'\.onnx: .* cannot use it'):
            build_stepper(exported, engine, 'float32')


def test_an_export_of_another_model_is_refused(model, exported):
    exported.check_source(model)
    other = copy.deepcopy(model)
    exported.check_source(other)
    with torch.no_grad():
        next(other.parameters()).view(-1)[0] += 1e-3
    with pytest.raises(ExportError, match='the same model, got one of another weights') as error:
        exported.check_source(other)
    assert '\n' not in str(error.value)
    for change, message in (
        (dict(mean=[0.0, 0.0, 0.0]), 'another mean'),
        (dict(network_channels='BGR'), 'another order of colours'),
        (dict(decoder=None), 'another decoder'),
        (dict(weights_sha256=None), 'another weights'),
    ):
        with pytest.raises(ExportError, match=message):
            Exported(exported.folder, {**exported.manifest, **change}).check_source(model)


def test_a_failed_export_leaves_what_was_there(model, tmp_path, monkeypatch):
    (tmp_path / 'step.onnx').write_text('of before')
    (tmp_path / 'export.json').write_text('of before')

    def fail(*_):
        raise OSError('disk full')

    monkeypatch.setattr('rpstn.deploy.export._save', fail)
    with pytest.raises(OSError, match='disk full'):
        export_model(model, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ['export.json', 'step.onnx']
    assert (tmp_path / 'step.onnx').read_text() == 'of before'


def test_graphs_of_others_are_not_replaced(model, tmp_path):
    (tmp_path / 'step.onnx').write_text('theirs')
    with pytest.raises(ExportError, match=r'step.onnx: is there already, and of no export'):
        export_model(model, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ['step.onnx']


def test_only_rpstn_can_be_exported(tmp_path):
    with pytest.raises(ExportError, match='only an RPSTN can be exported'):
        export_model(nn.Conv2d(1, 1, 1), tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_parity_counts_joints_that_move_by_more_than_a_cell():
    maps = np.zeros((1, 4, 8, 8), np.float32)
    moved = maps.copy()
    for joint, (there, here) in enumerate([(2, 2), (2, 3), (2, 4), (2, 2)]):
        maps[0, joint, 5, there] = moved[0, joint, 5, here] = 0.5 if joint < 3 else 0.1
    parity = compare_heatmaps([maps], [moved])
    assert (parity.joints, parity.moved, parity.greatest) == (4, 0.25, 0.5)
    assert (parity.sure_joints, parity.sure_moved) == (3, pytest.approx(1 / 3))
    lost = compare_heatmaps([maps], [np.full_like(maps, np.nan)])
    assert np.isnan(lost.greatest)


def test_the_command_exports_and_checks(tmp_path, capsys):
    config = tmp_path / 'tiny.py'
    options = tiny_config()
    options.test_dataloader = dict(
        dataset=dict(metainfo=dict(from_file=None), pipeline=[], clip_len=2)
    )
    config.write_text(options.pretty_text)
    checkpoint = tmp_path / 'tiny.pth'
    meta = dict(keypoint_id2name={k: f'joint {k}' for k in range(JOINTS)})
    torch.save(
        dict(state_dict=build_model(tiny_config()).state_dict(), meta=dict(dataset_meta=meta)),
        checkpoint,
    )
    out = tmp_path / 'out'
    assert main(['export', str(config), str(checkpoint), '--out', str(out)]) == 0
    printed = capsys.readouterr().out
    assert 'ONNX Runtime' in printed and 'CPUExecutionProvider' in printed
    assert 'clip graph, onnx, float32, a batch of 2: ' in printed and 'random blobs' in printed
    manifest = Exported.open(out).manifest
    assert manifest['clip_len'] == 2 and manifest['joints'][0] == 'joint 0'
    assert manifest['checkpoint'] == 'tiny.pth' and len(manifest['weights_sha256']) == 64

    # A checkpoint of another model: one line, and nothing written.
    torch.save(dict(state_dict={'weight': torch.zeros(1)}), checkpoint)
    capsys.readouterr()
    for arguments in (
        [str(config), str(checkpoint)],
        [str(config), str(tmp_path / 'no.pth')],
        [str(tmp_path / 'no.py'), str(checkpoint)],
        [str(config), str(checkpoint), '--weight-bits', '7'],
    ):
        assert main(['export', *arguments, '--out', str(tmp_path / 'other')]) == 1
        assert len(capsys.readouterr().err.strip().splitlines()) == 1
    with pytest.raises(SystemExit):
        main(['export', str(config), str(checkpoint), '--out', str(out), '--clip-len', '0'])
    assert 'at least 1' in capsys.readouterr().err
    assert not (tmp_path / 'other').exists()
    assert issubclass(ExportError, ModelError)
