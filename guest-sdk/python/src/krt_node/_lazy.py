"""Imports when the component is built what its functions would import when they run: by then there are no files.

Looks into the bytecode of all modules that are loaded, and of those that it loads. What cannot be imported is left alone:
the function that wants it will say so.
"""

from __future__ import annotations

import importlib
import opcode
import os
import sys
from types import CodeType, ModuleType
from typing import Iterator

_IMPORT_NAME = opcode.opmap["IMPORT_NAME"]
_EXTENDED_ARG = opcode.opmap["EXTENDED_ARG"]
_LOAD_CONST = opcode.opmap["LOAD_CONST"]
_LOAD_SMALL_INT = opcode.opmap.get("LOAD_SMALL_INT", -1)

#: Parts of the standard library that functions of other parts import for what no node does: command lines, archives,
#: tests, other operating systems. A node that imports one of them itself has it.
_LEFT_OUT = frozenset(
    """__main__ _pyrepl antigravity argparse concurrent ctypes curses difflib doctest distutils ensurepip ftplib getopt
    http idlelib importlib.readers importlib.resources lib2to3 multiprocessing netrc nt nturl2path pdb pip pprint
    py_compile pydoc readline rlcompleter shutil site sitecustomize sqlite3 ssl statistics subprocess tarfile test this
    tkinter tokenize tracemalloc turtle unittest urllib.request usercustomize venv webbrowser winreg zipfile""".split()
)
#: What the interpreter itself imports by name, without bytecode that says so.
_BY_NAME = ("_strptime", "locale", "stringprep", "unicodedata")
_ENCODINGS = (
    "ascii base64_codec cp1250 cp1251 cp1252 cp437 cp850 hex_codec idna iso8859_1 iso8859_15 iso8859_2 koi8_r latin_1"
    " mac_roman punycode quopri_codec raw_unicode_escape unicode_escape utf_16 utf_16_be utf_16_le utf_32 utf_32_be"
    " utf_32_le utf_7 utf_8 utf_8_sig"
).split()


def load(own: tuple[str, ...]) -> None:
    """Loads what is imported later; `own`: the folders of the node and its dependencies, where nothing is left out."""
    for name in [*_BY_NAME, *(f"encodings.{name}" for name in _ENCODINGS)]:
        _import(name)
    seen: set[str] = set()
    tried: set[str] = set()
    waiting = list(sys.modules)
    while waiting:
        name = waiting.pop()
        module = sys.modules.get(name)
        if module is None or name in seen or name.partition(".")[0] in ("krt_node", "wit_world"):
            continue
        seen.add(name)
        is_own = (getattr(module, "__file__", None) or "").startswith(own)
        for wanted in _wanted(module):
            if wanted in sys.modules or wanted in tried or (not is_own and _is_left_out(wanted)):
                continue
            tried.add(wanted)
            before = set(sys.modules)
            if _is_module(wanted):
                _import(wanted)
            waiting.extend(set(sys.modules) - before)


def _is_left_out(name: str) -> bool:
    return name in _LEFT_OUT or name.partition(".")[0] in _LEFT_OUT or name.rpartition(".")[0] in _LEFT_OUT


def _is_module(name: str) -> bool:
    """Whether it may be one: `from a import b` says nothing about what `b` is."""
    parent = sys.modules.get(name.rpartition(".")[0])
    leaf = name.rpartition(".")[2]
    return parent is None or (hasattr(parent, "__path__") and not hasattr(parent, leaf))


def _import(name: str) -> None:
    try:
        importlib.import_module(name)
    except BaseException:
        # Whoever needs it will say so when it runs; many only try.
        pass


def _wanted(module: ModuleType) -> Iterator[str]:
    try:
        code = module.__loader__.get_code(module.__name__)  # type: ignore[union-attr]
    except Exception:
        return
    if code is not None:
        for inner in _functions(code):
            yield from _imported(inner, module.__package__ or "")


def _functions(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _functions(constant)


def _imported(code: CodeType, package: str) -> Iterator[str]:
    """The names in `import a.b` and `from .a import b`: level and list are pushed just before."""
    raw = code.co_code
    extended = 0
    pushed: list[object] = [None, None]
    for position in range(0, len(raw), 2):
        operation, argument = raw[position], raw[position + 1] | extended
        extended = 0
        if operation == _EXTENDED_ARG:
            extended = argument << 8
        elif operation == _LOAD_CONST:
            pushed = [pushed[1], code.co_consts[argument]]
        elif operation == _LOAD_SMALL_INT:
            pushed = [pushed[1], argument]
        elif operation == _IMPORT_NAME:
            level, names = pushed
            name = code.co_names[argument]
            if isinstance(level, int) and level > 0:
                base = package.split(".")[: len(package.split(".")) - (level - 1)]
                name = ".".join([*base, name] if name else base)
            yield name
            if isinstance(names, tuple):
                yield from (f"{name}.{leaf}" for leaf in names if leaf != "*")


def folders(*modules: str) -> tuple[str, ...]:
    """The folders that these modules were imported from."""
    found = []
    for name in modules:
        file = getattr(sys.modules.get(name), "__file__", None)
        if file:
            found.append(os.path.dirname(file) + "/")
    return tuple(found)
