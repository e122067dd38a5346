import gc
import os
import subprocess
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation  # type: ignore[import-untyped]

from features.portraits import Image, canvas, chunks, clip, needs_weights, portrait, shuffled, small, speaking, turned
from selfmm.config.recipe import FaceSettings
from selfmm.core.errors import MissingPackageError, WeightsError
from selfmm.features.face.analyser import FaceAnalyser, FaceFigures, face_analyser
from selfmm.features.face.encoder import load_face_encoder, square
from selfmm.features.face.landmarks import BLENDSHAPES, COLUMNS, Face, FaceFinder, _quiet, measure
from selfmm.features.streams import Chunk, Frame, Track
from waiting import PATIENCE

RATE = 10.0


def analyse(
    images: list[Image],
    settings: FaceSettings | None = None,
    pieces: list[int] | None = None,
    threads: int | None = None,
) -> FaceAnalyser:
    analyser = face_analyser(settings or FaceSettings(), threads)
    for chunk in chunks(images, RATE, pieces or []):
        analyser.feed(chunk)
    analyser.finish()
    return analyser


def one(image: Image) -> dict[str, float]:
    """The features of the one face of a picture."""
    track = analyse([image]).track(0, 1 / RATE)
    assert track.present.tolist() == [True]
    return dict(zip(track.columns, track.values[0].tolist(), strict=True))


@pytest.fixture
def blank() -> Image:
    return shuffled(portrait())


@pytest.fixture(scope="module", autouse=True)
def _weights() -> None:
    needs_weights()


def test_columns_are_named_once_and_blendshapes_keep_their_names() -> None:
    assert len(set(COLUMNS)) == len(COLUMNS) == 63
    assert {"jawOpen", "mouthSmileLeft", "browInnerUp"} <= set(BLENDSHAPES)
    assert "_neutral" not in COLUMNS


def test_the_face_of_a_smiling_woman() -> None:
    face = one(portrait())
    assert face["mouthSmileLeft"] > 0.6
    assert face["mouthSmileRight"] > 0.6
    assert face["eyeBlinkLeft"] < 0.3
    assert all(0 <= face[name] <= 1 for name in BLENDSHAPES)
    assert abs(face["yaw"]) < 10


def test_where_the_face_is_and_how_large() -> None:
    alone, right, half = (
        one(canvas(300, 480, (image, 20, column)))
        for image, column in ((portrait(), 0), (portrait(), 200), (small(portrait(), 160), 200))
    )
    assert right["centre_x"] - alone["centre_x"] == pytest.approx(200 / 480, abs=0.01)
    assert right["centre_y"] == pytest.approx(alone["centre_y"], abs=0.01)
    assert right["shift_x"] > alone["shift_x"] + 5
    assert half["size"] == pytest.approx(right["size"] * 160 / 240, rel=0.06)
    assert half["distance"] == pytest.approx(right["distance"] * 240 / 160, rel=0.08)
    assert half["mouth_opening"] == pytest.approx(right["mouth_opening"], abs=0.08)


@pytest.mark.parametrize("degrees", [-40, -20, 20, 40])
def test_a_turned_picture_turns_the_head(degrees: int) -> None:
    leaning, straight = one(turned(portrait(), degrees)), one(portrait())
    assert leaning["roll"] - straight["roll"] == pytest.approx(degrees, abs=3)
    assert leaning["mouth_opening"] == pytest.approx(straight["mouth_opening"], abs=0.04)


def test_a_mirror_swaps_left_and_right() -> None:
    face, mirrored = one(portrait()), one(portrait()[:, ::-1])
    assert mirrored["roll"] == pytest.approx(-face["roll"], abs=1.5)
    assert mirrored["centre_x"] == pytest.approx(1 - face["centre_x"], abs=0.01)
    assert mirrored["eye_opening_left"] == pytest.approx(face["eye_opening_right"], abs=0.05)
    assert mirrored["mouthSmileLeft"] == pytest.approx(face["mouthSmileRight"], abs=0.15)


