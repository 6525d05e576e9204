"""Every engine answers what PyTorch answers, and what cannot be had is said in one line."""

import os
import shutil
import threading
import time

import numpy as np
import pytest
import torch

pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')

from rpstn.benchmark.pose import build_model  # noqa: E402
from rpstn.deploy.engines import (  # noqa: E402
    ENGINES,
    EngineError,
    build_stepper,
    export_for_engine,
    precision_here,
)
from rpstn.deploy.export import export_model  # noqa: E402
from rpstn.deploy.parity import compare_steppers, follow  # noqa: E402
from rpstn.deploy.sample_clips import random_clips  # noqa: E402
from rpstn.engine.cpu import for_inference  # noqa: E402 (after what may be missing)
from rpstn.pose.streaming.streaming import Stepper, TorchStepper  # noqa: E402

from tiny_rpstn import CHANNELS, JOINTS, SIZE, tiny_config  # noqa: E402

pytestmark = pytest.mark.engines

# Greatest difference, as a share of the greatest heatmap value.
TOLERANCE = dict(float32=1e-5, bfloat16=0.1, int8=0.3)


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
        graphs=('start', 'step'),
        calibration=random_clips((SIZE, SIZE), 4),
    )


@pytest.mark.parametrize(
    ('engine', 'precision'),
    [(engine, precision) for engine, precisions in ENGINES.items() for precision in precisions],
)
def test_every_engine_follows_as_torch_does(model, exported, engine, precision):
    if engine == 'openvino':
        pytest.importorskip('openvino')
    stepper = build_stepper(model if engine == 'torch' else exported, engine, precision, threads=1)
    assert isinstance(stepper, Stepper)
    reference = TorchStepper(model)
    for name in ('input_size', 'heatmap_size', 'num_joints'):
        assert getattr(stepper, name) == getattr(reference, name)
    # float32 stands in for bfloat16 on processors without it, and that is said.
    assert stepper.precision == precision_here(engine, precision) and stepper.encodes
    assert f' {stepper.precision}' in stepper.device
    assert ('this processor has no bfloat16' in stepper.device) == (stepper.precision != precision)
    if engine == 'openvino':
        short = precision != 'float32' and precision_here(engine, 'bfloat16') == 'bfloat16'
        assert f'floating point in {"bf16" if short else "f32"}' in stepper.device
    clips = random_clips((SIZE, SIZE), 4)
    parity = compare_steppers(reference, stepper, clips)
    assert parity.greatest <= TOLERANCE[stepper.precision] * parity.range
    if stepper.precision != 'float32':  # it does compute otherwise
        assert parity.greatest > 1e-5 * parity.range

    # Three people in one batch are as three batches of one, also where each was alone before.
    people = torch.stack([*clips, clips[0].flip(0)])
    alone = np.stack([follow(stepper, clip) for clip in people])
    heatmaps, features = stepper.start(people[:, 0])
    found = [heatmaps]
    for t in range(1, people.shape[1]):
        heatmaps, features = stepper.step(people[:, t], heatmaps, features)
        found.append(heatmaps)
    assert features.shape == (3, CHANNELS, 16, 16) and heatmaps.dtype == torch.float32
    batched = torch.stack(found, 1).numpy()
    tolerance = 1e-5 if stepper.precision == 'float32' else 0.3 * TOLERANCE[precision]
    np.testing.assert_allclose(batched, alone, atol=tolerance * np.abs(alone).max())


@pytest.mark.parametrize(
    ('engine', 'precision'),
    [('onnx', 'float32'), ('openvino', 'float32'), ('openvino', 'bfloat16')],
)
def test_answers_are_not_overwritten_by_the_next_call(exported, engine, precision):
    if engine == 'openvino':
        pytest.importorskip('openvino')
    carried = getattr(torch, precision_here(engine, precision))
    stepper = build_stepper(exported, engine, precision, threads=1)
    clip = random_clips((SIZE, SIZE), 3, 1)[0]
    state = stepper.start(clip[:1])
    first = stepper.step(clip[1:2], *state)
    assert [tensor.dtype for tensor in first] == [torch.float32, carried]
    kept = [tensor.clone() for tensor in first]
    stepper.step(clip[2:], *first)
    assert all(torch.equal(a, b) for a, b in zip(first, kept))


@pytest.mark.skipif(not hasattr(os, 'sched_getaffinity'), reason='no Linux')
@pytest.mark.parametrize('engine', ['onnx', 'openvino'])
def test_what_computes_is_not_bound_to_a_core(exported, engine):
    # Or several processes that each have one thread would all compute on the same core.
    pytest.importorskip(dict(onnx='onnxruntime', openvino='openvino')[engine])
    stepper = build_stepper(exported, engine, threads=1)
    crops = random_clips((SIZE, SIZE), 2, 1)[0][:1]
    here, free = threading.get_native_id(), os.sched_getaffinity(0)
    seen, done = [], threading.Event()

    def watch():
        while not done.is_set():
            seen.append(os.sched_getaffinity(here))
            time.sleep(1e-4)

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        for _ in range(40):
            stepper.start(crops)
    finally:
        done.set()
        watching.join()
    assert len(seen) > 10 and all(cores == free for cores in seen)


