"""The section `trainer`: what trains and measures the allocations."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from allocsearch.config.errors import mistake, shown, suggestion
from allocsearch.config.placeholders import placeholders
from allocsearch.config.section import Section, listed

TrainerKind = Literal["hvae", "callable", "command"]

# One of these tells a program what to train.
ALLOCATION_PLACEHOLDERS = ("allocation", "allocation_json", "hvae_oodd_config")
PLACEHOLDERS = (*ALLOCATION_PLACEHOLDERS, "seed", "out", "reports", "python")

_ONLY_FOR = {"function": "callable", "command": "command", "time_limit": "command"}
_FUNCTION = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


def _arguments(value: object) -> object:
    if isinstance(value, str):
        raise ValueError(
            f"found the text {shown(value)}; allowed: a list of arguments, as no shell splits it"
        )
    return listed(value)


class TrainerSection(Section):
    """What trains and measures the allocations: our own HVAE, a function or a program."""

    kind: TrainerKind = "hvae"
    """Our own HVAE, a Python function, or a program."""
    function: str | None = None
    """`module:function` of kind `callable`."""
    command: Annotated[tuple[str, ...], BeforeValidator(_arguments)] = ()
    """Program and arguments of kind `command`, with placeholders such as `{allocation}`."""
    time_limit: Annotated[float, Field(gt=0)] | None = None
    """Seconds that a program may take."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        for key, kind in _ONLY_FOR.items():
            if getattr(self, key) not in (None, ()) and self.kind != kind:
                raise mistake(key, f"allowed only with kind {kind!r}, and it is {self.kind!r}")
        if self.kind == "callable":
            self._check_function()
        elif self.kind == "command":
            self._check_command()
        return self

    def _check_function(self) -> None:
        if self.function is None or not _FUNCTION.fullmatch(self.function):
            message = f"found {shown(self.function)}; allowed: module:function, as training:train"
            if self.function is None:
                message = "missing; kind 'callable' needs module:function, as training:train"
            raise mistake("function", message)

    def _check_command(self) -> None:
        if not self.command or not self.command[0]:
            message = "a program and its arguments, as ['./train', '{allocation}', '{out}']"
            raise mistake("command", f"found {shown(list(self.command))}; allowed: {message}")
        if any("\0" in argument for argument in self.command):
            raise mistake("command", "an argument holds a NUL character")
        for name in self.placeholders:
            if name not in PLACEHOLDERS:
                message = suggestion(name, PLACEHOLDERS, f"unknown placeholder {{{name}}}")
                raise mistake("command", f"{message} Text in braces is written {{{{{name}}}}}.")
        if "out" not in self.placeholders:
            raise mistake("command", "no {out} in it, the file for the program's metrics")
        if not set(self.placeholders) & set(ALLOCATION_PLACEHOLDERS):
            allowed = " or ".join(f"{{{name}}}" for name in ALLOCATION_PLACEHOLDERS)
            raise mistake("command", f"nothing in it says what to train; allowed: {allowed}")

    @property
    def placeholders(self) -> tuple[str, ...]:
        """The names of the placeholders in the command, in order."""
        return tuple(name for argument in self.command for name in placeholders(argument))

    @property
    def foreign(self) -> bool:
        """Whether it is not our own HVAE that is trained."""
        return self.kind != "hvae"
