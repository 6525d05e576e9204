"""Mending a module of another package at the moment it is imported.

The mechanism of :mod:`rpstn.compat`, which has the defects themselves. A cure acts only while the
one module that has the defect is executed: nothing is imported before its time, and what a cure
lends to that module is seen by no other.
"""

import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

Cure = Callable[[ModuleType], AbstractContextManager[None]]


@dataclass
class Patch:
    """A defect and its cure.

    Attributes:
        name: What is missing or broken.
        reason: Why that is a defect, in a sentence.
        modules: The modules that have the defect; the cure acts while these are imported.
        is_broken: Tells whether this installation has the defect. Called when one of the modules
            is imported, so it may import what they import.
        cure: Gives the context in which a defective module is executed.
        at_once: Whether the cure also mends modules that were imported before it was installed.
        applied: Whether the defect was met and cured in this process.
    """

    name: str
    reason: str
    modules: tuple[str, ...]
    is_broken: Callable[[], bool]
    cure: Cure
    at_once: bool = False
    applied: bool = False


def install(patches: Sequence[Patch]) -> None:
    """Has the patches applied when their modules are imported; doing it again changes nothing."""
    if any(getattr(finder, 'patches', None) is patches for finder in sys.meta_path):
        return
    sys.meta_path.insert(0, _PatchingFinder(patches))
    for patch in patches:
        loaded = [sys.modules[name] for name in patch.modules if name in sys.modules]
        if patch.at_once and loaded and patch.is_broken():
            patch.applied = True
            for module in loaded:
                with patch.cure(module):
                    pass


class _PatchingFinder(MetaPathFinder):
    """Finds the modules that have a defect, and has each executed within its cures."""

    def __init__(self, patches: Sequence[Patch]) -> None:
        self.patches = patches
        self._patches: dict[str, list[Patch]] = {}
        for patch in patches:
            for name in patch.modules:
                self._patches.setdefault(name, []).append(patch)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in self._patches:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(fullname, path, target)
            if spec is not None and spec.loader is not None:
                spec.loader = _PatchingLoader(spec.loader, self._patches[fullname])
                return spec
        return None


class _PatchingLoader(Loader):
    """Executes a module within the cures of its defects."""

    def __init__(self, loader: Loader, patches: Sequence[Patch]) -> None:
        self._loader = loader
        self._patches = patches

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        # From here on the module looks as if it had been imported without us.
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        with ExitStack() as stack:
            for patch in self._patches:
                if patch.is_broken():
                    stack.enter_context(patch.cure(module))
                    patch.applied = True
            self._loader.exec_module(module)


def lend(modules: Mapping[str, Mapping[str, object]]) -> Cure:
    """A cure that lends a module missing ones: names to contents.

    Only what is not imported yet is lent, and it is taken back afterwards. Parents are not needed:
    ``from a.b import c`` asks for ``a.b`` alone.
    """

    @contextmanager
    def cure(_: ModuleType) -> Iterator[None]:
        lent = [name for name in modules if name not in sys.modules]
        for name in lent:
            stand_in = ModuleType(name, 'Lent by rpstn.compat.')
            stand_in.__spec__ = ModuleSpec(name, None)
            vars(stand_in).update(modules[name])
            sys.modules[name] = stand_in
        try:
            yield
        finally:
            for name in lent:
                sys.modules.pop(name, None)

    return cure


def afterwards(mend: Callable[[ModuleType], None]) -> Cure:
    """A cure that changes a module once it was executed."""

    @contextmanager
    def cure(module: ModuleType) -> Iterator[None]:
        yield
        mend(module)

    return cure


def quietly(message: str) -> Cure:
    """A cure that hides the warnings whose text starts with a regular expression."""

    @contextmanager
    def cure(_: ModuleType) -> Iterator[None]:
        with warnings.catch_warnings():
            warnings.filterwarnings('ignore', message=message)
            yield

    return cure
