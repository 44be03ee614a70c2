"""Builds the package for pip (PEP 517 and 660), with nothing but the standard library."""

import base64
import hashlib
import os
import zipfile

from . import __version__

_HERE = os.path.dirname(os.path.abspath(__file__))
_NAME = "bettertest-%s" % __version__
_METADATA = """Metadata-Version: 2.1
Name: bettertest
Version: %s
Summary: Write bettertest pipelines in Python, and run them with or without a boss.
License: MIT
Requires-Python: >=3.9
""" % __version__
_WHEEL = "Wheel-Version: 1.0\nGenerator: bettertest\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    sources = sorted(name for name in os.listdir(_HERE) if name.endswith(".py") and name != "_build.py")
    files = {}
    for name in sources:
        with open(os.path.join(_HERE, name), "rb") as file:
            files["bettertest/" + name] = file.read()
    return _write_wheel(wheel_directory, files)


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    return _write_wheel(wheel_directory, {"bettertest.pth": os.path.dirname(_HERE).encode() + b"\n"})


def _write_wheel(folder, files):
    info = _NAME + ".dist-info/"
    files = {**files, info + "METADATA": _METADATA.encode(), info + "WHEEL": _WHEEL.encode()}
    record = "".join("%s,%s,%d\n" % (name, _hash(data), len(data)) for name, data in files.items())
    files[info + "RECORD"] = (record + info + "RECORD,,\n").encode()
    wheel = _NAME + "-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(folder, wheel), "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return wheel


def _hash(data):
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest())
    return "sha256=" + digest.rstrip(b"=").decode()
