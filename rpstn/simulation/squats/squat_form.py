"""What a simulated squat is like: its form, which decides the class, its tempo and its style.

The classes are those of Ogata, Simo-Serra, Iizuka, Ishikawa, "Temporal Distance Matrices for
Squat Classification", CVPRW 2019.

Shape letters: T frames.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import ClassVar

import numpy as np

from rpstn.errors import SettingError

from ..athletes.skeleton import Proportions

_GOOD = dict(
    knee_valgus=(0.0, 5.0),
    spine_flexion=(0.0, 8.0),
    spine_extension=(0.0, 0.0),
    head_pitch=(-6.0, 8.0),
    depth=(-0.02, 0.07),
    knee_travel=(-0.04, 0.01),
)
# The class that each fault makes, by the paper's name and in its order, and the parameters that
# have left the range of a good squat.
_FAULTS: dict[str, dict[str, tuple[float, float]]] = {
    'inward knee': dict(knee_valgus=(12.0, 24.0)),
    'round back': dict(spine_flexion=(28.0, 55.0)),
    'warped back': dict(spine_flexion=(0.0, 0.0), spine_extension=(22.0, 42.0)),
    'upwards head': dict(head_pitch=(28.0, 55.0)),
    # It ends before the knees have come all the way forward.
    'shallowness': dict(depth=(-0.26, -0.11), knee_travel=(-0.07, -0.01)),
    'frontal knee': dict(knee_travel=(0.04, 0.085)),
    'good': {},
}
SQUAT_CLASSES: tuple[str, ...] = tuple(_FAULTS)


def random_body(rng: np.random.Generator) -> Proportions:
    """A body of random proportions, its hip joints where pose estimators see them.

    HMR and MediaPipe put them 0.65 to 0.85 of the width of the shoulders apart, further than
    they are in the bones; this decides how straight hip, knee and shoulder look while standing.
    """
    body = Proportions.random(rng)
    return replace(body, hip_half=body.shoulder_half * rng.uniform(0.6, 0.75))


def _check_fields(settings: object, allowed: dict[str, tuple[float, float]]) -> None:
    """Refuses, with a ValueError, numbers of a dataclass that are no numbers or out of range."""
    for name, (low, high) in allowed.items():
        value = getattr(settings, name)
        if not isinstance(value, (int, float, np.number)) or not low <= value <= high:
            raise SettingError(
                f'{type(settings).__name__}.{name} must be a number in '
                f'[{low}, {high}], got {value!r}'
            )


@dataclass(frozen=True)
class SquatForm:
    """The form at the bottom of a squat; each fault is one parameter, the defaults are good form.

    Attributes:
        knee_valgus: degrees by which each knee turns inward about the line from hip to ankle,
            away from the plane over the toes.
        spine_flexion: degrees of the forward bend between pelvis and rib cage, a round back. The
            mean lean of the trunk does not change.
        spine_extension: degrees of the same bend backward, a warped (hollow) back.
        head_pitch: degrees by which the face is raised above the neutral gaze.
        depth: metres from the knee joints down to the hip joints; negative where the hips stay
            above the knees.
        knee_travel: metres along the feet from the tips of the toes forward to the knees;
            negative where the knees stay behind the toes. Valgus takes some of it.

    Raises:
        SettingError: a parameter is out of :attr:`RANGES`, or the spine bends both ways.
    """

    knee_valgus: float = 0.0
    spine_flexion: float = 0.0
    spine_extension: float = 0.0
    head_pitch: float = 0.0
    depth: float = 0.02
    knee_travel: float = -0.02

    RANGES: ClassVar[dict[str, tuple[float, float]]] = dict(
        knee_valgus=(0, 60),
        spine_flexion=(0, 80),
        spine_extension=(0, 60),
        head_pitch=(-60, 80),
        depth=(-0.35, 0.2),
        knee_travel=(-0.2, 0.2),
    )

    def __post_init__(self) -> None:
        _check_fields(self, self.RANGES)
        if self.spine_flexion and self.spine_extension:
            raise SettingError(
                'SquatForm: spine_flexion and spine_extension exclude each other, '
                f'got {self.spine_flexion} and {self.spine_extension} degrees'
            )

    @classmethod
    def random(cls, rng: np.random.Generator, label: str) -> SquatForm:
        """A form of the class `label`, one of :data:`SQUAT_CLASSES`: how strong the fault is is
        drawn, and so are the other parameters, within what is still good form."""
        return cls(
            **{name: float(rng.uniform(*limits)) for name, limits in form_ranges(label).items()}
        )


def form_ranges(label: str) -> dict[str, tuple[float, float]]:
    """Lowest and highest value of each parameter of :class:`SquatForm` in a class.

    Raises:
        SettingError: there is no class of that name.
    """
    if label not in _FAULTS:
        raise SettingError(f'unknown squat class {label!r}; known are {", ".join(SQUAT_CLASSES)}')
    return {**_GOOD, **_FAULTS[label]}


@dataclass(frozen=True)
class SquatTempo:
    """Repetitions and the seconds that their phases take.

    Attributes:
        repetitions: number of squats.
        standing: seconds before the first, between two, and after the last.
        descent, pause, ascent: seconds down, at the bottom, up.
        variation: standard deviation of all times between repetitions, relative; the depth
            reached varies by a fifth of it, never beyond the form's.

    Raises:
        SettingError: a field is out of :attr:`RANGES`.
    """

    repetitions: int = 1
    standing: float = 0.8
    descent: float = 1.3
    pause: float = 0.2
    ascent: float = 1.1
    variation: float = 0.0

    RANGES: ClassVar[dict[str, tuple[float, float]]] = dict(
        repetitions=(1, 100),
        standing=(0, 60),
        descent=(0.2, 60),
        pause=(0, 60),
        ascent=(0.2, 60),
        variation=(0, 0.25),
    )

    def __post_init__(self) -> None:
        _check_fields(self, self.RANGES)
        if int(self.repetitions) != self.repetitions:
            raise SettingError(f'SquatTempo.repetitions must be whole, got {self.repetitions!r}')

    @classmethod
    def random(cls, rng: np.random.Generator, repetitions: int) -> SquatTempo:
        """Quick to slow: 2 to 6 seconds a squat, the pause mostly short."""
        return cls(
            repetitions,
            rng.uniform(0.4, 1.4),
            rng.uniform(0.8, 2.2),
            rng.uniform(0, 1) ** 2 * 0.9,
            rng.uniform(0.7, 1.8),
            0.08,
        )

    def course(
        self, fps: float, rng: np.random.Generator | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """How far down the athlete is at each frame.

        Args:
            fps: frames per second.
            rng: draws the unevenness; without it every repetition is the same.

        Returns:
            times (T,) in seconds from 0, and the course (T,) in [0, 1]: 0 standing, 1 at the
            form's full depth, with no jump in velocity or acceleration.
        """
        number = int(self.repetitions)
        spans = np.tile([self.standing, self.descent, self.pause, self.ascent], (number, 1))
        reached = np.ones(number + 1)
        if rng is not None:
            spans *= np.clip(rng.normal(1, self.variation, spans.shape), 0.5, 1.5)
            reached -= np.clip(np.abs(rng.normal(0, self.variation / 5, number + 1)), 0, 0.1)
        knots = np.concatenate([[0], np.cumsum(np.append(spans.ravel(), self.standing))])
        times = np.arange(int(knots[-1] * fps + 1e-6) + 1) / fps
        way = np.interp(times, knots, np.append(np.tile([0, 0, 1, 1], number), [0, 0]))
        smooth = way**3 * (10 + way * (6 * way - 15))  # least jerk: Flash and Hogan, 1985
        running = np.searchsorted(knots[4::4], times, side='right')
        return times, smooth * reached[running]


@dataclass(frozen=True)
class SquatStyle:
    """How a person squats apart from good and bad.

    Attributes:
        half_stance: metres from the middle to each ankle.
        toe_out: degrees by which the feet turn outward.
        balance: metres from the ankles forward to the centre of mass.
        asymmetry: the left knee takes 1 + asymmetry times, the right one 1 - asymmetry times
            the valgus.
        sway: strength of the small movements of pelvis, trunk and head, 0 for none.

    Raises:
        SettingError: a field is out of :attr:`RANGES`.
    """

    half_stance: float = 0.18
    toe_out: float = 15.0
    balance: float = 0.03
    asymmetry: float = 0.0
    sway: float = 0.0

    RANGES: ClassVar[dict[str, tuple[float, float]]] = dict(
        half_stance=(0.05, 0.45),
        toe_out=(-10, 50),
        balance=(-0.03, 0.12),
        asymmetry=(-1, 1),
        sway=(0, 5),
    )

    def __post_init__(self) -> None:
        _check_fields(self, self.RANGES)

    @classmethod
    def random(cls, rng: np.random.Generator, body: Proportions) -> SquatStyle:
        """Feet about as far apart as the shoulders, for a body of these proportions."""
        return cls(
            body.stature * rng.uniform(0.07, 0.12),
            rng.uniform(5, 30),
            rng.uniform(0.0, 0.04),
            float(np.clip(rng.normal(0, 0.15), -0.3, 0.3)),
            rng.uniform(0.5, 1.5),
        )

    def varied(self, rng: np.random.Generator) -> SquatStyle:
        """The same person in another recording: every field by a little."""
        spread = dict(half_stance=0.008, toe_out=2.0, balance=0.005, asymmetry=0.08, sway=0.1)
        return SquatStyle(
            **{
                field.name: float(
                    np.clip(
                        rng.normal(getattr(self, field.name), spread[field.name]),
                        *self.RANGES[field.name],
                    )
                )
                for field in fields(self)
            }
        )
