"""Modalities on one time axis: pooled in equal parts, spread from words to tokens, or stored as they are."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracles import alignment as slow
from selfmm.core.errors import DatasetError
from selfmm.core.tensors import Ragged
from selfmm.data.alignment import on_one_axis, pool_to, pooled, spread_to

DIM = 2
Clips = list[list[list[float]]]


def frames_of(count: int, seed: int, gaps: float = 0.0) -> list[list[float]]:
    """(``count``, 2) frames, of which about the share ``gaps`` is NaN."""
    random = np.random.default_rng(seed)
    frames = random.normal(0, 3, (count, DIM)).astype(np.float32)
    frames[random.random(count) < gaps] = np.nan
    values: list[list[float]] = frames.tolist()
    return values


def ragged(clips: Clips) -> Ragged:
    """The clips, in another order than they lie, and with frames between them that are nobody's."""
    rows, starts = [[99.0] * DIM], {}
    for clip in reversed(range(len(clips))):
        starts[clip] = len(rows)
        rows += [*clips[clip], [99.0] * DIM]
    lengths = np.array([len(clip) for clip in clips], dtype=np.int64)
    return Ragged.of(np.array(rows, dtype=np.float32), np.array([starts[k] for k in range(len(clips))]), lengths)


def clips_of(stream: Ragged) -> Clips:
    rows = stream.rows.numpy()
    spans = zip(stream.starts.tolist(), stream.lengths.tolist(), strict=True)
    return [rows[start : start + length].tolist() for start, length in spans]


def check(result: Clips, expected: Clips) -> None:
    assert [len(clip) for clip in result] == [len(clip) for clip in expected]
    for clip, other in zip(result, expected, strict=True):
        np.testing.assert_allclose(np.reshape(clip, (-1, DIM)), np.reshape(other, (-1, DIM)), rtol=1e-5, atol=1e-6)


@given(
    count=st.integers(1, 12), steps=st.integers(1, 12), seed=st.integers(0, 99), gaps=st.sampled_from([0.0, 0.5, 1.0])
)
def test_pooled(count: int, steps: int, seed: int, gaps: float) -> None:
    frames = frames_of(count, seed, gaps)
    check([pooled(np.array(frames), steps).tolist()], [slow.pooled(frames, steps)])


