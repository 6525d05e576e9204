"""A joint relation that can say where: joints as tokens that attend to each other.

JRE mixes heatmaps cell by cell, so that a joint whose map has no mass anywhere stays without one
(Dang, Yin, Zhang, IEEE TIP 31, 2022, figure 3). Here what a map says about its joint, where it
lies, how surely and how sharply, is a token; attention between tokens (Vaswani et al., NeurIPS
2017) takes the place of W_r, and what it answers is a place.

Shapes: B maps, K joints, D width of a token, (h, w) heatmap cells.
"""

from __future__ import annotations

import torch
from mmengine.model import BaseModule
from mmengine.registry import MODELS
from torch import Tensor, nn

from rpstn.errors import SettingError

from .relating import blend, check_joints


def soft_peaks(heatmaps: Tensor, sharpness: Tensor | float) -> Tensor:
    """Where each map's mass lies, and how much of it: x, y, spread and height.

    The mean and standard deviation of softmax(sharpness * map) over its cells.

    Args:
        heatmaps: (B, K, h, w), peaks of about 1.
        sharpness: of the softmax.

    Returns:
        (B, K, 4): x, y and spread as shares of the map's width and height, x and y from 0, the
        first cell's middle, to 1, the last one's; height, the map's greatest value.
    """
    rows, columns = heatmaps.shape[-2:]
    flat = heatmaps.flatten(2)
    mass = torch.softmax(sharpness * flat, dim=-1).unflatten(2, (rows, columns))
    x, y = (
        torch.linspace(0, 1, side, dtype=mass.dtype, device=mass.device) for side in (columns, rows)
    )
    along_x, along_y = mass.sum(2), mass.sum(3)  # (B, K, w), (B, K, h)
    mean_x, mean_y = along_x @ x, along_y @ y
    variance = (along_x @ x**2 - mean_x**2) + (along_y @ y**2 - mean_y**2)
    spread = variance.clamp(min=1e-6).sqrt()
    return torch.stack([mean_x, mean_y, spread, flat.amax(-1)], dim=-1)


def gaussians(places: Tensor, size: tuple[int, int], sigma: float) -> Tensor:
    """Maps (B, K, h, w) of height 1 at places (B, K, 2), x and y as :func:`soft_peaks` has them.

    Args:
        size: (h, w) cells.
        sigma: in cells.
    """
    rows, columns = size

    def bells(center: Tensor, side: int) -> Tensor:
        cells = torch.arange(side, dtype=places.dtype, device=places.device)
        return torch.exp(-((cells - (side - 1) * center[..., None]) ** 2) / (2 * sigma**2))

    return bells(places[..., 1], rows)[..., :, None] * bells(places[..., 0], columns)[..., None, :]


class _Layer(nn.Module):
    """Attention between tokens and a network of each, normed before, as in most since."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.query_key_value = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)
        self.network = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (B, K, D) and attention (B, heads, K, K)."""
        parts = self.query_key_value(self.norms[0](tokens))
        query, key, value = parts.unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        attention = torch.softmax(query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5, dim=-1)
        tokens = tokens + self.project((attention @ value).transpose(1, 2).flatten(2))
        return tokens + self.network(self.norms[1](tokens)), attention


