"""Parts are found by their names, in whatever order packages are imported."""

import pytest

# What each registry has to find: the import that gives the registry, its name, and a part.
FIND = """
import importlib
for module, registry, part in (
    ('mmpose', 'MODELS', 'RPSTNHead'), ('mmpose', 'MODELS', 'JRE'),
    ('mmpose', 'DATASETS', 'PennActionDataset'), ('mmpose', 'DATASETS', 'SyntheticClipDataset'),
    ('mmpose', 'TRANSFORMS', 'LoadClip'), ('mmpose', 'TRANSFORMS', 'ClipOccluders'),
    ('mmpose', 'METRICS', 'VideoPCK'), ('mmpose', 'HOOKS', 'RelationSwapHook'),
    ('mmpose', 'DATA_SAMPLERS', 'RepeatSampler'), ('mmengine', 'EVALUATOR', 'FrameEvaluator'),
    ('mmengine', 'MODELS', 'JRE'), ('mmengine', 'MODELS', 'NonLocalRelation'),
    ('mmengine', 'MODELS', 'JRPSP'), ('mmengine', 'OPTIM_WRAPPERS', 'CPUAmpOptimWrapper'),
    ('mmaction', 'MODELS', 'TemporalDistanceRecognizer'),
    ('mmaction', 'DATASETS', 'WasedaSquatDataset'),
    ('mmaction', 'DATASETS', 'SyntheticSquatDataset'),
    ('mmaction', 'HOOKS', 'ConfusionMatrixHook'), ('mmaction', 'METRICS', 'FormMetric'),
):
    found = getattr(importlib.import_module(f'{module}.registry'), registry).get(part)
    assert found is not None and found.__module__.startswith('rpstn.'), (module, registry, part)
"""


@pytest.mark.parametrize(
    'before',
    [
        'import rpstn',
        'import rpstn, mmpose.apis, mmaction.apis',
        'import rpstn.pose, rpstn.form',
        'import rpstn; from mmengine.config import Config',
        # The registries are there, and have imported their own parts, before ours are.
        'import rpstn.compat; import mmengine.registry, mmpose.registry, mmaction.registry; '
        'mmpose.registry.MODELS.get("ResNet"); import rpstn',
    ],
)
def test_parts_are_found(run_python, before):
    process = run_python(f'{before}\n{FIND}')
    assert process.returncode == 0, process.stderr


def test_importing_alone_imports_nothing_of_the_stack(run_python):
    process = run_python(
        'import sys, gc, rpstn\n'
        "assert not {'torch', 'numpy', 'mmengine', 'mmpose', 'mmaction'} & set(sys.modules)\n"
        'assert gc.isenabled()'
    )
    assert process.returncode == 0, process.stderr


def test_without_mmpose_the_rest_goes_on(run_python):
    process = run_python(
        'import rpstn, mmengine.model\nfrom mmengine.registry import MODELS\n'
        "assert MODELS.get('ImgDataPreprocessor')",
        hidden=('mmpose',),
    )
    assert process.returncode == 0, process.stderr


def test_a_config_imports_by_custom_imports(run_python, tmp_path):
    (tmp_path / 'config.py').write_text(
        "default_scope = 'mmpose'\ncustom_imports = dict(imports=['rpstn'])\n"
        "relation = dict(type='JRE', num_joints=13)"
    )
    process = run_python(
        f"""
from rpstn import compat  # the stack alone would not import
from mmengine.config import Config
from mmpose.registry import MODELS
config = Config.fromfile({str(tmp_path / 'config.py')!r})
print(type(MODELS.build(config.relation)).__name__)
"""
    )
    assert process.stdout.strip() == 'JRE', process.stderr


def test_public_names_are_there_and_others_are_refused():
    import rpstn
    from rpstn import apis

    assert {name for name in rpstn.__all__ if getattr(rpstn, name) is None} == set()
    for name in apis.__all__:
        assert getattr(apis, name) is getattr(rpstn, name)
    for module in (rpstn, apis):
        with pytest.raises(AttributeError, match=f"module '{module.__name__}' has no attribute"):
            module.nothing  # noqa: B018
