"""What is said in subtitles: rolling captions, captions for the deaf, and files that belong to another recording."""

from __future__ import annotations

from pathlib import Path

import pytest

from selfmm.core.errors import SourceError
from selfmm.features.words.cue_files import Cue
from selfmm.features.words.spoken import in_two_languages, spoken
from selfmm.features.words.subtitles import read_subtitles, to_srt

SAID = "the film was great I loved it so very much"

ROLLING_SRT = """1
00:00:00,160 --> 00:00:02,000
the film was great

2
00:00:02,000 --> 00:00:02,010
the film was great

3
00:00:02,010 --> 00:00:04,000
the film was great
I loved it

4
00:00:04,000 --> 00:00:04,010
I loved it

5
00:00:04,010 --> 00:00:06,000
I loved it
so very much
"""

# As YouTube writes it: a line of one blank, times inside the text, and flashes of 10 ms.
YOUTUBE_VTT = """WEBVTT
Kind: captions
Language: en

00:00:00.160 --> 00:00:02.000 align:start position:0%
~
the<00:00:00.640><c> film</c><00:00:01.100><c> was</c><00:00:01.500><c> great</c>

00:00:02.000 --> 00:00:02.010 align:start position:0%
the film was great
~

00:00:02.010 --> 00:00:04.000 align:start position:0%
the film was great
I<00:00:02.500><c> loved</c><00:00:03.000><c> it</c>

00:00:04.000 --> 00:00:04.010 align:start position:0%
I loved it
~

00:00:04.010 --> 00:00:06.000 align:start position:0%
I loved it
so<00:00:04.500><c> very</c><00:00:05.000><c> much</c>
""".replace("~", " ")


def lines(*texts: str, seconds: float = 2.0) -> str:
    return to_srt([(place * seconds, (place + 1) * seconds, text) for place, text in enumerate(texts)])


