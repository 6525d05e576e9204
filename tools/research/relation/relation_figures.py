"""Joint relations W_r drawn beside the frames they were computed for: a figure and a video.

Shapes: N frames, n <= N frames drawn in the figure, K joints.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from rpstn.drawing import write_figure
from rpstn.files import replacing
from rpstn.video.frames import VideoWriter

from related_clip import CutOut, RelatedClip
from relation_summary import Support, describe, row_entropy, shares
from relations import RelatedFrame

_COLORS = ('#e8336d', '#7b4fff', '#0097a7', '#c77700')  # of the joints looked at
_TOP = 5
_LINES, _VISIBLE = 3, 0.05  # supporters joined to a joint in a frame: how many, from what share
_FAINT = 0.25  # opacity of an answer that hardly counts


def plot_relations(
    clip: RelatedClip,
    supports: Sequence[Support],
    out: str | Path,
    columns: int = 5,
    kpt_thr: float | None = None,
) -> None:
    """Frames, W_r with each on one colour scale, and who supports the joints looked at.

    Args:
        clip: N frames.
        supports: of :func:`relation_summary.find_support`; the first four are drawn.
        out: PNG or PDF file.
        columns: n, at even distances.
        kpt_thr: joints with a lower score are left out of the pictures; by default the model's.
    """
    supports = supports[: len(_COLORS)]
    drawn, window = clip.spread(columns), CutOut(clip)
    over_time = len(clip.frames) > 1
    figure, upper, below, axes = _lay_out(len(drawn), window.size[0] / window.size[1], over_time)
    upper.suptitle(f'{clip.title}\n{describe(clip.relation)}', fontsize=11)
    norm = _norm(clip.relation)
    for place, image, (frame_axes, relation_axes) in zip(
        drawn, clip.images(drawn), axes.T, strict=True
    ):
        frame = clip.frames[place]
        frame_axes.imshow(window.draw(image, frame, clip.meta, kpt_thr))
        frame_axes.set_title(f'frame {frame.index}' if over_time else '', fontsize=9)
        _bare(frame_axes)
        _draw_supports(frame_axes, window, frame, supports)
        shown = _show_matrix(
            relation_axes, frame.relation, clip.joints, norm, rows=place == drawn[0]
        )
        relation_axes.set_title(f'entropy {row_entropy(frame.relation).mean():.2f}', fontsize=8)
    _color_bar(upper, shown, axes[1].tolist())  # of the matrices
    panels = below.subplots(2 if over_time else 1, len(supports), squeeze=False)
    for support, color, column_axes in zip(supports, _COLORS, panels.T):
        _draw_bars(column_axes[0], support, clip, color)
        if over_time:
            _draw_course(column_axes[1], support, clip)
    write_figure(out, figure, dpi=150)


def _lay_out(columns: int, wide: float, over_time: bool):
    """Figure, its two parts, and axes (2, n): frames above their matrices, or beside, if one."""
    width = max(columns * np.clip(2.9 * wide, 2.5, 3.6) + 1.5, 10.5)
    side = (width - 1.5) / columns
    heights = [min(side / wide, 4.5), side + 0.7]
    upper, lower = 0.8 + (sum(heights) if columns > 1 else 5), 4.2 if over_time else 2.2
    figure = Figure(figsize=(width, upper + lower), layout='constrained')
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.06)
    FigureCanvasAgg(figure)
    parts = figure.subfigures(2, 1, height_ratios=[upper, lower], hspace=0.03)
    if columns > 1:
        axes = parts[0].subplots(2, columns, height_ratios=heights)
    else:
        axes = parts[0].subplots(1, 2, width_ratios=[min(wide, 1), 1.3]).reshape(2, 1)
    return figure, *parts, axes


def write_relation_video(
    clip: RelatedClip,
    supports: Sequence[Support],
    out: Path,
    fps: float,
    kpt_thr: float | None = None,
) -> None:
    """Every frame with its joints, beside its W_r, as MP4."""
    window = CutOut(clip)
    wide = window.size[0] / window.size[1]
    figure = Figure(figsize=(round(5 * wide + 6.2, 1), 5.6), layout='constrained', dpi=100)
    canvas = FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, width_ratios=[5 * wide, 6.2])
    title = figure.suptitle(clip.title, fontsize=11)
    norm = _norm(clip.relation)
    size = canvas.get_width_height()
    with replacing(out) as partial, VideoWriter(partial, fps, size) as video:
        everything = range(len(clip.frames))
        for frame, image in zip(clip.frames, clip.images(everything), strict=True):
            left.clear()
            left.imshow(window.draw(image, frame, clip.meta, kpt_thr))
            _bare(left)
            _draw_supports(left, window, frame, supports)
            if not right.images:
                shown = _show_matrix(right, frame.relation, clip.joints, norm)
                _color_bar(figure, shown, right)
            shown.set_data(frame.relation)
            title.set_text(f'{clip.title} - frame {frame.index}\n{describe(frame.relation[None])}')
            canvas.draw()
            if figure.get_layout_engine() is not None:  # laid out once, and then kept
                figure.set_layout_engine('none')
            video.write(cv2.cvtColor(np.asarray(canvas.buffer_rgba()), cv2.COLOR_RGBA2BGR))


def _norm(relation: np.ndarray) -> PowerNorm:
    # From 0, so that an even relation looks even; a root, as most of a row is often its own joint.
    return PowerNorm(0.5, 0, float(relation.max()))


def _show_matrix(
    axes: Axes, relation: np.ndarray, joints: Sequence[str], norm: PowerNorm, rows: bool = True
):
    """W_r; returns the image."""
    image = axes.imshow(relation, cmap='magma', norm=norm)
    size, ticks = float(np.clip(110 / len(joints), 3, 7.5)), range(len(joints))
    names = [_words(name) for name in joints]
    axes.set_xticks(ticks, names, rotation=90, fontsize=size)
    axes.set_yticks(ticks, names if rows else [], fontsize=size)
    axes.tick_params(length=0, pad=1.5)
    axes.set_xlabel('draws on', fontsize=8)
    if rows:
        axes.set_ylabel('joint', fontsize=8)
    return image


def _color_bar(figure, image, axes) -> None:
    bar = figure.colorbar(image, ax=axes, fraction=0.04, pad=0.02)
    bar.set_label('$W_r$ (root scale)', fontsize=8)
    top = image.norm.vmax
    ticks = [tick for tick in (0, 0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 1) if tick < 0.93 * top]
    # Close to 0 a root scale has room; neighbours there would only overlap.
    ticks = [tick for tick in ticks if tick == 0 or tick > 0.004 * top]
    bar.set_ticks([*ticks, top], labels=[f'{tick:g}' for tick in ticks] + [f'{top:.2g}'])
    bar.ax.tick_params(labelsize=7)


def _draw_supports(
    axes: Axes, window: CutOut, frame: RelatedFrame, supports: Sequence[Support]
) -> None:
    """Ring each joint, and join it to those it draws on most in this frame, by their shares.

    Where the relation displaces, arrows lead from those to the place that they answer, a cross,
    as opaque as the answer counts.
    """
    rows, points = shares(frame.relation), window.points(frame.person.keypoints)
    for support, color in zip(supports, _COLORS):
        row, ring = rows[support.joint], points[support.joint]
        end, opaque = ring, 1.0
        if frame.places is not None and frame.gates is not None:
            end = window.points(frame.places[support.joint])
            opaque = float(np.clip(frame.gates[support.joint], _FAINT, 1))
        for other in [j for j in np.argsort(-row) if j != support.joint][:_LINES]:
            if row[other] >= _VISIBLE:
                breadth = 6 * row[other] ** 0.5
                axes.annotate(
                    '',
                    xy=end,
                    xytext=points[other],
                    annotation_clip=True,  # a place outside of the picture has no arrow
                    arrowprops=dict(
                        arrowstyle='-' if end is ring else '-|>',
                        color=color,
                        alpha=opaque,
                        lw=breadth,
                        mutation_scale=8 + 2 * breadth,
                        shrinkA=0,
                        shrinkB=0,
                        path_effects=[withStroke(linewidth=breadth + 1.2, foreground='white')],
                    ),
                )
        if end is not ring:
            axes.scatter(*end, s=60, marker='x', color=color, alpha=opaque, linewidths=2, zorder=6)
        axes.scatter(*ring, s=70, facecolors='none', edgecolors='white', linewidths=3.5, zorder=4)
        axes.scatter(*ring, s=70, facecolors='none', edgecolors=color, linewidths=2, zorder=5)


def _draw_bars(axes: Axes, support: Support, clip: RelatedClip, color: str) -> None:
    """Mean shares of the supporters; a dot for every frame."""
    others, joints = support.supporters[:_TOP], clip.joints
    axes.barh(range(len(others)), support.mean[:_TOP], color=color, height=0.7, alpha=0.55)
    rows = shares(clip.relation)[support.frames, support.joint]
    if len(rows) > 1:
        for place, other in enumerate(others):
            axes.plot(
                rows[:, other],
                np.full(len(rows), place),
                '.',
                color=color,
                ms=5,
                alpha=max(0.25, 1 - len(rows) / 40),
                clip_on=False,
            )
    axes.axvline(1 / len(joints), color='#444444', lw=0.8, ls='--')
    axes.set_yticks(range(len(others)), [_words(joints[j]) for j in others], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0)
    axes.tick_params(labelsize=8)
    axes.set_xlabel(
        'share (dashed: 1/K)' if len(rows) < 2 else 'mean share (dots: single frames; dashed: 1/K)',
        fontsize=7.5,
    )
    axes.set_title(
        f'{_words(joints[support.joint])}: {support.why}\n'
        f'{100 * support.own:.1f} % on itself, others:',
        fontsize=9,
        color=color,
    )
    axes.spines[['top', 'right']].set_visible(False)


def _draw_course(axes: Axes, support: Support, clip: RelatedClip) -> None:
    """The supporters' shares over time; grey where the joint is labelled as occluded."""
    index = np.array([frame.index for frame in clip.frames])
    rows = shares(clip.relation)[:, support.joint]
    for other in support.supporters[:_TOP]:
        axes.plot(
            index,
            rows[:, other],
            lw=1.4,
            marker='o' if len(index) < 20 else '',
            ms=3,
            label=_words(clip.joints[other]),
        )
    for place, frame in zip(index, clip.frames):
        if frame.occluded[support.joint]:
            axes.axvspan(place - 0.5, place + 0.5, color='#dddddd', lw=0, zorder=0)
    axes.set_ylim(0)
    hidden = any(frame.occluded[support.joint] for frame in clip.frames)
    axes.set_xlabel('frame (grey: occluded)' if hidden else 'frame', fontsize=7.5)
    axes.set_ylabel('share', fontsize=7.5)
    axes.tick_params(labelsize=7.5)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(fontsize=6.5, frameon=False, ncols=2, loc='best')
    axes.spines[['top', 'right']].set_visible(False)


def _bare(axes: Axes) -> None:
    """An image alone; what is drawn on it does not change its limits."""
    axes.autoscale(False)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def _words(name: str) -> str:
    return name.replace('_', ' ')
