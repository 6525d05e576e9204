"""Where the time from a video file to a JSON file goes; and that of `rpstn infer`, as a call.

Time is measured twice: as it passes, and as processors spend it on all threads of the process.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np

from rpstn.deploy.engines import build_stepper
from rpstn.deploy.export import Exported
from rpstn.deploy.openvino_stepper import OpenVINOStepper
from rpstn.deploy.sample_clips import random_clips
from rpstn.engine.cpu import keep_freed_memory
from rpstn.inference.inferencer import PoseInferencer
from rpstn.inference.options import InferOptions
from rpstn.inference.pose_files import PoseJson
from rpstn.inference.run import InferRun
from rpstn.pose.streaming import ahead
from rpstn.pose.streaming import streaming as streams
from rpstn.pose.streaming.steppers import TorchStepper
from rpstn.video.frames import open_frames
from rpstn.video.part import Moment

from .parts import eager_parts, operator_parts
from .timing import Call

READING, FINDING = 'reading the file', 'looking for people'
CROPS, NETWORK, DECODING = 'crops', 'network', 'decoding heatmaps'
REST, JSON = 'following and the rest', 'writing JSON'
ENCODER, PROPAGATION = 'of the network: encoder', 'of the network: propagation and relation'


@dataclass
class Spent:
    """Milliseconds of several calls together."""

    wall: float = 0.0
    cpu: float = 0.0
    calls: int = 0

    def add(self, began: tuple[float, float]) -> None:
        """One more call, which began at :func:`now`."""
        wall, cpu = now()
        self.wall += 1e3 * (wall - began[0])
        self.cpu += 1e3 * (cpu - began[1])
        self.calls += 1


def now() -> tuple[float, float]:
    """Seconds, passed and of processors in this process."""
    return time.perf_counter(), time.process_time()


class Stopwatch:
    """Time by part, of functions that are wrapped for a while."""

    def __init__(self) -> None:
        self.spent: dict[str, Spent] = {}

    @contextmanager
    def over(self, owner: Any, name: str, part: str) -> Iterator[None]:
        """Time every call of ``owner.name``, of an object or a module."""
        function, own = getattr(owner, name), name in vars(owner)
        setattr(owner, name, self.timed(function, part))
        try:
            yield
        finally:
            if own:
                setattr(owner, name, function)
            else:
                delattr(owner, name)

    def timed(self, function: Callable, part: str) -> Callable:
        """The function, whose calls count as a part."""
        spent = self.spent.setdefault(part, Spent())

        def run(*args: object, **options: object) -> object:
            began = now()
            try:
                return function(*args, **options)
            finally:
                spent.add(began)

        return run


class ReadyRun(InferRun):
    """`rpstn infer` again and again on the same input, the model loaded once.

    Args:
        **options: of :class:`InferOptions`; results go to a folder that ends with this.
    """

    def __init__(self, **options: Any) -> None:
        self._folder = tempfile.TemporaryDirectory()
        folder = Path(self._folder.name)
        super().__init__(InferOptions(out=folder, overwrite=True, **options), lambda line: None)
        self.loaded = super()._inferencer()

    def _inferencer(self) -> PoseInferencer:
        return self.loaded


def build_infer(
    video: str, frames: int, engine: str, precision: str, exported: Exported | None
) -> Call:
    """`rpstn infer VIDEO --save json` on the first frames, all but the loading of the model."""
    run = ReadyRun(
        inputs=(video,),
        save=('json',),
        mode='stream',
        device='cpu',
        engine=engine,
        precision=precision,
        exported=_folder(engine, exported),
        end=Moment(frames),
    )
    return Call(run.run, frames, run.loaded.engine)


def build_stream(
    video: str, frames: int, engine: str, precision: str, exported: Exported | None
) -> Call:
    """A streamed frame of RPSTN-Lite, of frames decoded before, shown forwards and backwards."""
    keep_freed_memory()
    inferencer = _inferencer(engine, precision, exported)
    images = there_and_back(video, frames)
    assert inferencer.streaming is not None
    streaming = inferencer.streaming
    return Call(lambda: streaming.step(next(images)), 1, inferencer.engine)


def there_and_back(video: str | Path, frames: int) -> Iterator[np.ndarray]:
    """The first frames of a video, BGR, decoded once, forwards and backwards for ever."""
    images = [frame.image for frame in islice(open_frames(Path(video)), frames)]
    return cycle([*images, *images[-2:0:-1]])


def measure_parts(
    video: str, frames: int, engine: str, precision: str, exported: Exported | None, threads: int
) -> dict[str, Spent]:
    """From file to JSON in one thread of its own, one part after the other.

    Returns:
        By part, milliseconds of all frames together; the encoder's share of the network is that of
        its operators (OpenVINO) or modules (PyTorch), and not there of ONNX Runtime.
    """
    keep_freed_memory()
    inferencer = _inferencer(engine, precision, exported)
    streaming = inferencer.streaming
    assert streaming is not None
    for image in islice(there_and_back(video, 5), 10):  # the first ones are slower
        streaming.step(image, stream='warm')
    streaming.close('warm')
    watch, whole = Stopwatch(), Spent()
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        writer = stack.enter_context(PoseJson(Path(folder, 'joints.json'), inferencer.joints, {}))
        read = iter(open_frames(Path(video)))
        stack.callback(read.close)  # type: ignore[attr-defined]
        read_next = watch.timed(lambda: next(read, None), READING)
        step = watch.timed(streaming.step, REST)
        write = watch.timed(writer.write, JSON)
        for owner, name, part in (
            (streaming.finder, 'find', FINDING),
            (streams, 'cut_crops', CROPS),
            (ahead, 'cut_crops', CROPS),
            (streaming.stepper, 'start', NETWORK),
            (streaming.stepper, 'step', NETWORK),
            (streaming, '_decode', DECODING),
        ):
            stack.enter_context(watch.over(owner, name, part))
        began = now()
        for _ in range(frames):
            frame = read_next()
            if frame is None:
                break
            write(replace(step(frame.image), index=frame.index, time=frame.time))
        whole.add(began)
    spent, rest = watch.spent, watch.spent[REST]
    for part in (FINDING, CROPS, NETWORK, DECODING):
        rest.wall -= spent[part].wall
        rest.cpu -= spent[part].cpu
    order = (READING, FINDING, CROPS, NETWORK, DECODING, REST, JSON)
    found = {part: spent[part] for part in order}
    share = _encoder_share(inferencer, engine, precision, exported, threads)
    if share is not None:
        network = found[NETWORK]
        for part, of in ((ENCODER, share), (PROPAGATION, 1 - share)):
            found[part] = Spent(of * network.wall, of * network.cpu, network.calls)
    return {**found, 'all': whole}


def _encoder_share(
    inferencer: PoseInferencer, engine: str, precision: str, exported: Exported | None, threads: int
) -> float | None:
    """Of a step's time; None if the engine does not tell."""
    if engine == 'openvino' and exported is not None:
        stepper = OpenVINOStepper(exported, precision, threads, counters=True)
        clip = random_clips(stepper.input_size)[0]
        state = stepper.start(clip[:1])
        times = []
        for _ in range(12):
            state = stepper.step(clip[:1], *state)
            parts = operator_parts(stepper.operator_times())
            times.append((parts['backbone'] + parts['deconvolutions']) / parts['all'])
        return float(np.median(times[2:]))
    if engine == 'torch':
        eager = build_stepper(inferencer.model, engine, precision)
        assert isinstance(eager, TorchStepper)
        parts = eager_parts(eager.model)
        return (parts['backbone'] + parts['deconvolutions']) / parts['all']
    return None


def _inferencer(engine: str, precision: str, exported: Exported | None) -> PoseInferencer:
    return PoseInferencer(
        device='cpu',
        engine=engine,
        precision=precision,
        exported=_folder(engine, exported),
        mode='stream',
    )


def _folder(engine: str, exported: Exported | None) -> Path | None:
    return None if engine == 'torch' or exported is None else exported.folder
