"""Schedules of the objective over the course of a training."""

from __future__ import annotations

from allocsearch.config import TrainingSection


def kl_weight(progress: float, section: TrainingSection) -> float:
    """The weight of the KL terms: linear from 0 to 1 over `kl_warmup` of the training.

    Args:
        progress: Share of the training that is done, in [0, 1].
        section: The training.

    Reference: Sonderby et al. (2016), "Ladder variational autoencoders", section 2.3.
    """
    return min(1.0, progress / section.kl_warmup) if section.kl_warmup > 0 else 1.0


def free_nats(progress: float, section: TrainingSection) -> float:
    """Nats of KL divergence that each latent dim has for free.

    Held at `free_nats` until `free_nats_hold`, then linear to 0 at `free_nats_end`.

    Args:
        progress: Share of the training that is done, in [0, 1].
        section: The training.

    Reference: Kingma et al. (2016), "Improved variational inference with inverse autoregressive
    flow", appendix C.8.
    """
    if progress < section.free_nats_hold:
        return section.free_nats
    if progress >= section.free_nats_end:
        return 0.0
    span = section.free_nats_end - section.free_nats_hold
    return section.free_nats * (section.free_nats_end - progress) / span
