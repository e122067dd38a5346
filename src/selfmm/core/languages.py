"""Names of the languages that speech recognition of the Whisper family knows."""

from __future__ import annotations

ENGLISH_ONLY = "recognises English only"
"""Is in every warning about speech in a language that its recogniser does not know."""

_LISTED = """
    en English, zh Chinese, de German, es Spanish, ru Russian, ko Korean, fr French, ja Japanese, pt Portuguese, tr
    Turkish, pl Polish, ca Catalan, nl Dutch, ar Arabic, sv Swedish, it Italian, id Indonesian, hi Hindi, fi Finnish,
    vi Vietnamese, he Hebrew, uk Ukrainian, el Greek, ms Malay, cs Czech, ro Romanian, da Danish, hu Hungarian, ta
    Tamil, no Norwegian, th Thai, ur Urdu, hr Croatian, bg Bulgarian, lt Lithuanian, la Latin, mi Maori, ml Malayalam,
    cy Welsh, sk Slovak, te Telugu, fa Persian, lv Latvian, bn Bengali, sr Serbian, az Azerbaijani, sl Slovenian, kn
    Kannada, et Estonian, mk Macedonian, br Breton, eu Basque, is Icelandic, hy Armenian, ne Nepali, mn Mongolian, bs
    Bosnian, kk Kazakh, sq Albanian, sw Swahili, gl Galician, mr Marathi, pa Punjabi, si Sinhala, km Khmer, sn Shona,
    yo Yoruba, so Somali, af Afrikaans, oc Occitan, ka Georgian, be Belarusian, tg Tajik, sd Sindhi, gu Gujarati, am
    Amharic, yi Yiddish, lo Lao, uz Uzbek, fo Faroese, ht Haitian Creole, ps Pashto, tk Turkmen, nn Norwegian Nynorsk,
    mt Maltese, sa Sanskrit, lb Luxembourgish, my Burmese, bo Tibetan, tl Tagalog, mg Malagasy, as Assamese, tt Tatar,
    haw Hawaiian, ln Lingala, ha Hausa, ba Bashkir, jw Javanese, su Sundanese, yue Cantonese
"""
_NAMES = dict(entry.split(maxsplit=1) for entry in " ".join(_LISTED.split()).split(", "))
_OTHER_CODES = """
    eng zho chi cmn deu ger spa rus kor fra fre jpn por tur pol cat nld dut ara swe ita ind hin fin vie heb ukr ell gre
    msa may ces cze ron rum dan hun tam nor tha urd hrv bul lit lat slk slo tel fas per lav ben srp slv est isl ice
"""
_THREE_LETTERS = frozenset(_OTHER_CODES.split())


def language_name(code: str) -> str:
    """Return the English name of a language; the code itself if it is not known.

    >>> language_name("de"), language_name("xx")
    ('German', 'xx')
    """
    return _NAMES.get(code, code)


def language_in(name: str) -> str | None:
    """Return the language in the name of a file without its suffix, two letters; None if it names none.

    >>> language_in("talk.de"), language_in("talk.en-US.sdh"), language_in("en"), language_in("the.talk")
    ('de', 'en', None, None)
    """
    codes = (word.lower().replace("_", "-").partition("-")[0] for word in reversed(name.split(".")[1:]))
    return next((code for code in codes if code in _NAMES), None)


def is_language(word: str) -> bool:
    """Return whether a word names a language: a code of two or three letters, with or without a region, or a name.

    >>> [is_language(word) for word in ("de", "en-US", "zh_Hans", "eng", "German", "de-orig", "cut")]
    [True, True, True, True, True, True, False]
    """
    code = word.lower().replace("_", "-").partition("-")[0]
    return code in _NAMES or code in _THREE_LETTERS or word.title() in _NAMES.values()
