"""What is not a recording is refused with its reason, and no file makes us open another."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from features.recordings import grey, noise, tone, write_recording
from selfmm.core.errors import MediaError
from selfmm.features.media.recording import probe, read_chunks
from selfmm.features.streams import SOUND_RATE


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds, grey pictures and a tone."""
    path = tmp_path_factory.mktemp("media") / "film.mp4"
    return write_recording(path, seconds=3, sound=tone(3), pictures=grey)


def test_a_cover_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "song.mp3"
    with av.open(str(path), "w") as container:
        audio = container.add_stream("libmp3lame", rate=SOUND_RATE, layout="mono")
        cover = container.add_stream("png", rate=1)
        cover.width, cover.height, cover.pix_fmt = 32, 32, "rgb24"
        cover.disposition = av.stream.Disposition.attached_pic
        container.mux(cover.encode(av.VideoFrame.from_ndarray(grey(1, width=32, height=32), format="rgb24")))
        frame = av.AudioFrame.from_ndarray((tone(1)[None] * 32767).astype(np.int16), format="s16", layout="mono")
        frame.sample_rate = SOUND_RATE
        container.mux(audio.encode(frame))
        container.mux(audio.encode(None))
    with av.open(str(path)) as container:
        assert len(container.streams.video) == 1  # there is one, but it does not count
    assert not probe(path).video
    assert all(chunk.frames is None for chunk in read_chunks(path, frame_rate=10))


def test_an_mp4_without_its_index(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "cut.mp4", seconds=2, sound=tone(2), pictures=noise)
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(MediaError, match=r"no readable index.*cut off"):
        probe(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("notes.txt", b"what was said\n" * 50),
        ("notes.mp4", b"what was said\n" * 50),
        ("noise.mp4", bytes(np.random.default_rng(0).integers(0, 255, 4000, dtype=np.uint8))),
        ("zeros.mkv", bytes(5000)),
    ],
)
def test_what_is_not_a_recording(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(MediaError, match=r"cannot be read as a recording.*convert it to mp4"):
        probe(path)
    with pytest.raises(MediaError, match=name):
        list(read_chunks(path, frame_rate=10))


@pytest.mark.parametrize(("suffix", "codec"), [(".png", "png"), (".jpg", "mjpeg"), (".gif", "gif")])
def test_a_picture_is_not_a_recording(tmp_path: Path, suffix: str, codec: str) -> None:
    path = tmp_path / f"face{suffix}"
    with av.open(str(path), "w", format="gif" if codec == "gif" else "image2") as container:
        stream = container.add_stream(codec, rate=1)
        stream.width, stream.height = 64, 48
        stream.pix_fmt = {"png": "rgb24", "mjpeg": "yuvj420p", "gif": "rgb8"}[codec]
        container.mux(stream.encode(av.VideoFrame.from_ndarray(grey(1), format="rgb24")))
        container.mux(stream.encode(None))
    assert path.stat().st_size > 50
    with pytest.raises(MediaError, match="not a picture, a text or a playlist"):
        probe(path)


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    for name, message in (("empty.mp4", "is empty"), ("absent.mp4", "does not exist"), (".", "is a folder")):
        with pytest.raises(MediaError, match=message):
            probe(tmp_path / name)
    with pytest.raises(MediaError, match="does not exist"):
        probe(tmp_path / "null\0.mp4")
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(MediaError, match="is not a file"):
        probe(tmp_path / "pipe.mp4")


def test_an_unreadable_file(film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*arguments: Any, **named: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)  # as root nothing is unreadable
    with pytest.raises(MediaError, match=r"cannot read .*Permission denied"):
        probe(film)


@pytest.mark.parametrize(
    "name", ["mit Leerzeichen ü.mp4", "-i.mp4", "concat:a.mp4|b.mp4", "http:x.mp4", "pipe:0", "%03d.mp4", "電影.mp4"]
)
def test_names_are_only_names(film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (tmp_path / name).write_bytes(film.read_bytes())
    monkeypatch.chdir(tmp_path)
    assert probe(Path(name)).duration == 3
    (tmp_path / name).unlink()
    (tmp_path / "a.mp4").write_bytes(film.read_bytes())
    with pytest.raises(MediaError, match="does not exist"):
        probe(Path(name))


PLAYLISTS = {
    "list.m3u8": "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\n{other}\n#EXT-X-ENDLIST\n",
    "list.ffconcat": "ffconcat version 1.0\nfile '{other}'\n",
    "list.mp4": "ffconcat version 1.0\nfile '{other}'\n",
    "call.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
    "m=audio 5004 RTP/AVP 96\na=rtpmap:96 L16/16000\n",
    "list.mpd": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period>'
    '<AdaptationSet mimeType="video/mp4"><Representation id="1"><BaseURL>{other}</BaseURL></Representation>'
    "</AdaptationSet></Period></MPD>",
    "list.asx": '<asx version="3.0"><entry><ref href="{other}"/></entry></asx>',
}


@pytest.mark.parametrize("name", PLAYLISTS)
@pytest.mark.parametrize("kind", ["name", "path", "address"])
def test_no_file_makes_us_open_another(film: Path, tmp_path: Path, name: str, kind: str) -> None:
    (tmp_path / "secret.mp4").write_bytes(film.read_bytes())
    other = {
        "name": "secret.mp4",
        "path": f"file:{tmp_path / 'secret.mp4'}",
        "address": "http://127.0.0.1:9/secret.mp4",
    }
    path = tmp_path / name
    path.write_text(PLAYLISTS[name].format(other=other[kind]))
    with pytest.raises(MediaError, match="not a picture, a text or a playlist"):
        probe(path)


def test_the_playlists_above_would_be_followed_by_others(film: Path, tmp_path: Path) -> None:
    # Else the test above would prove nothing.
    (tmp_path / "secret.mp4").write_bytes(film.read_bytes())
    path = tmp_path / "list.ffconcat"
    path.write_text(PLAYLISTS[path.name].format(other="secret.mp4"))
    with av.open(str(path)) as container:
        assert container.streams.video


def test_closing_early_lets_the_file_go(film: Path) -> None:
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").is_dir() else 0  # noqa: PTH208
    for _ in range(20):
        chunks = read_chunks(film, frame_rate=10, seconds=0.5)
        next(chunks)
        chunks.close()  # type: ignore[attr-defined]
    after = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").is_dir() else 0  # noqa: PTH208
    assert after == before


def test_nothing_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = write_recording(tmp_path / "damaged.mp4", seconds=2, sound=tone(2), pictures=noise)
    capfd.readouterr()
    content = path.read_bytes()
    path.write_bytes(content[:3000] + b"\xff" * 9000 + content[12000:])
    list(read_chunks(path, frame_rate=10))
    (tmp_path / "text.mp4").write_text("no")
    with pytest.raises(MediaError):
        probe(tmp_path / "text.mp4")
    assert capfd.readouterr() == ("", "")
