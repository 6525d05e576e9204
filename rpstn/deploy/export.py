"""Trained models as ONNX files that run without PyTorch.

A folder holds the graphs and ``export.json``, which names every file with its sha256; the same
facts are in the metadata of each graph. Inputs are raw crops, uint8 and BGR as OpenCV reads them:
channel order, mean and deviation are part of the graphs.

Shapes: N people, B clips, T frames, K joints, C channels, (H, W) input pixels, (h, w) heatmap
cells.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from rpstn.checkpoints import ModelError, weights_sha256
from rpstn.choices import WEIGHT_BITS
from rpstn.data_files import read_json
from rpstn.deploy.integer_sums import bits_for_all
from rpstn.engine.loading import joint_names
from rpstn.files import sha256, staging
from rpstn.names import printable
from rpstn.pose.models.estimator import VideoPoseEstimator
from rpstn.pose.streaming.streaming import TorchStepper
from rpstn.version import __version__

from .onnx_graphs import GRAPHS, OPSET, Normalize, trace
from .quantization import calibration_feeds, quantize_graph

if TYPE_CHECKING:
    from onnx import ModelProto

MANIFEST = 'export.json'
FORMAT = 1
_IDENTITY = dict(
    weights_sha256='weights',
    network_channels='order of colours',
    mean='mean',
    std='deviation',
    input_size='input',
    heatmap_size='heatmap',
    joints='skeleton',
    decoder='decoder',
)
"""Facts in which an export and its model must be equal, so that results are that model's."""


class ExportError(ModelError):
    """A model that cannot be exported, or an export that cannot be used; one line."""


def require(*modules: str) -> None:
    """Raise an ExportError with the command that installs what is missing."""
    for module in modules:
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise ExportError(
                f'{module} is needed and cannot be imported ({error}): '
                'pip install -r requirements/export.txt'
            ) from None