@pytest.mark.parametrize('engine', ['onnx', 'openvino'])
def test_a_model_that_carries_nothing_on_is_exported_all_the_same(engine, tmp_path):
    pytest.importorskip(dict(onnx='onnxruntime', openvino='openvino')[engine])
    config = tiny_config()
    config.model.head.relation = None
    config.model.head.propagator = dict(type='NoPropagator')
    model = for_inference(build_model(config))
    clips = random_clips((SIZE, SIZE), 3, 2)
    exported = export_model(model, tmp_path, graphs=('start', 'step'), calibration=clips)
    reference = TorchStepper(model)
    for precision in ('float32', 'int8'):
        stepper = build_stepper(exported, engine, precision, threads=1)
        parity = compare_steppers(reference, stepper, clips)
        assert parity.greatest <= TOLERANCE[precision] * parity.range
        both = stepper.start(torch.stack([clip[0] for clip in clips]))
        heatmaps, _ = stepper.step(torch.stack([clip[1] for clip in clips]), *both)
        assert heatmaps.shape == (2, JOINTS, 16, 16)
        assert not stepper.encodes, 'it has no second half'


@pytest.mark.parametrize('engine', ['onnx', 'openvino'])
def test_a_step_whose_halves_share_more_than_maps_stays_whole(engine, tmp_path):
    """The relation asks crops' maps for their sizes, too."""
    pytest.importorskip(dict(onnx='onnxruntime', openvino='openvino')[engine])
    config = tiny_config()
    config.model.head.relation = dict(type='PairwiseRelation', temporal=True)
    config.model.head.propagator = dict(type='NoPropagator')
    model = for_inference(build_model(config))
    exported = export_model(model, tmp_path, graphs=('start', 'step'))
    stepper = build_stepper(exported, engine, threads=2)
    parity = compare_steppers(TorchStepper(model), stepper, random_clips((SIZE, SIZE), 3, 2))
    assert parity.greatest <= TOLERANCE['float32'] * parity.range and not stepper.encodes


def test_two_threads_with_one_openvino_stepper_hear_their_own(exported):
    pytest.importorskip('openvino')
    stepper = build_stepper(exported, 'openvino', threads=1)
    crops = [clip[:1] for clip in random_clips((SIZE, SIZE), 1, 2)]
    expected = [stepper.encode(crop).maps['next_features'].data.copy() for crop in crops]
    wrong = []

    def encode(n: int) -> None:
        for _ in range(60):
            if not np.array_equal(stepper.encode(crops[n]).maps['next_features'].data, expected[n]):
                wrong.append(n)

    threads = [threading.Thread(target=encode, args=(n,)) for n in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not np.array_equal(*expected) and not wrong


@pytest.mark.parametrize('engine', ['onnx', 'openvino'])
def test_a_model_is_exported_on_the_way_and_its_folder_not_needed_again(model, engine, tmp_path):
    pytest.importorskip(dict(onnx='onnxruntime', openvino='openvino')[engine])
    exported = export_for_engine(model, tmp_path / 'exported', engine)
    stepper = build_stepper(exported, engine, threads=1)
    shutil.rmtree(exported.folder)
    clips = random_clips((SIZE, SIZE), 2, 2)
    parity = compare_steppers(TorchStepper(model), stepper, clips)
    assert parity.greatest < 1e-5
    # Several people are met only now.
    assert stepper.start(torch.stack([clip[0] for clip in clips]))[0].shape[0] == 2


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(engine='tensorrt'), "engine must be one of torch, onnx, openvino, got 'tensorrt'"),
        (
            dict(engine='onnx', precision='bfloat16'),
            "precision of engine onnx must be one of float32, int8, got 'bfloat16'",
        ),
        (
            dict(engine='torch', precision='int8'),
            "precision of engine torch must be one of float32, bfloat16, got 'int8'",
        ),
        (dict(engine='onnx'), 'engine onnx takes an export, of export_model, got a model'),
    ],
)
def test_what_cannot_be_had_is_said(model, arguments, message):
    with pytest.raises(EngineError, match=message):
        build_stepper(model, **arguments)


def test_torch_takes_a_model_and_integers_take_clips(model, tmp_path):
    with pytest.raises(EngineError, match="engine torch takes a model, got 'exported'"):
        build_stepper('exported')
    with pytest.raises(EngineError, match='int8 has to be calibrated'):
        export_for_engine(model, tmp_path, 'onnx', 'int8')


def test_crops_of_another_size_or_type_are_refused(exported):
    stepper = build_stepper(exported, 'onnx', threads=1)
    for crops in (torch.zeros(1, 3, 32, 64, dtype=torch.uint8), torch.zeros(1, 3, SIZE, SIZE)):
        with pytest.raises(ValueError, match=r'crops must be \(N, 3, 64, 64\) torch.uint8'):
            stepper.start(crops)


def test_an_engine_that_is_not_installed_is_named_with_the_command(run_python):
    done = run_python(
        """
import rpstn
from rpstn.deploy.engines import build_stepper
from rpstn.deploy.export import ExportError
try:
    build_stepper('nowhere', 'openvino')
except ExportError as error:
    print(error)
""",
        hidden=('openvino',),
    )
    assert 'pip install -r requirements/export.txt' in done.stdout, done.stderr
    assert len(done.stdout.strip().splitlines()) == 1