def test_the_mouth_opens_as_far_as_it_was_opened() -> None:
    openings = [one(speaking(pixels))["mouth_opening"] for pixels in range(0, 13, 3)]
    assert np.corrcoef(openings, range(0, 13, 3))[0, 1] > 0.97
    # The pixels of the warp over the width of the mouth, as far as the lips' own thickness lets it be seen.
    assert 0.15 < openings[-1] - openings[0] < 0.45


def test_the_pose_is_that_of_the_matrix() -> None:
    yaw, pitch, roll = 25.0, -12.0, 8.0
    pose = np.eye(4)
    pose[:3, :3] = 1.1 * Rotation.from_euler("YXZ", [yaw, pitch, -roll], degrees=True).as_matrix()
    pose[:3, 3] = 2.0, 3.0, -40.0
    places = np.random.default_rng(0).random((478, 3))
    row = dict(zip(COLUMNS, measure(places, dict.fromkeys(BLENDSHAPES, 0.5), pose, 640, 360).row, strict=True))
    assert [row["pitch"], row["yaw"], row["roll"]] == pytest.approx([pitch, yaw, roll], abs=1e-4)
    assert [row["shift_x"], row["shift_y"], row["distance"]] == [2, 3, 40]


def test_pictures_without_a_face_are_missing_and_every_time_has_its_row(blank: Image) -> None:
    analyser = analyse([blank, portrait(), blank, portrait()])
    track = analyser.track(0, 0.7)
    assert track.present.tolist() == [False, True, False, True, False, False, False]
    assert np.isnan(track.values[~track.present]).all()
    assert (track.rate, track.start, track.columns) == (RATE, 0, COLUMNS)
    later = analyser.track(0.05, 0.35)
    assert later.start == pytest.approx(0.1)
    assert np.array_equal(later.values, track.values[1:4], equal_nan=True)
    figures = analyser.faces(0, 0.7)
    assert figures.size == pytest.approx(track.column("size")[1], abs=1e-6)
    assert figures == FaceFigures(4, 1, any_face=0.5, several=0, chosen=0.5, size=figures.size, missing=3 / 7)


def test_a_source_without_pictures_has_rows_of_nothing() -> None:
    analyser = face_analyser(FaceSettings())
    analyser.feed(Chunk(0, 2, np.zeros(32_000, np.float32), None))
    assert analyser.ready == 2
    assert np.isnan(analyser.track(0, 2).values).all()
    assert analyser.track(0, 2).values.shape == (20, len(COLUMNS))
    assert analyser.faces(0, 2) == FaceFigures(0, 0, 0, 0, 0, 0, missing=1)


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (2, 3), (300, 1), (64, 64)])
def test_odd_pictures_have_no_face(shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 1), dtype=np.uint8)
    assert not analyse([np.repeat(noise, 3, axis=2)]).track(0, 0.1).present.any()


def test_pictures_need_not_lie_in_one_piece_of_memory() -> None:
    flipped = np.asfortranarray(portrait()[:, ::-1])
    assert one(flipped) == one(np.ascontiguousarray(flipped))


