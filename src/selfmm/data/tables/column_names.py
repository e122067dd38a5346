"""Names that the field's tables use, and ours for them."""

from __future__ import annotations

COLUMNS = {
    "video_id": "video",
    "mode": "split",
    "label_t": "label_text",
    "label_a": "label_audio",
    "label_v": "label_vision",
    "start_s": "start",
    "end_s": "end",
}
SPLIT_WORDS = {"val": "valid", "dev": "valid", "validation": "valid"}
SEPARATOR = "$_$"
"""Between the video and the clip in an id of MOSI, MOSEI or SIMS."""
