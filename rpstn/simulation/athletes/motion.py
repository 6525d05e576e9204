"""Parametric motions: squats, jumping jacks, walking and push-ups.

Every motion is a function `motion(rng, body, times) -> PosedSkeleton` that draws its own style
(tempo, amplitude, phase, arm position, sway) from `rng`. Feet that stand stay where they are:
legs, and arms that lean on the floor, are posed by inverse kinematics from fixed targets.

Shape letters: N frames.
"""

from collections.abc import Callable

import numpy as np

from .skeleton import SIDES, PosedSkeleton, Poser, Proportions, body_frame
from .timing import Repetitions, draw_repetitions, sway

Motion = Callable[[np.random.Generator, Proportions, np.ndarray], PosedSkeleton]


def _vectors(x: float | np.ndarray, y: float | np.ndarray, z: float | np.ndarray) -> np.ndarray:
    """Stacks (N, 2) or broadcastable components to vectors (N, 2, 3)."""
    return np.stack(np.broadcast_arrays(x, y, z), -1)


def _pair(value: np.ndarray) -> np.ndarray:
    return np.asarray(value)[:, None]


def squat(rng: np.random.Generator, body: Proportions, times: np.ndarray) -> PosedSkeleton:
    """Squats between standing and a knee angle of 55 to 110 degrees, the feet fixed."""
    reps = draw_repetitions(rng, times, rng.uniform(1.6, 3.2))
    depth = reps.depth(rng.uniform(0.42, 0.58)) * np.minimum(reps.effort, 1.0)
    half_stance = body.stature * rng.uniform(0.07, 0.14)
    toe_out = np.radians(rng.uniform(5, 32))
    knee_angle = np.radians(rng.uniform(55, 110))
    deepest = np.sqrt(
        body.thigh**2 + body.shank**2 - 2 * body.thigh * body.shank * np.cos(knee_angle)
    )
    reach = 0.992 * body.leg + (deepest - 0.992 * body.leg) * depth  # hip to ankle
    back = rng.uniform(0.10, 0.15) * body.stature * depth + sway(rng, times, 0.004)
    aside = sway(rng, times, 0.004)
    spread = half_stance - body.hip_half
    height = body.ankle_height + np.sqrt(reach**2 - back**2 - (spread + abs(aside)) ** 2)
    pelvis = np.stack([0.02 - back, aside, height], -1)
    lean = np.radians(rng.uniform(30, 52)) * depth + np.radians(2) + sway(rng, times, 0.01)
    ankles = _vectors(0, SIDES * half_stance, body.ankle_height)[None]
    forward = _vectors(np.cos(toe_out), SIDES * np.sin(toe_out), 0)[None]
    gaze = 0.35 * lean + sway(rng, times, 0.04)
    poser = Poser(body, len(times)).trunk(
        pelvis,
        body_frame(0.8 * lean),
        body_frame(lean, sway(rng, times, 0.02)),
        body_frame(gaze, sway(rng, times, 0.10)),
    )
    poser.legs(ankles, forward, forward)
    squat_arms(rng, poser, depth)
    return poser.skeleton()


def squat_arms(rng: np.random.Generator, poser: Poser, depth: np.ndarray) -> None:
    """Arms stretched forward, hands at the chest, at the hips, or behind the head."""
    style = rng.choice(['raise', 'chest', 'hips', 'head'], p=[0.45, 0.25, 0.15, 0.15])
    body, (_, chest, head) = poser.body, poser.frames
    forward, left, up = (chest[:, None, :, i] for i in range(3))
    side = SIDES[:, None]
    down_out = -np.array([0, 0, 1.0]) + 0.6 * side * left
    if style == 'raise':
        lift = np.radians(rng.uniform(15, 85) + rng.uniform(60, 90) * depth)[:, None, None]
        lift = np.minimum(lift, np.radians(100))
        away = rng.uniform(-0.15, 0.25)
        direction = (
            np.sin(lift) * forward + _vectors(0, 0, -np.cos(lift[..., 0])) + away * side * left
        )
        bend = rng.uniform(0, 0.3)
        poser.swing(direction, direction + bend * (up * 0.5 - 0.6 * side * left))
    elif style == 'chest':
        centre = poser.joints[:, 2, None] - 0.30 * body.thorax * up
        poser.reach(
            centre + 0.62 * body.forearm * forward + 0.03 * side * left,
            down_out,
            up - 0.4 * side * left,
        )
    elif style == 'hips':
        centre = poser.joints[:, 1, None]
        poser.reach(
            centre + 1.05 * body.shoulder_half * side * left + 0.05 * forward,
            side * left - 0.5 * forward,
            forward - 0.6 * up,
        )
    else:
        centre = poser.joints[:, 3, None]
        poser.reach(
            centre - 0.06 * forward + 0.105 * side * left,
            side * left + 0.2 * forward,
            -side * left - 0.6 * head[:, None, :, 0],
        )


