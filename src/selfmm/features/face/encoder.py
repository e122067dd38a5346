"""Features of faces from a pretrained image encoder."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from selfmm.core.errors import WeightsError
from selfmm.core.messages import first_line
from selfmm.core.pretrained import load_named, load_transformer
from selfmm.features.face.landmarks import Face, Image
from selfmm.features.one_thread import one_thread
from selfmm.features.streams import Floats

_MARGIN = 0.25  # of the face's longer side, added on each side: landmarks end at the forehead
_BICUBIC = 3  # PIL's number of the filter, as in the configuration of an encoder


@dataclass(frozen=True)
class FaceEncoder:
    """A pretrained encoder of images.

    Attributes:
        model: maps pictures (1, 3, S, S) to an output with ``pooler_output`` or ``last_hidden_state``.
        size: S, pixels.
        scale: factor of each byte; then ``mean`` (3,) is subtracted, and the result is divided by ``std`` (3,).
        bicubic: whether pictures are resized bicubically; otherwise bilinearly.
        dim: D, the number of features of a face.
    """

    model: Any
    size: int
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    bicubic: bool
    dim: int = 0

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(f"hidden_{number + 1}" for number in range(self.dim))

    def __call__(self, image: Image, face: Face) -> Floats:
        """Return (D,) for one face in a picture (H, W, 3): the pooled output, or else the first token's."""
        values = self.encode(square(image, face))
        if not np.isfinite(values).all():
            raise WeightsError("the face encoder gives values that are not finite: its weights are damaged.")
        return values

    def encode(self, crop: Image) -> Floats:
        """Return (D,) for a picture (h, w, 3)."""
        import torch
        from torch.nn import functional as F

        pixels = torch.from_numpy(crop.astype(np.float32)).permute(2, 0, 1)[None]
        mode = "bicubic" if self.bicubic else "bilinear"
        pixels = F.interpolate(pixels, (self.size, self.size), mode=mode, antialias=True).clamp(0, 255)
        mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (self.mean, self.std))
        with one_thread():  # and one picture at a time
            output = self.model(pixel_values=(pixels * self.scale - mean) / std)
        pooled = getattr(output, "pooler_output", None)
        values: Floats = (output.last_hidden_state[:, 0] if pooled is None else pooled).flatten().float().numpy()
        return values


def square(image: Image, face: Face) -> Image:
    """Return the square around a face with a margin; it is black outside the picture."""
    height, width = image.shape[:2]
    left, top, right, bottom = face.box * (width, height, width, height)
    side = max(round((1 + 2 * _MARGIN) * max(right - left, bottom - top)), 1)
    x, y = round((left + right - side) / 2), round((top + bottom - side) / 2)
    crop = np.zeros((side, side, 3), dtype=np.uint8)
    rows, columns = slice(max(y, 0), max(y + side, 0)), slice(max(x, 0), max(x + side, 0))
    inside = image[rows, columns]
    crop[max(-y, 0) :, max(-x, 0) :][: inside.shape[0], : inside.shape[1]] = inside
    return crop


@functools.lru_cache(maxsize=1)
def load_face_encoder(name: str) -> FaceEncoder:
    """Load an image encoder with its weights, such as ViT, DINOv2, ResNet or the image encoder of CLIP.

    Args:
        name: a local folder or a hub name. Only a hub name may use the network.

    Raises:
        WeightsError: if it does not exist, cannot be reached, is stored as a pickle instead of safetensors, or is not
            an encoder of images.
    """
    model, prepare = load_named(
        name,
        "face encoder",
        holds="config.json, preprocessor_config.json and model.safetensors (pickled .bin weights are refused)",
        instead="set face.features to a local folder, or to face",
        load=_load,
    )
    try:
        encoder = _encoder(model, prepare)
        dim = len(encoder.encode(np.zeros((encoder.size, encoder.size, 3), dtype=np.uint8)))
    except Exception as error:  # each other kind of model fails in its own way
        raise WeightsError(
            f"{name!r} is a {model.config.model_type} model, which does not read images as ViT and ResNet do "
            f"({first_line(error)}). Name an image encoder, or use face.features = face."
        ) from error
    return FaceEncoder(**{**vars(encoder), "dim": dim})


def _load(place: str, local: bool) -> tuple[Any, Mapping[str, Any]]:
    from transformers.image_processing_base import ImageProcessingMixin

    model = load_transformer(place, local, lambda model: getattr(model, "vision_model", model))
    prepare, _ = ImageProcessingMixin.get_image_processor_dict(place, local_files_only=local)
    return model.eval(), prepare


def _encoder(model: Any, prepare: Mapping[str, Any]) -> FaceEncoder:
    # Not with the processors of transformers: they need torchvision or Pillow, which give different results.
    size: Any = (prepare.get("do_center_crop") and prepare.get("crop_size")) or prepare.get("size") or 224
    if isinstance(size, Mapping):
        size = size.get("height") or size.get("shortest_edge")
    normalise = prepare.get("do_normalize", True)
    return FaceEncoder(
        model=model,
        size=int(size),
        scale=float(prepare.get("rescale_factor", 1 / 255)) if prepare.get("do_rescale", True) else 1.0,
        mean=tuple(prepare.get("image_mean", (0.5, 0.5, 0.5))) if normalise else (0.0, 0.0, 0.0),
        std=tuple(prepare.get("image_std", (0.5, 0.5, 0.5))) if normalise else (1.0, 1.0, 1.0),
        bicubic=prepare.get("resample") == _BICUBIC,
    )
