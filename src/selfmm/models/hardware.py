"""What the machine suggests: the arithmetic of the text encoder, and how many clips go through the network at once."""

from __future__ import annotations

import os

import torch

from selfmm.config.settings import Settings
from selfmm.data.batches import BatchMaker
from selfmm.models.base import Model

_SHARE = 8  # of the memory, at most this part is for what a forward pass keeps for its gradient
_CPU_CLIPS = 32
_CPU_BYTES = 640 * 2**20


def choose_device(setting: str) -> torch.device:
    """Where to compute; what a run was trained on may not be here, and then it is the CPU."""
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if there.get(setting):
        return torch.device(setting)
    return torch.device("cuda" if there["cuda"] and setting == "auto" else "cpu")


def resolve_precision(wanted: str, device: torch.device) -> str:
    """``fp32`` or ``bf16``; ``auto`` is bf16 where the processor computes in it and does not only imitate it."""
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return "bf16" if device.type == "cpu" and _cpu_has_bf16() else "fp32"


def _cpu_has_bf16() -> bool:
    find = getattr(torch.cpu, "get_capabilities", None)  # torch 2.9 and newer
    found = find() if find is not None else {"avx512_bf16": torch.cpu._is_avx512_bf16_supported()}
    return bool(found.get("avx512_bf16") or found.get("amx_bf16"))


def device_memory(device: torch.device) -> int:
    """Bytes it has in all; not what is free, so that the same machine always decides the same."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not on every system
        return 8 * 2**30


def pass_clips(model: Model, clips: BatchMaker, settings: Settings, device: torch.device) -> int:
    """Clips per forward pass: ``training.pass_clips``, or as many as one optimizer step has and memory allows.

    On a CPU fewer are faster, and take less memory: what they leave behind should stay near the caches (with a 6x384
    encoder 32 clips took .95 of the time of 16 or 64).
    """
    limits = settings.training
    if model.joins_clips:  # how clips are grouped is part of its loss
        return limits.batch_size
    if limits.pass_clips:
        return limits.pass_clips
    most, room = limits.batch_size * limits.accumulation, device_memory(device) // _SHARE
    if device.type == "cpu":
        most, room = min(most, _CPU_CLIPS), min(room, _CPU_BYTES)
    longest = {name: int(lengths.max(initial=1)) for name, lengths in clips.lengths.items()}
    return max(1, min(most, room // max(model.kept_bytes(longest), 1)))
