"""The section `ray`: what a worker asks of Ray, where Ray runs the workers."""

from __future__ import annotations

from typing import Annotated, Literal, TypeGuard

from pydantic import AfterValidator, BeforeValidator

from allocsearch.config.errors import shown
from allocsearch.config.section import Section


def checked_ray_address(text: str) -> str:
    """The address of a Ray cluster that a process of one of its nodes can connect to.

    Raises:
        ValueError: With what is allowed.
    """
    host, colon, port = text.rpartition(":")
    if text == "auto" or (colon and host and "/" not in text and port.isdecimal()):
        return text
    raise ValueError(
        f"found {shown(text)}; allowed: auto, or HOST:PORT of the head node, from a node of its "
        "cluster"
    )


def _cpus(value: object) -> object:
    # Ray counts in units of 0.0001.
    if value == "auto" or (_is_number(value) and 1e-4 <= value < 2**31):
        return value
    raise ValueError(f"found {shown(value)}; allowed: auto, or a number above 0")


def _gpus(value: object) -> object:
    if value == "auto" or (_is_number(value) and (value == 0 or 1e-4 <= value <= 1)):
        return value
    raise ValueError(f"found {shown(value)}; allowed: auto, or a number from 0 to 1")


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


class RaySection(Section):
    """What a worker asks of Ray; of no matter for what the results mean."""

    address: Annotated[str, AfterValidator(checked_ray_address)] | None = None
    """Of the cluster; without it that in RAY_ADDRESS, or a local Ray of the run's own."""
    num_cpus: Annotated[float | Literal["auto"], BeforeValidator(_cpus)] = "auto"
    """Of one worker; `auto` is `training.threads`."""
    num_gpus: Annotated[float | Literal["auto"], BeforeValidator(_gpus)] = "auto"
    """Of one worker, which trains one population; `auto` is 1 where a node of the cluster has a
    GPU and `training.device` may be one, else 0."""
