"""The report page: complete, self-contained, the same each time, and deaf to what strangers write in their data."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

import selfmm
from report.conftest import HOSTILE
from selfmm.core.errors import RunError
from selfmm.data.store import Dataset
from selfmm.evaluation.verdicts import UNKNOWN, cautions
from selfmm.report.report import default_page, write_report
from selfmm.runs.material import Material
from selfmm.runs.trained_model import TrainedModel
from waiting import PATIENCE

VOID = {"meta", "br", "img", "link", "input", "hr"}


class Reader(HTMLParser):
    """Gathers tags, attributes and text, and sees that tags close in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def values(self, name: str) -> list[str]:
        return [value for _, attribute, value in self.attributes if attribute == name]


@pytest.fixture(scope="module")
def page(trained: TrainedModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(trained.folder.path, tmp_path_factory.mktemp("page") / "report.html")[0]


@pytest.fixture
def old_run(trained: TrainedModel, tmp_path: Path) -> Path:
    """A run that does not know what its scores are worth."""
    shutil.copytree(trained.folder.path, tmp_path / "old")
    content = json.loads((tmp_path / "old" / "metrics.json").read_text())
    del content["worth"]
    (tmp_path / "old" / "metrics.json").write_text(json.dumps(content))
    return tmp_path / "old"


@pytest.mark.slow
def test_an_old_run_says_that_it_does_not_know(old_run: Path) -> None:
    text = " ".join(Reader(write_report(old_run)[0].read_text(encoding="utf-8")).words)
    assert UNKNOWN[1:] in text
    assert "What each score is worth" not in text


@pytest.fixture(scope="module")
def hostile_page(hostile: Path) -> Path:
    return write_report(hostile)[0]


@pytest.mark.slow
def test_it_holds_every_part(page: Path, trained: TrainedModel) -> None:
    text = page.read_text(encoding="utf-8")
    read = Reader(text)
    assert not read.open
    shown = " ".join(read.words)
    audit = Material.read(trained.folder.path).audit()
    mae = trained.metrics["splits"]["test"]["fusion"]["values"]["mae"]
    assert trained.worth is not None
    assert f"What each score is worth, on {trained.worth.scores['fusion'].clips} test clips" in shown
    assert [caution[1:] in shown for caution in cautions(trained.worth)] == [True] * len(cautions(trained.worth))
    for part in (f"{mae:.4f}", "0.0 %", "u-label | m-label", "labels.rule", "authors", "known labels"):
        assert part in shown, part
    clip = audit.clips.iloc[0]
    for part in (clip["id"], html.unescape(clip["text"]), clip["video"], f"{clip['u_audio']:+.2f}"):
        assert str(part) in shown, part
    figures = [value for tag, name, value in read.attributes if tag == "svg" and name == "aria-label"]
    for name in ("text", "audio", "vision"):
        for start in (f"Distribution of the u-labels of {name}", f"u-label of {name} against", f"Features of {name}"):
            assert any(alt.startswith(start) for alt in figures), (name, start)
    assert any(alt.startswith("Share of the labels by outcome") for alt in figures)
    assert len(figures) == text.count("<svg") == text.count("<figure>")


@pytest.mark.slow
def test_nothing_is_fetched_and_every_reference_leads_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    read = Reader(text)
    assert not {"script", "link", "iframe", "img", "object", "base", "form"} & set(read.tags)
    assert not [name for _, name, _ in read.attributes if name.startswith("on")]
    ids = read.values("id")
    assert len(ids) == len(set(ids)), "ids are unique over all pictures"
    targets = [value for name in ("href", "xlink:href") for value in read.values(name)]
    images = [target for target in targets if target.startswith("data:image/png;base64,")]
    assert images, "histograms and points are pictures inside the page"
    inner = [target for target in targets if target not in images] + re.findall(r"url\((.*?)\)", text)
    assert inner
    assert {target[0] for target in inner} == {"#"}
    assert {target[1:] for target in inner} <= set(ids)
    policy = next(value for tag, name, value in read.attributes if tag == "meta" and value.startswith("default-src"))
    assert policy.startswith("default-src 'none'; img-src data:;")


def test_tables_can_be_heard(page: Path) -> None:
    read = Reader(page.read_text(encoding="utf-8"))
    scopes = [(tag, value) for tag, name, value in read.attributes if name == "scope"]
    assert len(scopes) == read.tags.count("th")
    assert read.values("lang") == ["en"]
    assert read.tags.count("h1") == 1


@pytest.mark.slow
def test_the_same_run_gives_the_same_bytes(page: Path, trained: TrainedModel, tmp_path: Path) -> None:
    again = write_report(trained.folder.path, tmp_path / "again.html", tmp_path / "pictures")
    assert again[0].read_bytes() == page.read_bytes()
    once = {path.name: path.read_bytes() for path in again[1:]}
    write_report(trained.folder.path, tmp_path / "again.html", tmp_path / "pictures", force=True)
    assert {path.name: path.read_bytes() for path in again[1:]} == once
    assert sum(name.endswith(".svg") for name in once) == sum(name.endswith(".png") for name in once) == len(once) / 2
    assert all(content.startswith(b"\x89PNG") for name, content in once.items() if name.endswith(".png"))


@pytest.mark.slow
def test_texts_of_strangers_stay_text(hostile: Path, hostile_page: Path) -> None:
    assert hostile_page == hostile.with_name("a&b <i>run-report.html")
    read = Reader(hostile_page.read_text(encoding="utf-8"))
    assert not {"script", "img", "i"} & set(read.tags)
    shown = "".join(read.words)
    assert "a&b <i>run" in shown
    assert HOSTILE.replace("\x00", "\N{REPLACEMENT CHARACTER}") in shown, "as it is, but for the control character"
    assert "{{ 7*7 }}" in shown
    assert "0:01.0–1:02.5" in shown


@pytest.mark.slow
def test_without_its_data_set_a_run_is_reported_without_texts(hostile: Path, tmp_path: Path) -> None:
    run = shutil.copytree(hostile, tmp_path / "run")
    shutil.rmtree(run / "state")
    data = shutil.move(hostile.parent / "data", tmp_path / "hidden")
    try:
        material = Material.read(run)
        text = write_report(run)[0].read_text(encoding="utf-8")
    finally:
        shutil.move(data, hostile.parent / "data")
    assert material.samples is None
    assert "the data set cannot be read, so texts and labels per modality are left out" in text
    assert "state was deleted, so there is no picture of the class centres" in text
    assert "u-label | m-label" not in text
    table = pd.read_parquet(hostile.parent / "data" / "samples.parquet")
    table.assign(label=0.5).to_parquet(hostile.parent / "data" / "samples.parquet")
    try:
        assert "has changed since training" in Material.read(hostile).notes[0]
    finally:
        table.to_parquet(hostile.parent / "data" / "samples.parquet")


@pytest.mark.slow
def test_an_older_run_is_reported(trained: TrainedModel, tmp_path: Path) -> None:
    run = shutil.copytree(trained.folder.path, tmp_path / "run")
    trained.folder.labels().drop(columns="outcome").to_parquet(run / "labels.parquet")
    lines = [re.sub(r', "labels": .*\}', "}", line) for line in (run / "history.jsonl").read_text().splitlines()]
    (run / "history.jsonl").write_text("\n".join(lines) + "\n")
    assert write_report(run)[0] == default_page(run)
    text = default_page(run).read_text(encoding="utf-8")
    assert "did not record outcomes" in text
    assert "no separation of the centres" in text


@pytest.mark.slow
def test_a_run_without_generated_labels_has_a_page_too(planted: Dataset, tmp_path: Path) -> None:
    few = ["model=lf_dnn", "modalities=audio,vision", "training.max_epochs=2"]
    model = selfmm.train(planted, overrides=few, out=tmp_path / "run")
    made = write_report(tmp_path / "run", pictures=tmp_path / "pictures")
    text = made[0].read_text(encoding="utf-8")
    read = Reader(text)
    shown = " ".join(read.words)
    assert not read.open
    assert "Generated labels" not in shown
    assert "u-label" not in shown
    assert "lf_dnn" in shown
    assert {path.stem for path in made[1:]} == {"validation", "losses", "predictions-valid", "predictions-test"}
    targets = [value[1:] for value in read.values("href") if value.startswith("#")]
    assert set(targets) <= set(read.values("id"))
    valid = model.folder.predictions().query("split == 'valid'")
    off = (valid["score"] - valid["label"]).abs()
    furthest = valid.iloc[int(off.to_numpy().argmax())]
    rows = [word for word in read.words if word in set(valid["id"])]
    assert rows[0] == furthest["id"]
    assert f"{furthest['label']:+.2f}" in shown
    alts = [value for tag, name, value in read.attributes if tag == "svg" and name == "aria-label"]
    assert any(f"Median error {off.median():.3f}, largest {off.max():.3f}" in alt for alt in alts)
    with pytest.raises(RunError, match="has no generated labels per modality: lf_dnn was trained with `labels='none'`"):
        Material.read(tmp_path / "run").audit()


@pytest.mark.slow
def test_a_run_whose_labels_were_estimated_before_training(planted: Dataset, tmp_path: Path) -> None:
    few = ["modalities=audio,vision", "training.max_epochs=2"]
    selfmm.train(planted, overrides=few, out=tmp_path / "run")
    text = write_report(tmp_path / "run", pictures=tmp_path / "pictures")[0].read_text(encoding="utf-8")
    read = Reader(text)
    assert not read.open
    shown = " ".join(read.words)
    audit = Material.read(tmp_path / "run").audit()
    for part in (
        "Every clip has one label from a person, m, and one estimated label per modality, u.",
        "Labels that were estimated before training, next to the fused score.",
        audit.verdicts["audio"],
        "correlation, test",
        "Outcomes and trust",
        "contradiction",
    ):
        assert part in shown, part
    assert "last epoch" not in shown
    names = {path.stem for path in (tmp_path / "pictures").iterdir()}
    assert {"trust", "outcomes", "u-against-m-audio", "labels-over-epochs-vision"} <= names
    assert not {name for name in names if name.startswith(("centres", "drift", "separation"))}


@pytest.fixture(scope="session")
def chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no chromium on this machine; install Debian's package to test the page in a browser")
    return found


def browse(chromium: str, page: Path, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"),
            *("--enable-logging=stderr", f"--user-data-dir={folder / 'profile'}", *options, page.as_uri()),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )


@pytest.mark.slow
def test_a_browser_draws_it_and_complains_of_nothing(chromium: str, hostile_page: Path, tmp_path: Path) -> None:
    """The hostile page: a browser parses it otherwise than Python's parser, and would run what it took for a script."""
    picture, log = tmp_path / "page.png", tmp_path / "net.json"
    options = [f"--screenshot={picture}", "--window-size=1280,6000", "--hide-scrollbars", f"--log-net-log={log}"]
    result = browse(chromium, hostile_page, tmp_path, *options)
    assert "CONSOLE" not in result.stderr, result.stderr
    assert "evil.example" not in log.read_text(errors="replace")
    # Ink of each modality's colour is there: the style and the pictures were drawn, not refused.
    from matplotlib.image import imread

    pixels = (imread(picture)[..., :3] * 255).round().astype(int).reshape(-1, 3)
    for colour in ((0x2A, 0x7A, 0xB9), (0xD5, 0x5E, 0x00), (0x00, 0x9E, 0x73)):
        assert (abs(pixels - colour).max(axis=1) <= 2).sum() > 500
    assert (pixels == (0xFB, 0xFB, 0xFA)).all(axis=1).mean() > 0.2, "the page's own ground"


@pytest.mark.slow
def test_a_browser_reads_texts_as_texts(chromium: str, hostile_page: Path, tmp_path: Path) -> None:
    dom = browse(chromium, hostile_page, tmp_path, "--dump-dom").stdout
    assert "<title>a&amp;b &lt;i&gt;run – selfmm report</title>" in dom
    assert "<script" not in dom
    assert "<img" not in dom


@pytest.mark.slow
def test_the_browser_test_would_notice(chromium: str, hostile_page: Path, tmp_path: Path) -> None:
    """A page with a script and a style of its own is complained about: the policy holds, and the log is read."""
    broken = tmp_path / "broken.html"
    text = hostile_page.read_text(encoding="utf-8")
    broken.write_text(text.replace("</main>", "<script>document.title='owned'</script></main>"), encoding="utf-8")
    assert "CONSOLE" in browse(chromium, broken, tmp_path, "--dump-dom").stderr
