"""Where the event files of TensorBoard are."""

from __future__ import annotations

from pathlib import Path

TENSORBOARD = "tensorboard"


def event_folder(folder: Path, allocation: object, replicate: int) -> Path:
    """The folder of one training, which TensorBoard shows as the run `ALLOCATION/REPLICATE`.

    All attempts at a training share it, whatever the numbers of their trials.

    Args:
        folder: The run folder.
        allocation: In text form, or an Allocation.
        replicate: Which training of the allocation it is, from 0.
    """
    return folder / TENSORBOARD / str(allocation) / str(replicate)
