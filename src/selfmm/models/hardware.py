"""Choices that suit the machine: device, precision of the text encoder, number of clips per forward pass."""

from __future__ import annotations

import os

import torch

from selfmm.config.settings import Settings
from selfmm.core.errors import SettingsError
from selfmm.data.batches import BatchMaker
from selfmm.models.base import Model

_SHARE = 8  # at most one part in this many of the memory holds what a forward pass keeps for its gradient
_CPU_CLIPS = 32
_CPU_BYTES = 640 * 2**20


def choose_device(setting: str) -> torch.device:
    """Return the device to compute on: the CPU if a run was trained on a device that this machine lacks."""
    if setting == "auto":
        setting = "cuda"
    return torch.device(setting if _is_available(setting) else "cpu")


def check_device(setting: str) -> None:
    """Raise ``SettingsError`` if this machine does not have the device."""
    if setting != "auto" and not _is_available(setting):
        raise SettingsError(
            [f"training.device = {setting!r}: this machine or its torch does not have it; use auto or cpu"]
        )


def _is_available(device: str) -> bool:
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    return available.get(device, False)


def resolve_precision(wanted: str, device: torch.device) -> str:
    """Return ``fp32`` or ``bf16``; ``auto`` is bf16 if the processor computes in it and does not just emulate it."""
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return "bf16" if device.type == "cpu" and _cpu_has_bf16() else "fp32"


def _cpu_has_bf16() -> bool:
    find = getattr(torch.cpu, "get_capabilities", None)  # since torch 2.9
    capabilities = find() if find is not None else {"avx512_bf16": torch.cpu._is_avx512_bf16_supported()}
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def device_memory(device: torch.device) -> int:
    """Return the device's total memory in bytes, not the free memory, so a machine always decides the same."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not on every system
        return 8 * 2**30


def pass_clips(model: Model, clips: BatchMaker, settings: Settings, device: torch.device) -> int:
    """Return the number of clips per forward pass.

    That is ``training.pass_clips``, or by default all clips of an optimizer step, or fewer if they do not fit into
    memory. On a CPU, fewer are faster and take less memory: what they keep for the gradient should stay near the caches
    (with a 6x384 encoder, 32 clips took .95 of the time of 16 or 64).
    """
    limits = settings.training
    if model.joins_clips:  # its loss depends on how clips are grouped
        return limits.batch_size
    if limits.pass_clips:
        return limits.pass_clips
    most, room = limits.batch_size * limits.accumulation, device_memory(device) // _SHARE
    if device.type == "cpu":
        most, room = min(most, _CPU_CLIPS), min(room, _CPU_BYTES)
    longest = {name: int(lengths.max(initial=1)) for name, lengths in clips.lengths.items()}
    return max(1, min(most, room // max(model.kept_bytes(longest), 1)))
