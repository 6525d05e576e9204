"""The functions of mmengine.utils.package_utils without pkg_resources, for :mod:`rpstn.compat`."""

import importlib.metadata
import importlib.util
import os.path


def is_installed(package: str) -> bool:
    """Whether a package is installed, by the name of its distribution or its module."""
    try:
        importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        spec = importlib.util.find_spec(package)
        return spec is not None and spec.origin is not None
    return True


def get_installed_path(package: str) -> str:
    """The folder of a package's module, given the name of its distribution or its module.

    Raises:
        importlib.metadata.PackageNotFoundError: it is not installed.
        RuntimeError: it is a namespace package, which has no folder of its own.
    """
    module = package
    if importlib.util.find_spec(package) is None:
        module = package2module(package)
    spec = importlib.util.find_spec(module)
    if spec is None:
        raise importlib.metadata.PackageNotFoundError(package)
    if spec.origin is None:
        raise RuntimeError(
            f'{package} is a namespace package, which is invalid for `get_installed_path`'
        )
    return os.path.dirname(spec.origin)


def package2module(package: str) -> str:
    """The name of the module that a distribution installs."""
    names = (importlib.metadata.distribution(package).read_text('top_level.txt') or '').split()
    if not names:
        raise ValueError(f'can not infer the module name of {package}')
    return names[0]
