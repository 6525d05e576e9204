"""What relations between joints share: how a head asks them, and how their answers come in.

A relation takes heatmaps and gives heatmaps of the same shape, and one that looks at more names it:
``takes`` is a tuple of keywords of its ``forward``, of ``'features'``, those of the frame, and
``'last'``, the last frame's heatmaps as the head carries them on. A module without it, PyTorch's
``nn.Identity`` or ``nn.Conv2d`` among them, is called with the heatmaps alone.

Shapes: B maps, K joints, C channels, (h, w) heatmap cells.
"""

from __future__ import annotations

from torch import Tensor, nn

from rpstn.errors import SettingError

CONTEXT = ('features', 'last')
"""What there is beside the heatmaps: (B, C, h', w') over the same image, and (B, K, h, w)."""
_LEAK = 0.1


def takes(relation: nn.Module) -> tuple[str, ...]:
    """Which of :data:`CONTEXT` a relation looks at."""
    return tuple(getattr(relation, 'takes', ()))


def relate(relation: nn.Module, heatmaps: Tensor, **context: Tensor | None) -> Tensor:
    """Heatmaps (B, K, h, w) through a relation, which gets of the context what it takes.

    Args:
        context: of :data:`CONTEXT`, what there is.
    """
    return relation(heatmaps, **{name: context.get(name) for name in takes(relation)})


def check_joints(relation: nn.Module, heatmaps: Tensor) -> None:
    """Refuse heatmaps of another number of joints than a relation's.

    Raises:
        SettingError: names both.
    """
    if heatmaps.shape[1] != relation.num_joints:
        raise SettingError(
            f'{type(relation).__name__}(num_joints={relation.num_joints}) takes heatmaps '
            f'of {relation.num_joints} channels, got {tuple(heatmaps.shape)}'
        )


def blend(heatmaps: Tensor, answer: Tensor, scale: Tensor, gate: Tensor, training: bool) -> Tensor:
    """Z = M + a g (A - M), whose parts also learn where the scales a are 0.

    At a = 0 no gradient reaches A and g, and until A says something, that of a has no reason to be
    above 0: scales that drift below, where they raise maps that are too low, stay there. So in
    training the gradients of A and g are those that a + 0.1 would give them; Z, the gradient of a,
    and where all gradients are 0 stay as they are.

    Args:
        heatmaps: M, (B, K, h, w).
        answer, scale, gate: A, a and g, of shapes that broadcast to M's.
    """
    blended = heatmaps + scale * gate * (answer - heatmaps)
    if not training:
        return blended
    told = _LEAK * gate * (answer - heatmaps.detach())
    return blended + (told - told.detach())
