"""Repetitions counted as they are done: a camera, a stream, or any frames one after the other.

Shape letter: T frames since the last repetition that is over.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rpstn.deploy.engines import fastest_engine
from rpstn.form.angles import azimuth, measure_angles, view_of
from rpstn.form.exercises import count, counting_angle, load_exercise
from rpstn.form.findings import CONFIRMED, ONCE, find_faults
from rpstn.form.repetitions import Repetition
from rpstn.inference.inferencer import PoseInferencer
from rpstn.inference.outputs import Window, WindowClosed
from rpstn.lift.lifting import lift
from rpstn.lift.sources import in_own_axes
from rpstn.lift.structures import Track, is_faint
from rpstn.results import FrameResult, peaks_of
from rpstn.skeletons import get_skeleton
from rpstn.video.inputs import Source

from .pictures import fitting, write

_KEPT = 20.0  # seconds of movement that are looked back at, at most
_OVER = 0.7  # seconds after which a repetition that ended is not looked at again
_TREND = 0.25  # seconds over which the angle is seen to rise or fall
_USUAL = 100  # frames of a person, which tell how well they are seen
_STILL = 25.0  # degrees per second: slower is neither down nor up
_SKELETON = get_skeleton('blazepose33')


@dataclass(frozen=True)
class LiveState:
    """What is known at one moment."""

    time: float
    """Seconds since the first frame."""
    count: int
    """Whole repetitions so far."""
    phase: str
    """``rest``, ``down``, ``turn`` or ``up``; ``nobody`` where nobody is seen."""
    angle: float
    """Of what is counted by, degrees; NaN where it is not known."""
    worst: str
    """What to do about the most important fault of the last repetition, a colon, and the fault in
    numbers; empty for none."""
    rate: float
    """Frames per second looked at, over the last second."""


class LiveCounter:
    """Counts from one person's joints in space, frame by frame.

    Phase, angle and count are of BlazePose's joints, which every frame has by itself; a repetition
    that is over is judged by joints lifted from all of its frames, as in reports, where joints in
    the image are given, too.

    Args:
        exercise: name, or file, see :func:`rpstn.form.exercises.load_exercise`.
    """

    def __init__(self, exercise: str | Path = 'squat') -> None:
        self.exercise = load_exercise(exercise)
        self.count, self.worst = 0, ''
        self._joints: deque[np.ndarray] = deque()
        self._images: deque[np.ndarray | None] = deque()
        self._times: deque[float] = deque()
        self._known = 0  # whole repetitions among the frames that are kept
        self._gone = 0  # and before them

    def add(
        self, joints: np.ndarray, moment: float, image: np.ndarray | None = None
    ) -> tuple[str, float]:
        """Phase and counting angle after one more frame.

        Args:
            joints: (33, 3) metres, axes as of :class:`rpstn.lift.structures.Joints3D`.
            moment: seconds, rising.
            image: (33, 2) pixels.
        """
        self._joints.append(joints)
        self._images.append(image)
        self._times.append(moment)
        times = np.array(self._times)
        angles = measure_angles(np.stack(self._joints), _SKELETON, upright=False)
        angle = counting_angle(angles, self.exercise)
        found = [one for one in count(angles, times, self.exercise) if not one.partial]
        if len(found) > self._known:
            self._judge(found[-1])
        self._known = max(self._known, len(found))
        self.count = self._gone + self._known
        phase = self._phase(angle, times)
        self._forget(times, found)
        return phase, float(angle[-1])

    def _judge(self, repetition: Repetition) -> None:
        joints = self._lifted()
        angles = measure_angles(joints, _SKELETON, upright=False)
        view = view_of(azimuth(joints, _SKELETON))
        found = find_faults(angles, [repetition], self.exercise, view, upright=False)
        seen = [one for one in found if one.status in (CONFIRMED, ONCE)]
        self.worst = ''
        if seen:
            self.worst = f'{seen[0].cue.rstrip(".")}: {seen[0].reason.partition(": ")[2]}'

    def _lifted(self) -> np.ndarray:
        """(T, 33, 3) as reports have them, or as they came where they cannot be lifted."""
        joints = np.stack(self._joints)
        known = [image for image in self._images if image is not None]
        if len(known) < len(joints):
            return joints
        image, frames = np.stack(known), np.arange(len(joints))
        track = Track(
            image,
            np.isfinite(image).all(-1).astype(float),
            np.array(self._times),
            frames,
            _SKELETON,
            world=in_own_axes(joints),
        )
        return lift(track, tilt=0.0, cutoff=None).joints

    def _phase(self, angle: np.ndarray, times: np.ndarray) -> str:
        recent = angle[times >= times[-1] - _TREND]
        known = recent[~np.isnan(recent)]
        if not len(known):
            return 'rest'
        speed = (known[-1] - known[0]) / max(times[-1] - times[-len(recent)], 1e-3)
        if abs(speed) >= _STILL:
            return 'down' if speed > 0 else 'up'
        return 'rest' if known[-1] <= self.exercise.counting.rest else 'turn'

    def _forget(self, times: np.ndarray, found: list[Repetition]) -> None:
        """What lies before the end of the last repetition, once that is over."""
        start = 0
        if found and times[-1] - times[found[-1].end] > _OVER:
            start = found[-1].end
            self._gone, self._known = self._gone + self._known, 0
        start = max(start, int(np.searchsorted(times, times[-1] - _KEPT)) if not found else 0)
        for _ in range(start):
            self._joints.popleft()
            self._images.popleft()
            self._times.popleft()


def watch(
    source: Source, exercise: str | Path = 'squat', device: str = 'cpu'
) -> Generator[tuple[FrameResult, LiveState], None, None]:
    """Every frame's joints and what is counted so far.

    Args:
        source: opened, see :func:`rpstn.video.inputs.open_input`; of a camera or stream the newest
            frame is taken, and those that come meanwhile are dropped.
        exercise, device: see :class:`LiveCounter` and :class:`PoseInferencer`; what computes is
            the fastest that is installed.

    Raises:
        RPSTNError: the source breaks off, or there is no such exercise.
    """
    counter = LiveCounter(exercise)
    engine = fastest_engine(device)
    inferencer = PoseInferencer(
        device=device, engine=engine, mode='stream', world=True, smooth=True
    )
    ticks: deque[float] = deque()
    peaks: deque[np.ndarray] = deque(maxlen=_USUAL)
    for result in inferencer(source):
        now = time.monotonic()
        ticks.append(now)
        while ticks[0] < now - 1:
            ticks.popleft()
        phase, angle = 'nobody', float('nan')
        person = next((one for one in result.people if not one.lost), None)
        if person is not None:
            peaks.append(peaks_of(person.scores, result.meta))
            if is_faint(peaks[-1], np.stack(peaks)):  # who has just left
                person = None
        if person is not None and person.world is not None:
            phase, angle = counter.add(in_own_axes(person.world), result.time, person.keypoints)
        rate = (len(ticks) - 1) / max(now - ticks[0], 1e-3)
        yield result, LiveState(result.time, counter.count, phase, angle, counter.worst, rate)


def show(source: Source, exercise: str | Path = 'squat', device: str = 'cpu') -> LiveState | None:
    """Count in a window, until it is closed, q or Escape is pressed in it, or the source ends.

    Args:
        source, exercise, device: see :func:`watch`.

    Returns:
        What was known at last; None where not a frame came.

    Raises:
        OutputError: there is no screen, or an OpenCV without windows.
        RPSTNError: as :func:`watch`.
    """
    state = None
    with Window(source) as window, closing(watch(source, exercise, device)) as seen:
        try:
            for result, state in seen:
                draw_state(result.draw(), state)
                window.write(result)
        except WindowClosed:
            pass
    return state


def draw_state(image: np.ndarray, state: LiveState) -> np.ndarray:
    """Count, phase and fault in letters, on an image (H, W, 3) BGR uint8 in place."""
    size = max(14, image.shape[0] // 20)
    write(image, f'{state.count}', (size // 2, size // 2), 3 * size)
    angle = '' if np.isnan(state.angle) else f' {state.angle:.0f}°'
    write(image, state.phase + angle, (size // 2, size * 5), size)
    if state.worst:
        cue = state.worst.partition(':')[0]
        small = fitting(cue, size, image.shape[1] - size)
        write(image, cue, (size // 2, image.shape[0] - size // 2 - 2 * small), small)
    return image
