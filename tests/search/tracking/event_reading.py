"""What TensorBoard itself finds in a folder of event files."""

from __future__ import annotations

from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Steps and values by tag."""
    found = EventAccumulator(str(folder)).Reload()
    return {
        tag: [(event.step, event.value) for event in found.Scalars(tag)]
        for tag in found.Tags()["scalars"]
    }


def hyperparameters(folder: Path) -> dict[str, object]:
    """What the tab of hyperparameters shows."""
    found = EventAccumulator(str(folder)).Reload()
    content = found.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    kept = HParamsPluginData.FromString(content).session_start_info.hparams
    return {name: getattr(value, value.WhichOneof("kind")) for name, value in kept.items()}
