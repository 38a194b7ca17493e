"""A key/value cache with room: it grows without copying, and its rows can be copied, dropped and begun from a prefix.

transformers' own growing cache concatenates (copies everything) for every new token; its static one cannot change its
rows. This one writes into a buffer allocated once per batch. Left out: layers that keep something else than keys and
values (state-space and other recurrent models).
"""

from __future__ import annotations

from typing import Any

import torch
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer

from training_app.core.errors import BadInput


class RoomyLayer(DynamicLayer):
    """One layer's keys and values (B, H, T, D): a view of the filled part of a buffer with room for `room` tokens."""

    def __init__(self, room: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # transformers' own; by super() mypy excludes no library
        self.room = room
        self._buffers: tuple[torch.Tensor, ...] = ()

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Allocate the buffers when the first keys tell their shape."""
        self.dtype, self.device = key_states.dtype, key_states.device
        self._buffers = (self._allocate(key_states), self._allocate(value_states))
        self.keys, self.values = (buffer[:, :, :0] for buffer in self._buffers)
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write new keys and values (B, H, n, D) behind the others; returns everything so far."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start = self.get_seq_length()
        stop = start + key_states.shape[-2]
        for buffer, states in zip(self._buffers, (key_states, value_states), strict=True):
            buffer[:, :, start:stop] = states
        keys, values = (buffer[:, :, :stop] for buffer in self._buffers)
        self.keys, self.values = keys, values
        return keys, values

    def _allocate(self, like: torch.Tensor) -> torch.Tensor:
        rows, heads, _, width = like.shape
        return torch.empty((rows, heads, self.room, width), dtype=like.dtype, device=like.device)


def new_cache(model: Any, room: int) -> Any:
    """An empty cache for `model` with room for `room` tokens a row. Raises BadInput for recurrent models."""
    layers = DynamicCache(config=model.config).layers
    if not all(isinstance(layer, DynamicLayer) for layer in layers):
        raise BadInput("This kind of model (with recurrent layers) is not supported.", "Choose a plain transformer.")
    roomy: list[Any] = [RoomyLayer(room) for _ in range(model.config.get_text_config().num_hidden_layers)]
    return Cache(layers=roomy)


def copy_cache(cache: Any, rows: torch.Tensor, length: int, room: int) -> Any:
    """The first `length` tokens of some `rows` (B', indices into the old rows, repeats allowed) in a roomier cache."""
    copied: list[Any] = []
    for layer in cache.layers:
        fresh = RoomyLayer(room)
        fresh.update(layer.keys[rows, :, :length], layer.values[rows, :, :length])
        copied.append(fresh)
    return Cache(layers=copied)