ASS = """[Script Info]
[V4+ Styles]
Format: Name, Fontname, Fontsize
Style: Default,Arial,20
[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""


def dialogue(*texts: str) -> str:
    return ASS + "".join(
        f"Dialogue: 0,0:00:0{at}.00,0:00:0{at + 1}.00,Default,,0,0,0,,{text}\n" for at, text in enumerate(texts)
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.srt", ROLLING_SRT),
        ("a.vtt", YOUTUBE_VTT),
        ("a.vtt", YOUTUBE_VTT.replace("\n", "\r\n")),
        ("a.srt", lines("the film was great", "the film was great\nI loved it", "I loved it\nso very much")),
        (  # three lines, as television sends them
            "a.srt",
            lines("the film", "the film\nwas great", "the film\nwas great\nI loved it", "was great\nI loved it\nso")
            + "\n5\n00:00:08,000 --> 00:00:09,000\nI loved it\nso\nvery much\n",
        ),
        ("a.srt", lines("the film", "the film was great", "I loved", "I loved it", "I loved it so very much")),  # grows
        ("a.srt", lines(*(line for line in ("the film was great", "I loved it", "so very much") for _ in "12"))),
        ("a.ass", dialogue("the film was great", "the film was great\\NI loved it", "I loved it\\Nso very much")),
        ("a.ass", dialogue(SAID) + dialogue(SAID).splitlines()[-1] + "\n"),  # two layers of one text
    ],
)
def test_each_line_is_said_once(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_bytes(content.encode())
    transcript = read_subtitles(tmp_path / name)
    assert transcript.text == SAID
    assert [word.start for word in transcript.words] == sorted(word.start for word in transcript.words)
    rolling = ("the subtitles show lines several times (rolling captions); each line was read once",)
    assert transcript.warnings == (() if "Default,,0,0,0,,the film was great I" in content else rolling)


def test_a_line_is_said_when_it_appears(tmp_path: Path) -> None:
    (tmp_path / "a.vtt").write_text(YOUTUBE_VTT)
    words = {word.text: (word.start, word.end) for word in read_subtitles(tmp_path / "a.vtt").words}
    assert words["the"][0] == 0.16
    assert words["great"][1] == 2.0
    assert (words["I"][0], words["it"][1]) == (2.01, 4.0)


@pytest.mark.parametrize(
    "texts",
    [
        ("No.", "No."),
        ("No.", "No.", "No!", "I said no.", "And I mean it."),
        ("Why?", "I do not know.", "I do not know.", "Well.", "Tell me.", "Now."),
        ("I was there.", "It was.\nI was there.", "Not you.", "Him."),  # the line comes again, but is not the first
    ],
)
def test_what_is_said_twice_is_kept(tmp_path: Path, texts: tuple[str, ...]) -> None:
    (tmp_path / "a.srt").write_text(lines(*texts))
    transcript = read_subtitles(tmp_path / "a.srt")
    assert transcript.text == " ".join(" ".join(texts).split())
    assert not transcript.warnings


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[MUSIC PLAYING]", ""),
        ("[music\nplaying] Yes.", "Yes."),
        ("(laughs) I loved it", "I loved it"),
        ("I loved it（笑）【拍手】", "I loved it"),
        ("* Musik * Ja.", "Ja."),  # German television
        ("2 * 3 is 6", "2 * 3 is 6"),
        ("It was (umm) fine [sighs]", "It was umm fine"),
        ("♪ la la la ♪", ""),
        ("♪ la la\nla la ♪ He left.", "He left."),
        ("♪♪ la la ♪♪", ""),
        ("♪ ♫ la la ♫ ♪ So. ♪ la ♪", "So."),
        ("(♪ upbeat music ♪) So.", "So."),
        ("\u202a[MUSIC]\u202c", ""),
        ("# la la la #", ""),
        ("We are #1 and #2", "We are #1 and #2"),
        ("He left. ♪", "He left."),
        ("🎵", ""),
        (">> JOHN: yes", "yes"),
        ("&gt;&gt; John Smith: yes", "yes"),
        (">>> REPORTER: Yes.\n>> No.", "Yes.\nNo."),
        (">> WE SAY: NO", "NO"),
        ("JOHN: Yes.\n- WOMAN 2: No.", "Yes.\n- No."),
        ("– JOHN: Yes.", "– Yes."),
        ("MRS. O'NEIL:\nYes.", "Yes."),
        ("[JOHN]: yes", "yes"),
        ("DR. NO (on phone): Yes.", "Yes."),
        ("I told him: go.", "I told him: go."),
        (">> I told him: go.", "I told him: go."),
        ("LISTEN: I LOVE YOU", "LISTEN: I LOVE YOU"),  # all is in capitals
        ("AT 10:30 he left", "AT 10:30 he left"),
        ("3 > 2 and 5 >> 2", "3 > 2 and 5 >> 2"),
        ("Subtitles by the Amara.org community", ""),
        ("Synced and corrected by somebody\nwww.addic7ed.com", ""),
        ("I read it on amazon.com.", "I read it on amazon.com."),
        ("The caption was written by hand?", "The caption was written by hand?"),
    ],
)
def test_what_nobody_says_is_left_out(text: str, said: str) -> None:
    cues, descriptions, rolling = spoken([Cue(1, 2, text)])
    assert "".join(cue.text for cue in cues).split() == said.split()
    assert not rolling
    assert all(start == 1 for start, _ in descriptions)


def test_names_in_the_transcript_of_a_meeting() -> None:
    texts = ["Ann Lee: Hello.", "Bob: I told you: go.", "Bob: Note: it is late.", "So it is."]
    cues, descriptions, _ = spoken([Cue(place, place + 1, text) for place, text in enumerate(texts)])
    assert [cue.text for cue in cues] == ["Hello.", "I told you: go.", "Note: it is late.", "So it is."]
    assert [part for _, part in descriptions] == ["Ann Lee:", "Bob:", "Bob:"]
    once = ["Note: it is late.", "So it is.", "Yes."]
    assert [cue.text for cue in spoken([Cue(place, place + 1, text) for place, text in enumerate(once)]).cues] == once


def test_signs_and_songs_of_ass(tmp_path: Path) -> None:
    content = dialogue("Hello.", "EXIT", "la la", "Bye.").splitlines(keepends=True)
    content[-3], content[-2] = content[-3].replace("Default", "Signs"), content[-2].replace("Default", "OP_Romaji")
    (tmp_path / "a.ass").write_text("".join(content))
    transcript = read_subtitles(tmp_path / "a.ass")
    assert transcript.text == "Hello. Bye."
    assert "'[EXIT]', '[la la]'" in transcript.warnings[0]


def test_a_song_over_several_subtitles() -> None:
    said = spoken([Cue(0, 1, "♪ la la"), Cue(1, 2, "la la ♪"), Cue(2, 3, "Nice.")]).cues
    assert [cue.text for cue in said] == ["Nice."]


def test_the_warning_names_what_was_left_out_of_the_clip(tmp_path: Path) -> None:
    (tmp_path / "a.srt").write_text(lines("[MUSIC PLAYING]", "(laughs) I loved it", "♪ la ♪", ">> JOHN: yes"))
    whole = read_subtitles(tmp_path / "a.srt")
    assert whole.text == "I loved it yes"
    assert whole.warnings == (
        "the subtitles hold what nobody says, which was left out: '[MUSIC PLAYING]', '(laughs)', '♪ la ♪' and 1 more",
    )
    assert read_subtitles(tmp_path / "a.srt", 2, 4).warnings[0].endswith("left out: '(laughs)'")


def test_subtitles_after_the_end_of_the_recording(tmp_path: Path) -> None:
    path = tmp_path / "a.srt"
    path.write_text(to_srt([(1, 2, "in time"), (7, 12, "cut off now"), (600.5, 602, "too late"), (603, 604, "too")]))
    transcript = read_subtitles(path, length=8)
    assert transcript.text == "in time cut off now"
    assert transcript.words[-1].end == 8
    assert transcript.warnings == (
        "2 subtitles of a.srt left out: the recording ends before, at 8.0 s. Check that the file belongs to it",
    )
    assert not read_subtitles(path, 0, 7, length=8).warnings  # they are not in this clip
    assert not read_subtitles(path).warnings


def test_scores_that_predict_wrote_as_subtitles_are_not_words(tmp_path: Path) -> None:
    path = tmp_path / "a.srt"
    path.write_text(lines("+0.53 ±0.92", "-1.00  (text +1.25  audio -0.10)", "no score", "53 ±12", "no information"))
    with pytest.raises(SourceError, match=r"holds scores, as `selfmm predict --srt` writes them, not words\. Move"):
        read_subtitles(path)
    path.write_text(lines("three", "2", "1"))
    assert read_subtitles(path).text == "three 2 1"


def test_numbered_speakers_are_names(tmp_path: Path) -> None:
    path = tmp_path / "meeting.srt"
    path.write_text(to_srt([(0, 1, "Speaker 1: Hello."), (1, 2, "Speaker 2: Part 2: the end"), (2, 3, "Yes.")]))
    assert read_subtitles(path).text == "Hello. Part 2: the end Yes."


ENGLISH = ["Hello there.", "I liked it.", "OK.", "Good bye."]
GERMAN = ["Hallo ihr.", "Es war gut.", "OK.", "Auf Wiedersehen."]
CHINESE = ["你好。", "我喜欢。", "好 OK", "再见。"]


@pytest.mark.parametrize(
    ("lines", "two"),
    [
        ([f"{one}\n{other}" for one, other in zip(ENGLISH, CHINESE, strict=True)], True),
        ([f"{one}\n{other}" for one, other in zip(ENGLISH, GERMAN, strict=True)], False),  # cannot be told apart
        (ENGLISH, False),
        (CHINESE, False),
        (["これは\nカメラ", "カメラ\n漢字"], False),
    ],
)
def test_lines_in_two_scripts(lines: list[str], two: bool) -> None:
    assert in_two_languages([Cue(start, start + 1, line) for start, line in enumerate(lines)]) == two


def test_two_languages_at_the_same_times(tmp_path: Path) -> None:
    path = tmp_path / "talk.srt"
    both = [(start, start + 1, text) for texts in (ENGLISH, GERMAN) for start, text in enumerate(texts)]
    path.write_text(to_srt(both))
    (warning,) = read_subtitles(path).warnings
    assert warning == "the subtitles seem to be in two languages. Keep the lines in the one that is spoken"
    path.write_text(to_srt([(0, 1, "Hello."), (0, 1, "Hi."), *((start, start + 1, "Well.") for start in range(1, 4))]))
    assert read_subtitles(path).warnings == ()
