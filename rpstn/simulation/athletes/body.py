"""The flesh on the bones: body parts, their sizes, clothes and colours.

Limbs are tapered capsules; chest, belly, pelvis and head are ellipsoids. A torso's left and right
half are two parts, so that a far shoulder behind the near half counts as hidden.

Shape letters: N frames, J skeleton joints, P capsules, E ellipsoids.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..rendering.camera import ScreenBody
from .skeleton import INDEX

_SIDED = ('upper_arm', 'forearm', 'hand', 'thigh', 'shin', 'foot', 'torso')
PARTS = (
    'none',
    *(f'{side}_{part}' for part in _SIDED for side in ('left', 'right')),
    'head',
    'neck',
)
PART = {name: i for i, name in enumerate(PARTS)}
MATERIALS = ('skin', 'hair', 'eye', 'shirt', 'print', 'shorts', 'shoe', 'sock')
MATERIAL = {name: i for i, name in enumerate(MATERIALS)}
NUM_CODES = len(PARTS) * len(MATERIALS)  # what the id buffer holds: part * 8 + material


class Capsule(NamedTuple):
    """One limb: joints at its ends, radii there in metres (of a body of 1.72 m)."""

    part: str
    start: str
    end: str
    start_radius: float
    end_radius: float


CAPSULES = tuple(
    Capsule(f'{side}_{part}', start.format(side), end.format(side), ra, rb)
    for side in ('left', 'right')
    for part, start, end, ra, rb in (
        ('upper_arm', '{}_shoulder', '{}_elbow', 0.053, 0.040),
        ('forearm', '{}_elbow', '{}_wrist', 0.041, 0.027),
        ('hand', '{}_wrist', '{}_hand', 0.033, 0.028),
        ('thigh', '{}_hip', '{}_knee', 0.088, 0.056),
        ('shin', '{}_knee', '{}_ankle', 0.057, 0.036),
        ('foot', '{}_heel', '{}_toe', 0.036, 0.032),
        ('torso', 'neck', '{}_shoulder', 0.058, 0.054),
    )
) + (Capsule('neck', 'neck', 'head', 0.050, 0.050),)
# Ellipsoids: frame (0 pelvis, 1 chest, 2 head), place between two joints, half axes
# forward, left and up in metres.
ELLIPSOIDS = (
    ('chest', 1, ('waist', 'neck', 0.55), (0.112, 0.162, 0.225)),
    ('belly', 1, ('pelvis', 'waist', 0.90), (0.110, 0.150, 0.215)),
    ('pelvis', 0, ('pelvis', 'waist', 0.08), (0.120, 0.164, 0.140)),
    ('head', 2, ('head', 'head', 0.0), (0.099, 0.078, 0.122)),
)


@dataclass(frozen=True)
class Appearance:
    """How one athlete looks.

    Attributes:
        width: (P + E,) factors on the radii. stature: metres.
        palette: (NUM_CODES, 3) BGR float32.
        near, far, cut: (P,) material of a capsule before and after the share `cut` of its length.
        shirt_print: 'plain', 'stripes', 'block' or 'panel', the pattern of the shirt.
        hairline: how far down the head the hair reaches, on the unit ball.
    """

    width: np.ndarray
    stature: float
    palette: np.ndarray
    near: np.ndarray
    far: np.ndarray
    cut: np.ndarray
    shirt_print: str
    hairline: float

    @classmethod
    def random(cls, rng: np.random.Generator, stature: float = 1.72) -> 'Appearance':
        build = np.clip(rng.normal(1.0, 0.10), 0.82, 1.3)
        width = build * np.clip(rng.normal(1, 0.03, len(CAPSULES) // 2), 0.92, 1.08)
        width = np.concatenate([width, width, [build**0.5]])
        belly = build * rng.uniform(0.92, 1.15)
        trunk = np.array([build * rng.uniform(0.97, 1.06), belly, build, rng.uniform(0.97, 1.05)])
        trunk[3] = trunk[3] ** 0.5
        colours = _colours(rng)
        sleeve = rng.choice([0.0, 0.35, 0.6, 2.0], p=[0.25, 0.25, 0.3, 0.2])
        leg = rng.choice([0.35, 0.6, 0.85, 2.0], p=[0.25, 0.25, 0.15, 0.35])
        sock = rng.choice([0.55, 0.8, 1.0], p=[0.2, 0.4, 0.4])
        limbs: dict[str, tuple[str, str, float]] = dict(
            upper_arm=('shirt', 'skin', min(sleeve, 1.0)),
            forearm=('shirt', 'skin', 1.0 if sleeve > 1 else 0.0),
            hand=('skin', 'skin', 1.0),
            thigh=('shorts', 'skin', min(leg, 1.0)),
            shin=('shorts', 'sock', 0.95) if leg > 1 else ('skin', 'sock', sock),
            foot=('shoe', 'shoe', 1.0),
            torso=('shirt', 'shirt', 1.0),
            neck=('skin', 'skin', 1.0),
        )
        rows = [limbs[c.part.split('_', 1)[-1]] for c in CAPSULES]
        near = np.array([MATERIAL[first] for first, _, _ in rows])
        far = np.array([MATERIAL[second] for _, second, _ in rows])
        palette = np.tile(colours, (len(PARTS), 1)).astype(np.float32)
        return cls(
            np.concatenate([width, trunk]),
            stature,
            palette,
            near,
            far,
            np.array([cut for _, _, cut in rows], np.float32),
            str(rng.choice(['plain', 'stripes', 'block', 'panel'])),
            float(rng.choice([0.1, 0.35, 0.6, 1.2], p=[0.2, 0.4, 0.3, 0.1])),
        )


def _colours(rng: np.random.Generator) -> np.ndarray:
    """(len(MATERIALS), 3) BGR."""

    def cloth() -> np.ndarray:
        if rng.random() < 0.35:  # black, grey, white
            return np.full(3, rng.uniform(25, 235)) + rng.normal(0, 5, 3)
        return rng.uniform(20, 235, 3)

    tone = rng.uniform(0, 1)
    skin = np.array([60, 85, 125]) + tone * np.array([120, 115, 110]) + rng.normal(0, 8, 3)
    shade = rng.uniform(15, 70)
    hair = np.array([0.7, 0.85, 1.1]) * (shade if rng.random() < 0.8 else rng.uniform(110, 190))
    rows = dict(
        skin=skin,
        hair=hair,
        eye=np.full(3, 30.0),
        shirt=cloth(),
        shorts=cloth(),
        print=cloth(),
        shoe=cloth(),
        sock=np.full(3, rng.choice([45.0, 215.0])),
    )
    return np.clip(np.stack([rows[name] for name in MATERIALS]), 8, 245)


@dataclass(frozen=True)
class Primitives:
    """The body on the screen, everything in pixels.

    Attributes:
        capsules: (N, P, 8) ax ay az bx by bz ra rb.
        centres: (N, E, 3). axes: (N, E, 3, 3), columns the half axes forward, left, up.
        inverses: (N, E, 3, 3), the inverses of `axes`.
        light: (N, 3).
    """

    capsules: np.ndarray
    centres: np.ndarray
    axes: np.ndarray
    inverses: np.ndarray
    light: np.ndarray

    def boxes(self) -> np.ndarray:
        """(N, 4) x1 y1 x2 y2 around the whole body, not cut at the picture's edge."""
        cap, extent = self.capsules, np.linalg.norm(self.axes, axis=-1)[..., :2]
        low = [
            cap[..., :2] - cap[..., 6:7],
            cap[..., 3:5] - cap[..., 7:8],
            self.centres[..., :2] - extent,
        ]
        high = [
            cap[..., :2] + cap[..., 6:7],
            cap[..., 3:5] + cap[..., 7:8],
            self.centres[..., :2] + extent,
        ]
        return np.concatenate([np.concatenate(low, 1).min(1), np.concatenate(high, 1).max(1)], -1)


