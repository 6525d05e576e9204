"""The doctor tells what is wrong, and the command that mends it, in any state of the stack."""

import re
import runpy
from pathlib import Path

import pytest
import setuptools
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from rpstn.cli.main import main
from rpstn.compat import examination, versions
from rpstn.version import __version__

ROOT = Path(__file__).parents[2]
RUN = "sys.argv = ['rpstn', 'doctor']\nfrom rpstn.cli.main import main\nsys.exit(main())"


def test_this_installation_is_sound(capsys):
    status = main(['doctor'])
    output = capsys.readouterr().out
    assert status == 0, output
    assert re.search(r'mmpose .* 1\.3\.\d .* >=1\.3,<1\.4 .* patched', output)
    assert re.search(r'import rpstn\.pose .* ok', output)
    assert re.search(r'torch\.load of MMEngine checkpoints .* patched', output)


def test_without_openmmlab_it_names_the_one_command(run_python):
    packages = [
        'mmengine',
        'mmcv',
        'mmcv-lite',
        'mmpose',
        'mmaction',
        'mmaction2',
        'mmdet',
        'xtcocotools',
    ]
    process = run_python(RUN, hidden=packages)
    assert process.returncode == 1, process.stderr
    lines = [line.strip() for line in process.stdout.splitlines()]
    assert lines[-1] == versions.INSTALL_OPENMMLAB
    assert lines[-2] == 'Wrong: mmengine, mmcv-lite, mmpose, xtcocotools'
    assert run_python('import rpstn', hidden=packages).returncode == 0


def test_a_broken_mmpose_is_reported_by_the_doctor_and_raised_by_all_others(run_python):
    process = run_python(RUN, hidden=['munkres'])
    assert process.returncode == 1, process.stderr
    assert 'import mmpose.apis' in process.stdout and "No module named 'munkres'" in process.stdout
    assert process.stdout.splitlines()[-1].strip() == 'pip install "munkres>=1.1.4"'
    process = run_python('import rpstn, mmpose.models', hidden=['munkres'])
    assert process.returncode == 1 and "No module named 'munkres'" in process.stderr


def test_a_torchvision_of_another_torch_is_named(run_python, tmp_path):
    (tmp_path / 'torchvision.py').write_text('raise RuntimeError("torchvision::nms is missing")')
    (tmp_path / 'torchvision-0.1.dist-info').mkdir()
    metadata = 'Metadata-Version: 2.1\nName: torchvision\nVersion: 0.1\n'
    (tmp_path / 'torchvision-0.1.dist-info' / 'METADATA').write_text(metadata)
    process = run_python(RUN, path=[tmp_path])
    assert process.returncode == 1, process.stderr
    assert 'RuntimeError: torchvision::nms is missing' in process.stdout
    assert process.stdout.splitlines()[-1].strip().startswith('pip uninstall -y torchvision')


@pytest.mark.parametrize(
    ('installed', 'names', 'state', 'mend'),
    [
        ({'numpy': '2.1.0'}, 'numpy', 'unsupported', 'pip install "numpy>=1.23,<2"'),
        ({'torch': '2.13.0+cpu'}, 'torch', 'ok', ''),
        ({'torch': '2.5.1'}, 'torch', 'unsupported', 'pip install "torch>=2.6"'),
        ({}, 'torch', 'missing', 'pip install "torch>=2.6"'),
        ({'opencv-contrib-python': '4.9.0.80'}, 'opencv-python-headless', 'ok', ''),
        ({'mmcv-lite': '2.1.0', 'mmcv': '2.1.0'}, 'mmcv-lite', 'unsupported', 'pip uninstall'),
        ({'mmcv': '2.2.0'}, 'mmcv-lite', 'unsupported', 'pip install --no-deps'),
        ({}, 'openvino', 'absent', ''),
        ({'mmdet': '2.28.0'}, 'mmdet', 'unsupported', 'pip install --no-deps mmdet'),
    ],
)
def test_states_and_commands(monkeypatch, installed, names, state, mend):
    monkeypatch.setattr(examination, 'find_version', installed.get)
    package = next(package for package in examination.packages() if package.names[0] == names)
    finding = examination.examine_package(package)
    assert finding.state == state
    assert finding.mend.startswith(mend) and bool(finding.mend) == bool(mend)
    assert finding.wrong == bool(mend)


def test_doctor_setup_and_pins_agree(monkeypatch):
    said = {}
    monkeypatch.setattr(setuptools, 'setup', said.update)
    runpy.run_path(str(ROOT / 'setup.py'))
    assert said['version'] == __version__ and said['python_requires'] == versions.PYTHON
    files = (ROOT / 'requirements').glob('*.txt')
    lines = [line for file in files for line in file.read_text().splitlines()]
    pins = {
        r.name: r
        for line in lines
        if (text := line.partition('#')[0].strip())
        for r in [Requirement(text)]
    }

    supported = {package.names[0]: package for package in examination.packages()}
    for requirement in map(Requirement, said['install_requires']):
        if requirement.marker is None:
            assert requirement.specifier == SpecifierSet(supported[requirement.name].supported)
    for name, package in supported.items():
        if name in pins:
            (pin,) = pins[name].specifier
            assert Version(pin.version) in SpecifierSet(package.supported)
    openmmlab = versions.INSTALL_OPENMMLAB.split()[3:]
    assert openmmlab == [str(pins[Requirement(text).name]) for text in openmmlab]
    needed = {r for r, package in supported.items() if package.required}
    assert needed <= set(pins) and needed <= {*map(read_name, said['install_requires'])} | {
        read_name(text) for text in openmmlab
    }


def read_name(requirement):
    return Requirement(requirement).name
