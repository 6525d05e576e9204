"""From file to JSON by part: parts add up, processor time is counted, wrappers are taken off."""

import hashlib
import threading
import types

import numpy as np
import pytest

from rpstn.benchmark import pipeline
from rpstn.benchmark.pipeline import Stopwatch
from rpstn.pose.streaming import streaming as streams
from rpstn.video.frames import VideoWriter


def busy() -> None:
    """Some milliseconds of a processor, without Python's lock and by no threads that stay awake."""
    hashlib.sha256(bytes(1 << 24)).digest()


def in_a_thread() -> None:
    thread = threading.Thread(target=busy)
    thread.start()
    thread.join()


def test_what_other_threads_work_is_counted():
    watch = Stopwatch()
    watch.timed(in_a_thread, 'work')()
    watch.timed(threading.Event().wait, 'rest')(0.05)
    work, rest = watch.spent['work'], watch.spent['rest']
    assert work.cpu > 1 and rest.wall >= 50 and rest.cpu < 25
    assert (work.calls, rest.calls) == (1, 1)


def test_a_wrapped_function_answers_counts_and_is_put_back():
    class Adder:
        def add(self, a: int, b: int = 0) -> int:
            return a + b

    module, adder, watch = types.SimpleNamespace(half=lambda x: x / 2), Adder(), Stopwatch()
    half = module.half
    with watch.over(module, 'half', 'both'), watch.over(adder, 'add', 'both'):
        assert module.half(4) == 2 and adder.add(1, b=2) == 3
        with pytest.raises(TypeError):
            module.half('four')
    assert watch.spent['both'].calls == 3
    assert module.half is half and 'add' not in vars(adder)


@pytest.fixture
def video(tmp_path) -> str:
    path = tmp_path / 'grey.avi'
    with VideoWriter(path, 10, (96, 96)) as writer:
        for t in range(6):
            writer.write(np.full((96, 96, 3), 60 + 20 * t, np.uint8))
    return str(path)


def test_parts_add_up_to_the_whole(video):
    cut = streams.cut_crops
    found = pipeline.measure_parts(video, 6, 'torch', 'float32', None, 1)
    parts = [
        found[part].wall
        for part in (
            pipeline.READING,
            pipeline.FINDING,
            pipeline.CROPS,
            pipeline.NETWORK,
            pipeline.DECODING,
            pipeline.REST,
            pipeline.JSON,
        )
    ]
    assert min(parts) >= 0 and 0.9 * found['all'].wall < sum(parts) <= found['all'].wall
    assert found[pipeline.READING].calls == found[pipeline.JSON].calls == 6
    network = found[pipeline.ENCODER].wall + found[pipeline.PROPAGATION].wall
    assert network == pytest.approx(found[pipeline.NETWORK].wall)
    assert streams.cut_crops is cut


def test_infer_can_be_run_again_with_the_model_loaded_once(video):
    call = pipeline.build_infer(video, 4, 'torch', 'float32', None)
    assert call.units == 4 and 'PyTorch' in call.device
    for _ in range(2):
        call.run()
    images = pipeline.there_and_back(video, 3)
    shades = [next(images).mean() for _ in range(5)]
    assert shades[0] < shades[1] < shades[2] and shades[3:] == shades[1::-1]
