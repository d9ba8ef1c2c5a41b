"""The function that a study names as its trainer."""

from __future__ import annotations

import importlib
import inspect
import sys
import traceback
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

from allocsearch.config import InputError

# (allocation, config, seed, report) -> metrics
ForeignFunction = Callable[..., Any]

_KEY = "trainer.function"


def load_function(name: str) -> ForeignFunction:
    """Import a function; the folder that this process runs in is searched for its module first.

    Args:
        name: `module:function`.

    Raises:
        InputError: If it cannot be imported, or cannot be called with four arguments.
    """
    module_name, _, path = name.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise InputError(_broken(name, error)) from error
        message = f"no module {error.name}; allowed: one that is installed, or lies in {here}"
        raise InputError(f"{_KEY}: found {name!r}: {message}") from None
    # Whatever a module does when it is imported, a line says what went wrong.
    except (Exception, SystemExit) as error:
        raise InputError(_broken(name, error)) from error
    try:
        function = reduce(getattr, path.split("."), module)
    except AttributeError:
        message = f"{module.__file__ or module_name} has no {path}"
        raise InputError(f"{_KEY}: found {name!r}: {message}") from None
    if not callable(function):
        message = f"{path} is {type(function).__name__}; allowed: a function"
        raise InputError(f"{_KEY}: found {name!r}: {message}")
    _check_parameters(name, function)
    return function


def _broken(name: str, error: BaseException) -> str:
    # The last place that is a file: the import machinery has none.
    frames = traceback.extract_tb(error.__traceback__)
    *_, place = [frame for frame in frames if not frame.filename.startswith("<")]
    where = f"{place.filename}:{place.lineno}"
    problem = " ".join(f"{type(error).__name__}: {error}".split())
    if isinstance(error, SyntaxError):
        where = f"{error.filename}:{error.lineno}"
    return f"{_KEY}: found {name!r}: its module cannot be imported: {problem} ({where})"


def _check_parameters(name: str, function: ForeignFunction) -> None:
    try:
        signature = inspect.signature(function)
    except ValueError:
        # Functions of extension modules may not say what they take.
        return
    try:
        signature.bind("allocation", "config", 0, "report")
    except TypeError:
        message = f"takes {signature}; allowed: (allocation, config, seed, report)"
        raise InputError(f"{_KEY}: found {name!r}: it {message}") from None
