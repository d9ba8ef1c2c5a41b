"""A client of Optuna's gRPC proxy that outlives one that is restarted, or says nothing more."""

from __future__ import annotations

from collections.abc import Container
from typing import ClassVar

from optuna.distributions import BaseDistribution
from optuna.storages import GrpcStorageProxy
from optuna.storages._grpc.client import GrpcClientCache
from optuna.trial import FrozenTrial, TrialState


class GrpcClient(GrpcStorageProxy):
    """Optuna's client, with what it lacks.

    A call whose proxy is gone without a word fails after a minute. A proxy that was restarted
    knows no trial that it has not read, and refuses to set its parameters: it reads them first.

    Attributes:
        timing: Options of the channel, in milliseconds: of silence while a call waits, of waiting
            for an answer to the question that is asked then, and between two connections.
    """

    # A server takes questions that are more frequent for an attack.
    timing: ClassVar = {
        "grpc.keepalive_time_ms": 30_000,
        "grpc.http2.ping_timeout_ms": 30_000,
        "grpc.max_reconnect_backoff_ms": 5_000,
    }

    def _setup(self) -> None:
        # Not installed everywhere.
        import grpc
        from optuna.storages._grpc.auto_generated.api_pb2_grpc import StorageServiceStub

        options = {"grpc.max_receive_message_length": -1, **self.timing}
        self._channel = grpc.insecure_channel(f"{self._host}:{self._port}", [*options.items()])
        self._stub = StorageServiceStub(self._channel)  # type: ignore[no-untyped-call]
        self._cache = GrpcClientCache(self._stub)
        self._studies: set[int] = set()

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """The trials of a study, which the proxy then knows."""
        self._studies.add(study_id)
        return super().get_all_trials(study_id, deepcopy, states)

    def set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
    ) -> None:
        """Set a parameter of a trial of a study that this client has read."""
        try:
            super().set_trial_param(trial_id, param_name, param_value_internal, distribution)
        except KeyError:
            for study in self._studies:
                super().get_all_trials(study, deepcopy=False)
            super().set_trial_param(trial_id, param_name, param_value_internal, distribution)
