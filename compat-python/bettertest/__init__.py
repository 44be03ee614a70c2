"""Pipelines for bettertest, written in Python.

    from bettertest import Stage, run

    class TestUnit(Stage):
        def task_models():
            run("http://localhost:9009", "myproject-test", "pytest -xvs test/test_models.py")

A boss runs the file by itself. Without a boss: python3 -m bettertest .bettertest/pipedef.py
"""

from ._built import BuiltFiles, build
from ._cache import hash_files
from ._errors import CommandFailed, InfrastructureError
from ._image import BuiltImage, image
from ._run import run
from ._source import artifacts, defaults, git, none, workspace
from ._stage import Stage

__version__ = "0.1.0"
__all__ = [
    "BuiltFiles",
    "BuiltImage",
    "CommandFailed",
    "InfrastructureError",
    "Stage",
    "artifacts",
    "build",
    "defaults",
    "git",
    "hash_files",
    "image",
    "none",
    "run",
    "workspace",
]
