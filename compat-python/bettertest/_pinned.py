"""Files whose content counts as it was when the run began, whatever is on disk by now: for a run that the boss
goes on with after a restart."""

import base64
import importlib.machinery
import importlib.util
import linecache
import os
import sys


def pin(sources):
    """`sources`: content in base64 by absolute path."""
    pinned = {path: base64.b64decode(content) for path, content in sources.items()}
    if not pinned:
        return
    loader = importlib.machinery.SourceFileLoader
    read, stats = loader.get_data, loader.path_stats

    def get_data(this, path):
        source = pinned.get(os.path.abspath(path))
        return read(this, path) if source is None else source

    def path_stats(this, path):
        # Bytecode in a cache is of what is on disk.
        if os.path.abspath(path) in pinned:
            raise OSError("pinned")
        return stats(this, path)

    loader.get_data = get_data
    loader.path_stats = path_stats
    sys.meta_path.append(_Finder(pinned))
    for path, source in pinned.items():
        text = source.decode("utf-8", "replace")
        linecache.cache[path] = (len(source), None, text.splitlines(True), path)


class _Finder:
    """Finds those that are not on disk any more."""

    def __init__(self, pinned):
        self._pinned = pinned

    def find_spec(self, name, path=None, target=None):
        stem = name.rpartition(".")[2]
        for folder in sys.path if path is None else path:
            for file in (stem + ".py", os.path.join(stem, "__init__.py")):
                candidate = os.path.join(os.path.abspath(folder), file)
                if candidate in self._pinned:
                    inside = [os.path.dirname(candidate)] if file.endswith("__init__.py") else None
                    loader = importlib.machinery.SourceFileLoader(name, candidate)
                    return importlib.util.spec_from_file_location(
                        name, candidate, loader=loader, submodule_search_locations=inside
                    )
        return None
