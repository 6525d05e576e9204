"""Packaging of rpstn; requirements/*.txt have the exact versions that were tested."""

import re
import runpy
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
# Run by its path, without importing the package, whose dependencies may be missing yet.
VERSIONS = runpy.run_path(str(ROOT / 'rpstn/compat/versions.py'))


def read_version() -> str:
    """Reads the version without importing the package, whose dependencies may be missing yet."""
    text = (ROOT / 'rpstn' / 'version.py').read_text()
    return re.search(r"__version__ = '([^']+)'", text).group(1)


def read_readme() -> str:
    """The README, empty where only the code was copied."""
    readme = ROOT / 'README.md'
    return readme.read_text(encoding='utf-8') if readme.exists() else ''


setup(
    name='rpstn',
    version=read_version(),
    description='Relation-based human pose estimation in videos, as a plugin of MMPose',
    long_description=read_readme(),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    packages=find_packages(include=['rpstn', 'rpstn.*']),
    package_data={
        'rpstn': [
            'py.typed',
            'engine/weights/*.json',
            'engine/weights/*.pt',
            'assess/templates/*',
            'form/data/*.json',
            'form/data/*/*.json',
        ]
    },
    python_requires=VERSIONS['PYTHON'],
    # The OpenMMLab packages are left out: mmpose asks for chumpy, which does not build, and for a
    # torchvision that need not exist. `rpstn doctor` names the one command that installs them.
    install_requires=[
        *(f'{name}{wanted}' for name, wanted in VERSIONS['REQUIRED'].items()),
        'regex>=2022.1; sys_platform == "win32"',
    ],
    extras_require={
        'dev': ['hypothesis', 'mypy', 'pytest', 'pytest-xdist', 'ruff', 'tflite'],
        'docs': ['mkdocs', 'mkdocs-material', 'mkdocstrings[python]'],
        'export': ['onnx', 'onnxruntime', 'openvino'],
        'serve': ['fastapi', 'uvicorn'],
        'cluster': ['ray', 'pyarrow<26', 'fsspec', 's3fs>=2024'],
    },
    entry_points={'console_scripts': ['rpstn = rpstn.cli.main:main']},
    classifiers=[
        'License :: OSI Approved :: Apache Software License',
        'Programming Language :: Python :: 3.10',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Topic :: Scientific/Engineering :: Image Recognition',
    ],
)