def jumping_jack(rng: np.random.Generator, body: Proportions, times: np.ndarray) -> PosedSkeleton:
    """Jumping jacks: feet apart and arms overhead, and back, with a hop each way."""
    reps = draw_repetitions(rng, times, rng.uniform(0.85, 1.5), 0.05)
    depth = reps.depth() * np.minimum(reps.effort, 1.05)
    narrow, wide = body.stature * rng.uniform(0.03, 0.06), body.stature * rng.uniform(0.15, 0.24)
    hop = rng.uniform(0.02, 0.08) * np.sin(2 * np.pi * reps.share) ** 2
    half_stance = narrow + (wide - narrow) * depth
    crouch = 0.985 - 0.03 * np.cos(2 * np.pi * reps.share) ** 4
    spread = half_stance - body.hip_half
    height = body.ankle_height + hop + np.sqrt((crouch * body.leg) ** 2 - spread**2)
    pelvis = np.stack([sway(rng, times, 0.008), sway(rng, times, 0.008), height], -1)
    lean = np.radians(rng.uniform(0, 8)) + sway(rng, times, 0.015)
    lift = _pair(hop) / 0.16
    ankles = _vectors(0, SIDES * _pair(half_stance), body.ankle_height + _pair(hop))
    toe_out = np.radians(rng.uniform(5, 25))
    forward = _vectors(np.cos(toe_out), SIDES * np.sin(toe_out), -lift)
    poser = Poser(body, len(times)).trunk(
        pelvis,
        body_frame(lean),
        body_frame(lean, 0, sway(rng, times, 0.01)),
        body_frame(sway(rng, times, 0.05), sway(rng, times, 0.08)),
    )
    poser.legs(ankles, _vectors(1, 0.45 * SIDES, 0)[None], forward)
    low, high = np.radians(rng.uniform(8, 25)), np.radians(rng.uniform(140, 172))
    angle = _pair(low + (high - low) * depth)
    bend = _pair(np.radians(rng.uniform(5, 45)) * (0.4 + 0.6 * np.sin(np.pi * depth)))
    front = rng.uniform(0.0, 0.35)

    def direction(a: np.ndarray) -> np.ndarray:
        return _vectors(front * np.abs(np.sin(a)) + 0.03, SIDES * np.sin(a), -np.cos(a))

    poser.swing(direction(angle), direction(angle + bend * rng.choice([-0.5, 1.0])))
    return poser.skeleton()