def describe(
    model: VideoPoseEstimator, clip_len: int, checkpoint: str | Path | None = None
) -> dict[str, Any]:
    """What a user of the graphs has to know; goes into metadata and manifest."""
    (width, height), stride = model.backbone.input_size, model.backbone.heatmap_stride
    normalize = Normalize(model.data_preprocessor)
    config = getattr(model, 'cfg', None)
    meta = getattr(model, 'dataset_meta', None)
    return dict(
        rpstn=__version__,
        opset=OPSET,
        input='uint8 BGR, raw',
        network_channels='RGB' if normalize.flip else 'BGR',
        mean=normalize.mean.flatten().tolist(),
        std=(1 / normalize.scale).flatten().tolist(),
        input_size=[width, height],
        heatmap_size=[width // stride, height // stride],
        num_joints=model.head.num_joints,
        channels=model.head.state_channels,
        clip_len=clip_len,
        joints=joint_names(meta) if meta else None,
        decoder=config.model.head.get('decoder') if config is not None else None,
        config=printable(Path(config.filename).name) if config and config.filename else None,
        checkpoint=printable(Path(checkpoint).name) if checkpoint else None,
        weights_sha256=getattr(model, 'weights_sha256', None) or weights_sha256(model.state_dict()),
    )


def check_exportable(model: nn.Module) -> VideoPoseEstimator:
    """The same model, which is an RPSTN; an ExportError is raised for any other."""
    parts = (getattr(model, 'backbone', None), getattr(model, 'head', None))
    if not isinstance(model, VideoPoseEstimator) or not all(
        hasattr(part, name) for part, name in zip(parts, ('encoder', 'propagator'))
    ):
        raise ExportError(
            'only an RPSTN can be exported, a VideoPoseEstimator of RPSTNBackbone '
            f'and RPSTNHead; got {type(model).__name__} of '
            f'{" and ".join(type(part).__name__ for part in parts)}'
        )
    return model


def export_model(
    model: nn.Module,
    folder: str | Path,
    *,
    graphs: Sequence[str] = tuple(GRAPHS),
    clip_len: int = 5,
    calibration: Sequence[Tensor] = (),
    keep_float: Sequence[str] = (),
    weight_bits: int | None = None,
    checkpoint: str | Path | None = None,
) -> Exported:
    """Write the graphs of a model.

    Args:
        model: of :func:`rpstn.engine.loading.load_model`, on the CPU.
        folder: created if need be. Files appear in it when all of them are complete.
        graphs: of ``'start'``, ``'step'`` and ``'clip'``.
        clip_len: T of the clip graph, whose batch alone is free.
        calibration: clips of crops (T, 3, H, W) uint8 BGR; if there are any,
            the graphs are written in 8-bit integers, too.
        keep_float: parts of names of convolutions that stay in float there, beside those that
            :func:`rpstn.deploy.quantization.quantize_graph` leaves so.
        weight_bits: of the integers that weights become there, 8 or 7. Defaults
            to what every engine that is installed computes right with on this processor.
        checkpoint: that the model came from, to be named.

    Returns:
        Opened.

    Raises:
        ExportError: no RPSTN, a package is missing, an operator cannot be exported, no
            convolution has a name of ``keep_float``, weights cannot have so many bits, or files
            that are of no export are in the way.
    """
    require('onnx', *(['onnxruntime'] if len(calibration) else []))
    import onnx

    folder = Path(folder)
    _refuse_others(folder, graphs)
    model = check_exportable(model)
    unknown = set(graphs) - set(GRAPHS)
    if unknown:
        raise ExportError(f'graphs must be of {tuple(GRAPHS)}, got {sorted(unknown)}')
    if clip_len < 1:
        raise ExportError(f'clip_len must be 1 or more, got {clip_len}')
    if weight_bits not in (None, *WEIGHT_BITS):
        raise ExportError(f'weight_bits must be of {WEIGHT_BITS}, got {weight_bits!r}')
    bits = (weight_bits or bits_for_all()) if len(calibration) else None
    facts = dict(
        describe(model, clip_len, checkpoint), keep_float=list(keep_float), weight_bits=bits
    )
    protos = {}
    for graph in graphs:
        try:
            protos[graph] = trace(model, graph, clip_len)
        except (RuntimeError, onnx.checker.ValidationError) as error:
            raise ExportError(
                f'the {graph} graph cannot be exported: {str(error).strip().splitlines()[0]}'
            ) from error
    convolutions = {
        node.name
        for proto in protos.values()
        for node in proto.graph.node
        if node.op_type == 'Conv'
    }
    for part in keep_float:
        if not any(part in name for name in convolutions):
            raise ExportError(
                f'no convolution to keep in float has {part!r} in its name; they '
                f'are {", ".join(sorted(convolutions))}'
            )
    with staging(folder) as hidden:
        files: dict[str, dict[str, Any]] = {}
        for graph, proto in protos.items():
            float_file = hidden / f'{graph}.onnx'
            _save(proto, float_file, dict(facts, graph=graph, precision='float32'))
            files[float_file.name] = dict(graph=graph, precision='float32')
            if bits is not None:
                file = hidden / f'{graph}.int8.onnx'
                quantize_graph(
                    float_file,
                    file,
                    calibration_feeds(TorchStepper(model), calibration, graph, clip_len),
                    bits,
                    keep_float,
                )
                _save(onnx.load(str(file)), file, dict(facts, graph=graph, precision='int8'))
                files[file.name] = dict(graph=graph, precision='int8')
        for name, entry in files.items():
            entry.update(bytes=(hidden / name).stat().st_size, sha256=sha256(hidden / name))
        manifest = dict(format=FORMAT, **facts, files=files)
        (hidden / MANIFEST).write_text(json.dumps(manifest, indent=1) + '\n')
    return Exported.open(folder)


def _refuse_others(folder: Path, graphs: Sequence[str]) -> None:
    """Only the files of an earlier export are replaced."""
    names = [f'{graph}{ending}' for graph in graphs for ending in ('.onnx', '.int8.onnx')]
    for path in (folder / name for name in names):
        if path.exists() and not (folder / MANIFEST).exists():
            raise ExportError(
                f'{path}: is there already, and of no export, as there is no {MANIFEST}; use '
                'another folder'
            )


def _save(proto: ModelProto, path: Path, facts: dict) -> None:
    import onnx

    del proto.metadata_props[:]
    onnx.helper.set_model_props(
        proto,
        {
            key: value if isinstance(value, str) else json.dumps(value)
            for key, value in facts.items()
        },
    )
    proto.producer_name, proto.producer_version = 'rpstn', __version__
    onnx.save(proto, str(path))


@dataclass(frozen=True)
class Exported:
    """A folder of exported graphs."""

    folder: Path
    manifest: dict

    @classmethod
    def open(cls, folder: str | Path) -> Exported:
        """Read ``export.json``.

        Raises:
            ExportError: it is missing, damaged or of another format.
        """
        path = Path(folder) / MANIFEST
        try:
            manifest = read_json(path)
            found = manifest['format']
            complete = {'files', 'input_size', 'heatmap_size', 'num_joints', 'channels'}
            missing = complete - set(manifest)
        except OSError:
            raise ExportError(
                f'{folder}: no {MANIFEST}, so not a folder of `rpstn export`'
            ) from None
        except (ValueError, KeyError, TypeError):
            raise ExportError(f'{path}: damaged, not the manifest of an export') from None
        if found != FORMAT or missing:
            raise ExportError(
                f'{path}: must be of format {FORMAT} and complete, got {found}'
                + (f' without {", ".join(sorted(missing))}' if missing else '')
            )
        _check_manifest(manifest, path)
        return cls(Path(folder), manifest)

    def check_source(self, model: VideoPoseEstimator) -> None:
        """Refuse an export of other weights than a model's, or by another config.

        Args:
            model: of :func:`rpstn.engine.loading.load_model`.

        Raises:
            ExportError: it is of others, or does not say of which.
        """
        expected = json.loads(json.dumps(describe(model, 1)))
        for key, what in _IDENTITY.items():
            if self.manifest.get(key) != expected[key]:
                said = json.dumps(self.manifest.get(key))
                raise ExportError(
                    f'{self.folder}: must be an export of the same model, got one of another '
                    f'{what} ({key}), {self.manifest.get("checkpoint")}: {said[:60]} instead of '
                    f'{json.dumps(expected[key])[:60]}; export again'
                )

    def file(self, graph: str, precision: str = 'float32') -> Path:
        """A graph's file, found to be as it was written.

        Raises:
            ExportError: there is none, or it was damaged or changed.
        """
        for name, entry in self.manifest['files'].items():
            if (entry['graph'], entry['precision']) == (graph, precision):
                path = self.folder / name
                if not path.is_file() or sha256(path) != entry['sha256']:
                    raise ExportError(
                        f'{path}: missing or damaged, as its sha256 is not the one '
                        f'in {MANIFEST}; export again'
                    )
                return path
        has = sorted(
            f'{entry["graph"]} {entry["precision"]}' for entry in self.manifest['files'].values()
        )
        hint = '; calibrate it on clips' if precision == 'int8' else ''
        raise ExportError(
            f'{self.folder}: no {graph} graph in {precision}, only {", ".join(has)}{hint}'
        )


def _check_manifest(manifest: dict, path: Path) -> None:
    """See that it holds what those who read it expect, and names files of its folder only.

    Raises:
        ExportError: it does not.
    """
    sizes = {
        'input_size': manifest['input_size'],
        'heatmap_size': manifest['heatmap_size'],
        'num_joints and channels': [manifest['num_joints'], manifest['channels']],
    }
    for key, values in sizes.items():
        whole = isinstance(values, list) and all(type(v) is int and 0 < v < 1e5 for v in values)
        if not whole or len(values) != 2:
            raise ExportError(f'{path}: {key} must be two numbers above 0, got {str(values)[:60]}')
    bits = manifest.get('weight_bits')
    if bits not in (None, *WEIGHT_BITS):
        raise ExportError(f'{path}: weight_bits must be of {WEIGHT_BITS}, got {str(bits)[:60]}')
    files = manifest['files']
    for name, entry in files.items() if isinstance(files, dict) else [('files', files)]:
        if name != Path(name).name or not name.endswith('.onnx'):
            raise ExportError(f'{path}: files must be graphs (.onnx) beside it, got {name[:80]!r}')
        facts = ('graph', 'precision', 'sha256')
        if not isinstance(entry, dict) or not all(isinstance(entry.get(f), str) for f in facts):
            raise ExportError(f'{path}: {name} must have {", ".join(facts)}')
