"""A clip, and what becomes of it as JSON."""

from __future__ import annotations

import json
from pathlib import Path

from selfmm.features.clips.clip import Clip
from selfmm.features.streams import Word


def test_a_clip_survives_json_with_its_words() -> None:
    words = (Word("so", 0.1, 0.3), Word("good", 0.4, 0.8, 0.5))
    clip = Clip(Path("/a/b.mp4"), start=1.0, words=words, labels={"text": 1.0})
    assert Clip.from_json(json.loads(json.dumps(clip.to_json()))) == clip
    bare = Clip(Path("/a/b.mp4")).to_json()
    del bare["words"]
    assert Clip.from_json(bare).words == ()