@MODELS.register_module()
class TokenRelation(BaseModule):
    """Z = M + a g (G - M): every joint's map blended with a Gaussian where the others see it.

    G is a Gaussian at the map's own soft peak and a shift, g in (0, 1) how much it counts; both
    come from attention between the joints' tokens. The scales a of the joints start at 0, so that
    the module starts as the identity, as :class:`JRE` does, and can stand wherever that can; the
    shifts start at 0. To be trained on crops as they will be, occluded and awry ones among them:
    what can place joints can invent them.

    With ``keep_height`` G is as high as the map it takes the place of, h G in place of G: what is
    answered moves a joint, and its score stays that of what is seen.

    With ``temporal`` the joints as the last frame's heatmaps have them are K further tokens, told
    apart by a learned vector, that the others attend to. A first frame has none of them.

    Args:
        num_joints: K.
        width: D. Defaults to 64.
        heads: of attention. Defaults to 4.
        layers: of attention. Defaults to 2.
        sigma: of G, in cells; that of the targets. Defaults to 2.
        temporal: with the last frame's joints, which :class:`RPSTNHead` hands over. Defaults to
            False.
        keep_height: as above. Defaults to False.
        sharpness: what that of the soft peaks starts at; of maps whose peaks are lower than about
            log(h w) over it, the background counts for more than the peak. Defaults to 20.
        init_cfg: MMEngine weight initialization.

    Raises:
        SettingError: width is no multiple of heads.
    """

    def __init__(
        self,
        num_joints: int,
        width: int = 64,
        heads: int = 4,
        layers: int = 2,
        sigma: float = 2.0,
        temporal: bool = False,
        keep_height: bool = False,
        sharpness: float = 20.0,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if width % heads:
            raise SettingError(
                f'TokenRelation: width must be a multiple of heads={heads}, got {width}'
            )
        self.num_joints = num_joints
        self.sigma = sigma
        self.keep_height = keep_height
        self.sharpness = nn.Parameter(torch.tensor(sharpness))
        self.embed = nn.Linear(4, width)
        self.names = nn.Parameter(torch.randn(num_joints, width) * 0.5)
        self.layers = nn.ModuleList(_Layer(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.answer = nn.Linear(width, 3)
        self.scale = nn.Parameter(torch.zeros(num_joints))
        self.before = nn.Parameter(torch.randn(width) * 0.5) if temporal else None
        self._start_in_place()

    def _start_in_place(self) -> None:
        # A Gaussian elsewhere than at the peak helps no map at first (see blend).
        nn.init.zeros_(self.answer.weight[:2])
        nn.init.zeros_(self.answer.bias[:2])

    def init_weights(self) -> None:
        """As BaseModule's; shifts start at 0, whatever the ``init_cfg`` of a surrounding head."""
        super().init_weights()
        if not self.init_cfg:
            self._start_in_place()

    @property
    def takes(self) -> tuple[str, ...]:
        """What :func:`relate` hands over beside the heatmaps."""
        return () if self.before is None else ('last',)

    def peaks(self, heatmaps: Tensor, last: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """What the tokens are made of: soft peaks (B, K, 4) of maps, and of the last frame's."""
        check_joints(self, heatmaps)
        were = None
        if self.before is not None and last is not None:
            were = soft_peaks(last, self.sharpness)
        return soft_peaks(heatmaps, self.sharpness), were

    def _tokens(self, peaks: Tensor, were: Tensor | None) -> tuple[Tensor, Tensor]:
        """Tokens (B, K, D), last attention (B, heads, K, K or 2 K)."""
        tokens = self.embed(2 * peaks - 1) + self.names
        if self.before is not None and were is not None:
            tokens = torch.cat([tokens, self.embed(2 * were - 1) + self.names + self.before], dim=1)
        attention = tokens
        for layer in self.layers:
            tokens, attention = layer(tokens)
        return tokens[:, : self.num_joints], attention[:, :, : self.num_joints]

    def answers(self, peaks: Tensor, were: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """What the tokens of :meth:`peaks` answer: places (B, K, 2) and logits of g (B, K)."""
        answer = self.answer(self.norm(self._tokens(peaks, were)[0]))
        return peaks[..., :2] + answer[..., :2], answer[..., 2]

    def relation(self, heatmaps: Tensor, last: Tensor | None = None) -> Tensor:
        """Who informs whom, W_r (B, K, K): the last layer's attention, mean of its heads.

        With the last frame's heatmaps, of the same shape, (B, K, 2 K): its joints' columns come
        behind.
        """
        return self._tokens(*self.peaks(heatmaps, last))[1].mean(1)

    def places(self, heatmaps: Tensor, last: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Where to: each joint's answered place and how much of its map that is.

        Returns:
            (B, K, 2), x and y from 0, the middle of the map's first cell, to 1, that of its last
            one, and (B, K), a g of the formula.
        """
        places, logits = self.answers(*self.peaks(heatmaps, last))
        return places, self.scale * logits.sigmoid()

    def forward(self, heatmaps: Tensor, last: Tensor | None = None) -> Tensor:
        """Z (B, K, h, w) from heatmaps M of the same shape.

        Args:
            last: the last frame's heatmaps, of the same shape, with ``temporal``; None, there is no
                last frame.

        Raises:
            SettingError: the number of channels is not ``num_joints``.
        """
        places, logits = self.answers(*self.peaks(heatmaps, last))
        rows, columns = heatmaps.shape[-2:]
        placed = gaussians(places, (rows, columns), self.sigma)
        if self.keep_height:
            placed = placed * heatmaps.amax((2, 3), keepdim=True)
        scale, gate = self.scale[:, None, None], logits.sigmoid()[..., None, None]
        return blend(heatmaps, placed, scale, gate, self.training)