@given(count=st.integers(1, 12), steps=st.integers(1, 12), seed=st.integers(0, 99))
def test_pooling_keeps_what_it_should(count: int, steps: int, seed: int) -> None:
    """Within the range of the frames; the same frames if steps are as many, or a multiple; their mean for one step."""
    frames = np.array(frames_of(count, seed), dtype=np.float32)
    result = pooled(frames, steps)
    assert result.dtype == np.float32
    assert (result >= frames.min(axis=0) - 1e-5).all()
    assert (result <= frames.max(axis=0) + 1e-5).all()
    np.testing.assert_allclose(pooled(frames, count), frames, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(pooled(frames, 3 * count), frames.repeat(3, axis=0), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(pooled(frames, 1)[0], frames.mean(axis=0), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(pooled(frames[::-1], steps), result[::-1], rtol=1e-5, atol=1e-5)


def test_what_was_not_measured_does_not_count() -> None:
    gap = [math.nan, math.nan]
    result = pooled(np.array([[1.0, 2.0], gap, gap, gap, [5.0, 6.0], [7.0, 8.0]]), 3)
    np.testing.assert_array_equal(result, [[1, 2], gap, [6, 7]])


LENGTHS = st.lists(st.integers(0, 7), min_size=1, max_size=6)


@given(lengths=LENGTHS, seed=st.integers(0, 99), steps=st.integers(1, 5))
def test_pool_to(lengths: list[int], seed: int, steps: int) -> None:
    clips = [frames_of(length, seed + k) for k, length in enumerate(lengths)]
    wanted = np.array([steps + k for k in range(len(clips))])
    result = pool_to(ragged(clips), wanted)
    check(
        clips_of(result), [slow.pooled(clip, n) if clip else [] for clip, n in zip(clips, wanted.tolist(), strict=True)]
    )


@given(lengths=LENGTHS, seed=st.integers(0, 99), tokens=st.integers(1, 9))
def test_spread_to(lengths: list[int], seed: int, tokens: int) -> None:
    """Each token has its word's frame; a clip without frames stays without, though it has tokens."""
    random = np.random.default_rng(seed)
    clips = [frames_of(length, seed + k) for k, length in enumerate(lengths)]
    words = [np.sort(random.integers(0, max(1, length), tokens)) for length in lengths]
    result = spread_to(ragged(clips), words)
    check(clips_of(result), [[clip[w] for w in word] if clip else [] for clip, word in zip(clips, words, strict=True)])


def test_no_clip_has_the_stream() -> None:
    empty = Ragged.of(np.zeros((0, DIM), dtype=np.float32), np.zeros(2, dtype=np.int64), np.zeros(2, dtype=np.int64))
    for result in (pool_to(empty, np.array([3, 4])), spread_to(empty, [np.array([0]), np.array([0, 1])])):
        assert result.lengths.tolist() == [0, 0]
        assert result.rows.shape == (0, DIM)


def world(lengths: Mapping[str, list[int]]) -> dict[str, Ragged]:
    """Streams by name, text first and values of token ids; audio frames may be gaps."""
    streams = {}
    for number, (name, ends) in enumerate(lengths.items()):
        if name == "text":
            ends_ = np.array(ends, dtype=np.int64)
            streams[name] = Ragged.of(np.arange(ends_.sum()), np.cumsum(ends_) - ends_, ends_)
        else:
            streams[name] = ragged([frames_of(end, 10 * k + number, 0.2) for k, end in enumerate(ends)])
    return streams


IDS = ["a", "b", "c", "d", "e", "f"]


@given(data=st.data(), names=st.sampled_from([("text", "audio"), ("text", "audio", "vision"), ("audio", "vision")]))
def test_pooled_to_the_first_stream_that_a_clip_has(data: st.DataObject, names: tuple[str, ...]) -> None:
    """Nothing of the first stream changes; every other that a clip has gets its steps; what is missing stays so."""
    count = data.draw(st.integers(1, 4))
    lengths = {name: data.draw(st.lists(st.integers(0, 6), min_size=count, max_size=count)) for name in names}
    streams = world(lengths)
    result = on_one_axis(streams, how="pool", ids=IDS)
    assert list(result) == list(names)
    assert result[names[0]] is streams[names[0]]
    for clip in range(count):
        steps = next((lengths[name][clip] for name in names if lengths[name][clip]), 0)
        for name in names[1:]:
            frames, present = clips_of(streams[name])[clip], lengths[name][clip] > 0
            check([clips_of(result[name])[clip]], [slow.pooled(frames, steps) if present else []])


def words(*clips: list[int]) -> list[npt.NDArray[np.int64]]:
    return [np.array(clip, dtype=np.int64) for clip in clips]


def test_stored_on_the_axis_already() -> None:
    """Lengths that are the text's, or none; without text the first stream's."""
    streams = world({"text": [5, 3, 0], "audio": [5, 0, 4], "vision": [5, 3, 4]})
    result = on_one_axis(streams, how="stored", ids=IDS)
    assert all(result[name] is stream for name, stream in streams.items())


def test_stored_a_frame_for_each_word() -> None:
    """Also where a clip has no words: there, the frames themselves are the axis."""
    streams = world({"text": [5, 4, 0], "audio": [3, 0, 2], "vision": [3, 1, 2]})
    of_tokens = words([0, 0, 1, 2, 2], [0, 0, 0, 0], [])
    result = on_one_axis(streams, how="stored", ids=IDS, words=of_tokens)
    for name in ("audio", "vision"):
        before = clips_of(streams[name])
        expected = [[clip[w] for w in word] for clip, word in zip(before[:2], of_tokens[:2], strict=True) if clip]
        check([clip for clip in clips_of(result[name])[:2] if clip], expected)
        check(clips_of(result[name])[2:], before[2:])


def test_stored_with_a_token_more_at_either_end() -> None:
    """Token ids without their words: up to two tokens more than frames mark the text's beginning and end."""
    streams = world({"text": [5, 4, 3], "audio": [4, 4, 1]})
    result = clips_of(on_one_axis(streams, how="stored", ids=IDS)["audio"])
    before = clips_of(streams["audio"])
    check(result, [[*before[0], before[0][-1]], before[1], [before[2][0]] * 3])


def test_stored_frames_of_words_that_were_cut_off() -> None:
    """A text longer than the limit has lost its last words: their frames are left out."""
    streams = world({"text": [3, 4], "audio": [2, 7]})
    of_tokens = words([0, 0, 1], [0, 0, 1, 1])
    result = clips_of(on_one_axis(streams, how="stored", ids=IDS, words=of_tokens, limit=4)["audio"])
    before = clips_of(streams["audio"])
    check(result, [[clip[w] for w in word] for clip, word in zip(before, of_tokens, strict=True)])
    for limit in (None, 5):  # nothing was cut from a text that is shorter
        with pytest.raises(DatasetError, match="'b' has 7 frames, and its text has 4 tokens of 2 words"):
            on_one_axis(streams, how="stored", ids=IDS, words=of_tokens, limit=limit)


def test_stored_frames_of_tokens_that_were_cut_off() -> None:
    streams = world({"text": [3, 4], "audio": [3, 7]})
    result = on_one_axis(streams, how="stored", ids=IDS, limit=4)
    before = clips_of(streams["audio"])
    check(clips_of(result["audio"]), [before[0], before[1][:4]])
    with pytest.raises(DatasetError, match="'b' has 7 frames, and its text has 4 tokens"):
        on_one_axis(streams, how="stored", ids=IDS)
    # A clip without text is on the axis of its frames, which nothing was cut from.
    with pytest.raises(DatasetError, match="'b' has 9 frames, and its audio has 4 frames"):
        on_one_axis(world({"text": [3, 0], "audio": [3, 4], "vision": [3, 9]}), how="stored", ids=IDS, limit=4)


@pytest.mark.parametrize(
    ("lengths", "of_tokens", "match"),
    [
        (
            {"text": [5, 5], "audio": [3, 9]},
            words([0, 0, 1, 2, 2], [0, 0, 1, 2, 2]),
            "the audio of clip 'b' has 9 frames, and its text has 5 tokens of 3 words",
        ),
        ({"text": [5], "audio": [2]}, None, "the audio of clip 'a' has 2 frames, and its text has 5 tokens[.]"),
        ({"text": [5], "audio": [6]}, None, "the audio of clip 'a' has 6 frames, and its text has 5 tokens[.]"),
        ({"audio": [9], "vision": [30]}, None, "the vision of clip 'a' has 30 frames, and its audio has 9 frames[.]"),
        (
            {"text": [4, 0], "audio": [2, 7], "vision": [2, 3]},
            words([0, 0, 1, 1], []),
            "the vision of clip 'b' has 3 frames, and its audio has 7 frames[.]",
        ),
    ],
)
def test_stored_on_another_axis(
    lengths: dict[str, list[int]], of_tokens: list[npt.NDArray[np.int64]] | None, match: str
) -> None:
    """The message names the clip, both lengths, and how the streams get to one axis."""
    with pytest.raises(DatasetError, match=match) as error:
        on_one_axis(world(lengths), how="stored", ids=IDS, words=of_tokens)
    assert "Extract with align=words" in str(error.value)
    assert "`overrides=['align=pool']`" in str(error.value)
    on_one_axis(world(lengths), how="pool", ids=IDS)