@pytest.fixture(scope="module")
def film() -> list[Image]:
    """Two people, one of whom leaves; nobody for a while; the other after a cut."""
    two = [canvas(240, 480, (speaking(k % 3), 0, 0), (small(speaking(0), 200), 20, 260)) for k in range(6)]
    alone = [canvas(240, 480, (speaking(k % 4), 0, 3 * k)) for k in range(5)]
    return [*two, *alone, *[canvas(240, 480)] * 4, *(canvas(240, 480, (speaking(k), 0, 230)) // 2 for k in range(4))]


@pytest.mark.slow
@pytest.mark.parametrize(("pieces", "threads"), [([], 1), ([1] * 19, 1), ([1] * 19, 2), ([0, 7, 0, 5], 2), ([3], 3)])
def test_same_bytes_however_it_is_cut_and_whatever_the_threads(
    film: list[Image], pieces: list[int], threads: int
) -> None:
    expected, found = analyse(film), analyse(film, pieces=pieces, threads=threads)
    for span in ((0, 1.9), (0.3, 1.2)):
        assert found.track(*span).values.tobytes() == expected.track(*span).values.tobytes()
        assert found.faces(*span) == expected.faces(*span)
    assert expected.faces(0, 1.9).identities >= 3
    assert expected.faces(0, 0.6).several == 1


def test_clips_before_change_nothing(film: list[Image]) -> None:
    alone = analyse(film[8:], threads=1).track(0, 1)
    analyse(film[:8], threads=1)
    assert analyse(film[8:], threads=1).track(0, 1).values.tobytes() == alone.values.tobytes()


def test_the_speaking_face_counts_before_the_larger_one() -> None:
    openings = [0, 8, 2, 9, 1, 7, 0, 8, 3, 0] + [0] * 5
    images = [canvas(240, 480, (small(speaking(k), 200), 20, 0), (speaking(0), 0, 240)) for k in openings]
    speech = Track(("speech",), np.repeat([1, 0], [10, 5]).astype(np.float32)[:, None], RATE)
    analyser = analyse(images)
    left = analyser.track(0, 1.5, speech).column("centre_x")
    assert (left < 0.5).all()
    # Without a voice, and where the settings say so, size decides.
    assert (analyser.track(0, 1.5).column("centre_x") > 0.5).all()
    largest = analyse(images, FaceSettings(choose="largest"))
    assert (largest.track(0, 1.5, speech).column("centre_x") > 0.5).all()
    assert analyser.faces(0, 1.5, speech).size < analyser.faces(0, 1.5).size


def test_no_more_faces_than_asked_for() -> None:
    images = [canvas(240, 480, (portrait(), 0, 0), (portrait(), 0, 240))]
    assert analyse(images, FaceSettings(faces=1)).faces(0, 0.1).several == 0
    assert analyse(images, FaceSettings(faces=2)).faces(0, 0.1).several == 1


@pytest.mark.slow
def test_a_real_speaker_is_always_there() -> None:
    track = analyse(decoded("mosi_Oz06ZWiO20M_6.mp4")).track(0, 7.5)
    assert track.present.all()
    assert track.column("mouth_opening").std() > 0.03


@pytest.mark.slow
def test_a_real_face_that_is_not_always_there() -> None:
    images = decoded("pyfeat_face_noface.mov")
    analyser = analyse(images)
    present = analyser.track(0, len(images) / RATE).present
    assert 0.3 < present.mean() < 0.5
    # It is there, and then it is not; no flicker.
    assert np.abs(np.diff(present.astype(int))).sum() <= 3
    assert analyser.faces(0, len(images) / RATE).any_face == present.mean()


def decoded(name: str) -> list[Image]:
    """Every picture at 1 / RATE, without the way of the package to read films."""
    import av

    images: list[Image] = []
    with av.open(str(clip(name))) as container:
        for frame in container.decode(video=0):
            if frame.time >= len(images) / RATE - 1e-6:
                images.append(frame.to_ndarray(format="rgb24", width=480, height=480 * frame.height // frame.width))
    return images


# The analyser with a finder that is told what to find.


def found(size: float = 0.5) -> Face:
    half = size / 2
    return Face(
        np.full(len(COLUMNS), size, np.float32), np.array([0.5 - half, 0.5 - half, 0.5 + half, 0.5 + half]), 0, 9
    )


@pytest.mark.slow
def test_hours_leave_no_pictures_in_memory() -> None:
    alive: list[weakref.ref[Image]] = []
    with ThreadPoolExecutor(2) as threads:
        analyser = FaceAnalyser(FaceSettings(), lambda image: (found(),), threads)
        for index in range(500):
            image = np.full((8, 8, 3), index % 256, dtype=np.uint8)
            alive.append(weakref.ref(image))
            analyser.feed(Chunk(index / RATE, (index + 1) / RATE, None, (Frame(index / RATE, image),)))
            analyser.forget((index - 50) / RATE)
        del image
        gc.collect()
        assert sum(ref() is not None for ref in alive) <= 34
        assert len(analyser._tracks.pictures(0, 500)) <= 51


def test_a_picture_that_stays_is_looked_at_once() -> None:
    calls: list[Image] = []

    def find(image: Image) -> tuple[Face, ...]:
        calls.append(image)
        return (found(),)

    first, second = np.zeros((8, 8, 3), np.uint8), np.ones((8, 8, 3), np.uint8)
    with ThreadPoolExecutor(1) as threads:
        analyser = FaceAnalyser(FaceSettings(), find, threads)
        for chunk in chunks([first, first.copy(), first, second, first], RATE, [1, 2]):
            analyser.feed(chunk)
        analyser.finish()
        assert len(calls) == 3
        assert analyser.track(0, 0.5).present.all()


def test_only_what_is_ready_and_not_forgotten_can_be_asked_for() -> None:
    with ThreadPoolExecutor(1) as threads:
        analyser = FaceAnalyser(FaceSettings(), lambda image: (found(),), threads)
        assert analyser.ready == 0
        analyser.feed(Chunk(0, 1, None, tuple(Frame(i / RATE, np.zeros((8, 8, 3), np.uint8)) for i in range(10))))
        assert analyser.ready == 1
        with pytest.raises(ValueError, match=r"0.5 to 1.5 s was requested; 0.0 to 1 s"):
            analyser.track(0.5, 1.5)
        analyser.forget(0.4)
        with pytest.raises(ValueError, match="are available"):
            analyser.faces(0.2, 0.8)
        assert analyser.track(0.4, 1).present.all()
        analyser.finish()
        assert analyser.ready == float("inf")
        assert analyser.track(0.4, 2).present.sum() == 6


# What MediaPipe brings with it.


def test_nothing_is_written_and_python_ends_quietly() -> None:
    program = (
        "import sys, numpy as np\n"
        "from selfmm.features.face.analyser import face_analyser\n"
        "from selfmm.config.recipe import FaceSettings\n"
        "from selfmm.features.streams import Chunk, Frame\n"
        "assert not {'mediapipe', 'torch', 'av'} & set(sys.modules)\n"
        "analyser = face_analyser(FaceSettings(), threads=2)\n"
        "analyser.feed(Chunk(0, 1, None, (Frame(0, np.zeros((90, 90, 3), np.uint8)),)))\n"
        "print(analyser.track(0, 1).present.sum())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE)
    assert (done.stdout, done.stderr, done.returncode) == ("0\n", "", 0)


def test_lines_of_others_are_not_held_back(capfd: pytest.CaptureFixture[str]) -> None:
    with _quiet():
        os.write(2, b"W0000 00:00:17 7144 face_landmarker_graph.cc:174] Sets\n")
        os.write(2, b"disk on fire\n")
    os.write(2, b"afterwards\n")
    assert capfd.readouterr().err == "disk on fire\nafterwards\n"


def test_a_service_may_have_closed_where_errors_go(monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(descriptor: int) -> int:
        raise OSError(9, "Bad file descriptor")

    monkeypatch.setattr(os, "dup", closed)
    with _quiet():
        reached = True
    assert reached


def test_a_version_that_reports_to_its_vendor_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import mediapipe

    for version in ("0.10.35", "1.0.0"):
        monkeypatch.setattr(mediapipe, "__version__", version)
        with pytest.raises(MissingPackageError, match=r"reports usage.*pip install 'mediapipe>=0.10.30,<0.10.32'"):
            FaceFinder(None, 1, 1)  # type: ignore[arg-type]


def test_without_mediapipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'selfmm\[video\]'"):
        FaceFinder(None, 1, 1)  # type: ignore[arg-type]


# Encoders of images.


@pytest.fixture(scope="module")
def encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    import json

    import torch
    from transformers import ViTConfig, ViTModel

    folder = tmp_path_factory.mktemp("vit")
    torch.manual_seed(0)
    config = ViTConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, image_size=32, patch_size=8
    )
    ViTModel(config).save_pretrained(folder)
    prepare = {
        "image_processor_type": "ViTImageProcessor",
        "size": {"height": 32, "width": 32},
        "image_mean": [0.4, 0.5, 0.6],
        "image_std": [0.2, 0.3, 0.4],
        "rescale_factor": 1 / 255,
        "resample": 2,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(prepare))
    return str(folder)


@pytest.mark.slow
def test_an_encoder_sees_the_face(encoder_folder: str, blank: Image) -> None:
    images = [portrait(), blank, np.roll(portrait(), 30, axis=1)]
    settings = FaceSettings(features=encoder_folder)
    track = analyse(images, settings).track(0, 0.4)
    assert track.present.tolist() == [True, False, True, False]
    assert track.columns == tuple(f"hidden_{number}" for number in range(1, 17))
    # The same face elsewhere gives the same, next to what another face gives.
    smile = analyse([speaking(12)], settings).track(0, 0.1).values[0]
    assert np.linalg.norm(track.values[0] - track.values[2]) < 0.5 * np.linalg.norm(track.values[0] - smile)
    again = analyse(images, settings, pieces=[1, 1, 1], threads=1).track(0, 0.4)
    assert again.values.tobytes() == track.values.tobytes()


def test_pictures_are_scaled_as_the_processor_of_transformers_does(encoder_folder: str) -> None:
    import torch
    from transformers import ViTModel
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

    crop = np.ascontiguousarray(portrait()[40:140, 60:160])
    pixels = ViTImageProcessorPil.from_pretrained(encoder_folder)(crop, return_tensors="pt")["pixel_values"]
    with torch.inference_mode():
        expected = ViTModel.from_pretrained(encoder_folder).eval()(pixel_values=pixels).pooler_output[0].numpy()
    np.testing.assert_allclose(load_face_encoder(encoder_folder).encode(crop), expected, atol=0.01)


def test_crops_are_square_around_the_face_and_black_outside() -> None:
    image: Image = (np.arange(100 * 200 * 3).reshape(100, 200, 3) % 251 + 1).astype(np.uint8)
    face = Face(np.zeros(1, np.float32), np.array([0.2, 0.3, 0.4, 0.7]), 0, 9)  # 40 by 40 at (40, 30)
    assert np.array_equal(square(image, face), image[20:80, 30:90])
    corner = square(image, Face(np.zeros(1, np.float32), np.array([-0.1, -0.2, 0.1, 0.2]), 0, 9))
    assert corner.shape == (60, 60, 3)
    assert np.array_equal(corner[30:, 30:], image[:30, :30])
    assert not corner[:30].any()
    assert not corner[:, :30].any()
    far = square(image, Face(np.zeros(1, np.float32), np.array([2, 2, 2.1, 2.1]), 0, 9))
    assert not far.any()


def test_an_encoder_that_cannot_be_used(tmp_path: Path, encoder_folder: str) -> None:
    import torch
    from transformers import BertConfig, BertModel

    with pytest.raises(WeightsError, match="does not exist"):
        load_face_encoder(str(tmp_path / "nothing"))
    with pytest.raises(WeightsError, match=r"must contain config.json, preprocessor_config.json and model.safetensors"):
        load_face_encoder(str(tmp_path))
    words = BertModel(
        BertConfig(vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
    )
    words.save_pretrained(tmp_path / "words")
    (tmp_path / "words" / "preprocessor_config.json").write_text("{}")
    with pytest.raises(WeightsError, match="bert model, which does not read images"):
        load_face_encoder(str(tmp_path / "words"))
    pickled = tmp_path / "pickled"
    pickled.mkdir()
    for name in ("config.json", "preprocessor_config.json"):
        (pickled / name).write_bytes((Path(encoder_folder) / name).read_bytes())
    torch.save({}, pickled / "pytorch_model.bin")
    with pytest.raises(WeightsError, match=r"pickled \.bin weights are refused"):
        load_face_encoder(str(pickled))