_START = [INDEX[c.start] for c in CAPSULES]
_END = [INDEX[c.end] for c in CAPSULES]
_RADII = np.array([c[3:] for c in CAPSULES])
_BLOCK_RADII = np.array([e[3] for e in ELLIPSOIDS])
_ANCHORS = np.array([[INDEX[e[2][0]], INDEX[e[2][1]]] for e in ELLIPSOIDS])
_SHARE = np.array([e[2][2] for e in ELLIPSOIDS])
_FRAME = [e[1] for e in ELLIPSOIDS]


def build_primitives(screen: ScreenBody, look: Appearance) -> Primitives:
    """Clothes a skeleton on the screen with its capsules and ellipsoids."""
    size = look.stature / 1.72
    joints, scale = screen.joints, screen.scale
    radii = _RADII * look.width[: len(CAPSULES), None] * size
    capsules = np.concatenate(
        [
            joints[:, _START],
            joints[:, _END],
            (radii[:, 0] * scale[:, _START])[..., None],
            (radii[:, 1] * scale[:, _END])[..., None],
        ],
        -1,
    )
    share = _SHARE[:, None]
    centres = joints[:, _ANCHORS[:, 0]] * (1 - share) + joints[:, _ANCHORS[:, 1]] * share
    half = _BLOCK_RADII * size
    half = half * np.stack([look.width[len(CAPSULES) :]] * 2 + [np.ones(len(half))], -1)
    frames = screen.frames[:, _FRAME]
    axes = frames * half[:, None, :] * scale[:, _ANCHORS[:, 0], None, None]
    light = np.broadcast_to(screen.light, (len(joints), 3))
    return Primitives(
        capsules.astype(np.float32),
        centres.astype(np.float32),
        axes.astype(np.float32),
        np.linalg.inv(axes).astype(np.float32),
        light.astype(np.float32),
    )
