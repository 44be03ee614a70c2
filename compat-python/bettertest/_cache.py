"""Folders that a worker keeps from one command to the next. The words are those of runtime/cache.ts."""

import json


def hash_files(*patterns):
    """Stands, in the key of a cache, for the hash of the files that match: those that the command tests.

    It is found out where the code under test is known, so the text itself is always the same.
    """
    if not patterns:
        raise TypeError("hash_files: name at least one file")
    for pattern in patterns:
        problem = _pattern_problem(pattern)
        if problem is not None:
            raise TypeError("hash_files: %s, not %s" % (problem, repr(pattern)[:200]))
    return "{{hashFiles %s}}" % json.dumps(list(patterns), separators=(",", ":"), ensure_ascii=False)


def checked_caches(value):
    caches = list(value) if isinstance(value, (list, tuple)) else [value]
    if not 1 <= len(caches) <= 10:
        raise TypeError("run: cache must be one, or a list of at most 10")
    return [_checked(cache) for cache in caches]


_FIELDS = {"key": "key", "paths": "paths", "restore_keys": "restoreKeys"}


def _checked(cache):
    if not isinstance(cache, dict):
        raise TypeError('run: cache must be a dict, such as {"key": hash_files("uv.lock"), "paths": [".venv"]}')
    for name in cache:
        if name not in _FIELDS:
            raise TypeError("run: cache has no %r. There are: %s" % (name, ", ".join(_FIELDS)))
    paths = _texts("paths", cache.get("paths"), 20)
    if not paths:
        raise TypeError("run: cache paths must name a folder")
    for path in paths:
        problem = _path_problem(path)
        if problem is not None:
            raise TypeError("run: cache paths %s, not %r" % (problem, path))
    key = cache.get("key")
    asked = {"key": _texts("key", None if isinstance(key, (list, tuple)) else key, 1)[0], "paths": paths}
    if cache.get("restore_keys") is not None:
        beginnings = _texts("restore_keys", cache["restore_keys"], 10)
        if beginnings:
            asked["restoreKeys"] = beginnings
    return asked


def _texts(field, value, most):
    texts = list(value) if isinstance(value, (list, tuple)) else [value]
    if len(texts) > most:
        raise TypeError("run: cache %s must hold at most %d texts" % (field, most))
    for text in texts:
        if not isinstance(text, str) or not 0 < len(text) <= 2000 or any(c in text for c in "\0\r\n"):
            raise TypeError("run: cache %s must be a text of one line, not %s" % (field, repr(text)[:200]))
    return texts


def _path_problem(path):
    if len(path) > 1024 or any(c < " " or c == "\x7f" for c in path):
        return "must be a path of one line"
    if path.startswith("~"):
        return "must be absolute, or below the folder that the command starts in"
    if "*" in path or "?" in path:
        return "must name a folder, not a pattern"
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        return 'must not hold ".."'
    return None if parts else "must be a folder inside the sandbox"


def _pattern_problem(pattern):
    if not isinstance(pattern, str) or not 0 < len(pattern) <= 1024 or "\0" in pattern:
        return "must be a path or a pattern of at most 1024 characters"
    if pattern.startswith("/") or ".." in pattern.split("/"):
        return "must stay in the folder of the source"
    return None
