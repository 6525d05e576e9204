"""Relation modules one behind another, and another in the place of a model's.

Shapes: B maps, K joints, (h, w) heatmap cells.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule, ModuleList
from mmengine.registry import MODELS
from torch import Tensor, nn

from rpstn.errors import SettingError

from .relating import CONTEXT, relate, takes


@MODELS.register_module()
class RelationSequence(BaseModule):
    """Relation modules one behind another, e.g. a learned JRE and then a non-local block.

    Args:
        num_joints: K.
        relations: what each is built from, or modules, in order,
            e.g. ``[dict(type='JRE'), dict(type='NonLocalRelation')]``.
        frozen: how many of them, from the first on, are not trained: their weights and
            the statistics of their norms stay as they are. Defaults to 0.
        init_cfg: MMEngine weight initialization.

    Raises:
        SettingError: no relations, or more frozen than there are.
    """

    def __init__(
        self,
        num_joints: int,
        relations: Sequence[dict | nn.Module],
        frozen: int = 0,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if not relations or not 0 <= frozen <= len(relations):
            raise SettingError(
                'RelationSequence takes one relation or more, and frozen from 0 to '
                f'their number, got {len(relations)} and frozen={frozen}'
            )
        self.num_joints = num_joints
        self.frozen = frozen
        # MMEngine's list hands init_weights on, PyTorch's does not.
        self.relations = ModuleList(
            relation
            if isinstance(relation, nn.Module)
            else MODELS.build(dict(num_joints=num_joints, **relation))
            for relation in relations
        )
        for relation in self.relations[:frozen]:
            relation.requires_grad_(False)

    def train(self, mode: bool = True) -> RelationSequence:
        """As PyTorch's; frozen relations stay in evaluation mode."""
        super().train(mode)
        for relation in self.relations[: self.frozen]:
            relation.eval()
        return self

    @property
    def takes(self) -> tuple[str, ...]:
        """What any of them looks at beside the heatmaps, see :func:`relate`."""
        wanted = {name for relation in self.relations for name in takes(relation)}
        return tuple(name for name in CONTEXT if name in wanted)

    def forward(self, heatmaps: Tensor, **context: Tensor | None) -> Tensor:
        """Heatmaps (B, K, h, w) through every relation, the same shape; context as it takes."""
        for relation in self.relations:
            heatmaps = relate(relation, heatmaps, **context)
        return heatmaps


def swap_relation(
    model: nn.Module,
    relation: dict,
    keep: str | None = 'trainable',
    path: str = 'head.relation',
    seed: int = 0,
) -> None:
    """Put another relation module in the place of a model's, or behind it.

    Args:
        model: changed in place.
        relation, keep, path: as ``RelationSwapHook`` takes them.
        seed: of the new module's weights; the random numbers of the process stay as they
            are.

    Raises:
        SettingError: the model has no module at that path.
    """
    owner, old = locate_relation(model, path)
    new = build_relation(relation, old, owner, seed)
    if keep is not None:
        new = RelationSequence(new.num_joints, [old, new], frozen=int(keep == 'frozen'))
    if keep == 'frozen':
        for parameter in old.parameters():
            parameter.grad = None
    setattr(
        owner, path.rpartition('.')[2], new.to(next(model.parameters()).device).train(old.training)
    )


def locate_relation(model: nn.Module, path: str) -> tuple[nn.Module, nn.Module]:
    """The module at a path, and the one it is an attribute of, first."""
    try:
        return model.get_submodule(path.rpartition('.')[0]), model.get_submodule(path)
    except AttributeError as error:
        raise SettingError(
            f'{type(model).__name__} has no relation module to swap at path={path!r}: {error}'
        ) from None


def build_relation(relation: dict, old: nn.Module, owner: nn.Module, seed: int = 0) -> BaseModule:
    """The new module, for as many joints as the old one, or the head where that has no number."""
    num_joints = getattr(old, 'num_joints', None) or getattr(owner, 'num_joints', None)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        new = MODELS.build({'num_joints': num_joints, **relation})
        if getattr(new, 'init_cfg', None):
            new.init_weights()
    return new