def walking(rng: np.random.Generator, body: Proportions, times: np.ndarray) -> PosedSkeleton:
    """Walking straight ahead: planted feet do not slide, arms swing against the legs."""
    period = rng.uniform(0.95, 1.35)  # of one stride, two steps
    step = body.leg * rng.uniform(0.45, 0.74)
    lift, stance = body.leg * rng.uniform(0.08, 0.18), 0.60
    reps = draw_repetitions(rng, times, period, 0.02)
    stride = reps.count
    ankles = np.empty((len(times), 2, 3))
    toes = np.empty((len(times), 2, 3))
    for i, shift in enumerate((0.0, 0.5)):
        cycle, share = np.divmod(stride + shift, 1.0)
        swing = np.clip((share - stance) / (1 - stance), 0, 1)
        carried = swing - np.sin(2 * np.pi * swing) / (2 * np.pi)
        x = 2 * step * (cycle - shift + carried) + step * (stance - 0.04)
        heel_off = np.clip((share - 0.38) / (stance - 0.38), 0, 1) ** 2 * (1 - swing) ** 2
        z = (
            body.ankle_height
            + 0.13 * body.foot * 2.6 * heel_off
            + lift * np.sin(np.pi * swing) ** 2 * (1 - 0.45 * swing)
        )
        ankles[:, i] = np.stack([x, SIDES[i] * np.full_like(x, 0.045 * body.stature), z], -1)
        pitch = (
            -0.9 * heel_off
            - 0.5 * np.sin(np.pi * swing) * (swing < 0.5)
            + 0.25 * np.sin(np.pi * swing) * (swing > 0.5)
        )
        toes[:, i] = np.stack([np.cos(pitch), np.full_like(x, 0.12 * SIDES[i]), np.sin(pitch)], -1)
    bob = np.cos(4 * np.pi * (stride + 0.05))
    height = (
        body.ankle_height + 0.985 * body.leg - 0.13 * step**2 / body.leg - 0.012 * body.leg * bob
    )
    pelvis = np.stack(
        [2 * step * stride, 0.012 * np.sin(2 * np.pi * stride) + sway(rng, times, 0.006), height],
        -1,
    )
    turn = np.radians(rng.uniform(3, 9)) * np.cos(2 * np.pi * stride)
    lean = np.radians(rng.uniform(0, 7)) + sway(rng, times, 0.01)
    poser = Poser(body, len(times)).trunk(
        pelvis,
        body_frame(0.5 * lean, -turn),
        body_frame(lean, 1.2 * turn),
        body_frame(sway(rng, times, 0.05), sway(rng, times, 0.12)),
    )
    poser.legs(ankles, np.array([1.0, 0, 0]), toes)
    swing = np.radians(rng.uniform(14, 38))
    bend = np.radians(rng.uniform(8, 45))
    phase = 2 * np.pi * stride
    angle = np.stack([-swing * np.cos(phase), swing * np.cos(phase)], -1) + 0.05
    elbow = angle + bend + 0.4 * np.maximum(angle, 0)
    poser.swing(
        _vectors(np.sin(angle), 0.16 * SIDES, -np.cos(angle)),
        _vectors(np.sin(elbow), 0.02 * SIDES, -np.cos(elbow)),
    )
    return poser.skeleton()


def push_up(rng: np.random.Generator, body: Proportions, times: np.ndarray) -> PosedSkeleton:
    """Push-ups: hands and feet fixed, a straight body that turns about the ankles."""
    reps = draw_repetitions(rng, times, rng.uniform(1.2, 2.6))
    depth = reps.depth(rng.uniform(0.4, 0.6)) * np.minimum(reps.effort, 1.0)
    width = body.shoulder_half + body.stature * rng.uniform(0.0, 0.09)
    wrist_height, ankle_height = 0.035, 0.72 * body.foot
    top = np.sqrt((0.975 * body.arm) ** 2 - (width - body.shoulder_half) ** 2)
    low = body.stature * rng.uniform(0.075, 0.14)
    line = 0.994 * body.leg + body.lumbar + body.thorax  # ankle to shoulder
    rise = wrist_height + top + (low - top) * depth - ankle_height
    pitch = np.pi / 2 - np.arcsin(rise / line)  # of the trunk, from the upright
    frame = body_frame(pitch)
    forward, up = frame[..., 0], frame[..., 2]
    sag = _pair(rng.uniform(-0.03, 0.03) + sway(rng, times, 0.006))
    feet = body.stature * rng.uniform(0.02, 0.07)
    pelvis = np.array([0, 0, ankle_height]) + 0.994 * body.leg * up + sag * forward
    arch = np.arctan2(sag[:, 0], body.lumbar + body.thorax)
    chest = body_frame(pitch - arch)
    gaze = pitch - np.radians(rng.uniform(-5, 45)) + sway(rng, times, 0.04)
    poser = Poser(body, len(times)).trunk(pelvis, frame, chest, body_frame(gaze))
    ankles = _vectors(0, SIDES * feet, ankle_height)[None]
    poser.legs(ankles, forward[:, None], np.array([0.42, 0, -0.9]))
    shoulder = line * np.cos(np.arcsin(rise.max() / line))
    wrists = _vectors(shoulder + rng.uniform(-0.02, 0.04), SIDES * width, wrist_height)[None]
    flare = rng.uniform(0.3, 1.3)
    poser.reach(wrists, _vectors(-1, flare * SIDES, 0.1)[None], _vectors(1, -0.1 * SIDES, -0.15))
    return poser.skeleton()


MOTIONS: dict[str, Motion] = dict(
    squat=squat, jumping_jack=jumping_jack, walking=walking, push_up=push_up
)

__all__ = ['MOTIONS', 'Motion', 'Repetitions', 'jumping_jack', 'push_up', 'squat', 'walking']
