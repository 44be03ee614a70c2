"""The paths of a pipedef: its repo, and how they are shown."""

import os


def repo_root(pipedef):
    folder = os.path.dirname(os.path.abspath(pipedef))
    return os.path.dirname(folder) if os.path.basename(folder) == ".bettertest" else folder


def relative(path, root):
    inside = path.startswith(root.rstrip(os.sep) + os.sep)
    return os.path.relpath(path, root) if inside else path


def source_lines(path):
    import linecache

    return linecache.getlines(path)
