"""A transcript as the grammar reads it: one width, one case, no fillers, and one sign for every correction; no I/O.

Every step passes over the text a fixed number of times, so its time grows with the length of the transcript alone.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from domain.voice import english_numbers, lexicon

# Stands for 不对, 改成, 'I mean': what comes behind it takes the place of what came before.
CORRECTION = "⇒"
# Keeps the place of letters that look like part of a number and are none, and of characters that nobody can speak.
BLANK = "·"
FULL_WIDTH_FIRST, FULL_WIDTH_LAST, FULL_WIDTH_SHIFT = 0xFF01, 0xFF5E, 0xFEE0
GROUPED = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3}){1,2}(?![\d,])", re.ASCII)
NUMERALS_ZH = "零一二三四五六七八九两十百千万0123456789"
# Whoever hesitates inside a number may have begun another one: 五百嗯三 is not taken for 530.
PAUSE_ZH = re.compile(f"(?<=[{NUMERALS_ZH}])(?:{'|'.join(lexicon.FILLERS_ZH)}|[额啊哦呃]+)(?=[{NUMERALS_ZH}])")
NUMBER_EN = f"(?:{'|'.join(sorted(english_numbers.WORDS))}|[0-9.]+)"
PAUSE_EN = re.compile(f" ({NUMBER_EN}) (?:{'|'.join(lexicon.FILLERS_EN)}) (?={NUMBER_EN} )")
# A separator stays tellable from a comma inside a number by the space behind it.
PUNCTUATION = str.maketrans(dict.fromkeys("，、；。！？;!?…：:\n\r\t", ", "))


@dataclass(frozen=True, slots=True)
class Normal:
    """`unreadable` tells of a number in a script that is not read, such as ½ or ٣; `asks` of a question mark."""

    text: str
    chinese: bool
    unreadable: bool
    asks: bool


def normalise(transcript: str, *, chinese_by_default: bool) -> Normal:
    letters, unreadable = [], False
    for letter in transcript.translate(PUNCTUATION):
        plain = _plain(letter)
        if plain is None:
            unreadable, plain = True, BLANK
        letters.append(plain)
    text = GROUPED.sub(lambda found: found.group().replace(",", ""), "".join(letters).lower())
    has_han = any("\u4e00" <= letter <= "\u9fff" for letter in text)
    has_latin = any("a" <= letter <= "z" for letter in text)
    chinese = has_han or (chinese_by_default and not has_latin)
    asks = "?" in transcript or "？" in transcript
    return Normal(_chinese(text) if chinese else _english(text), chinese, unreadable, asks)


def _plain(letter: str) -> str | None:
    """Return one letter in its plain form, or None for a number that is not read."""
    code = ord(letter)
    if FULL_WIDTH_FIRST <= code <= FULL_WIDTH_LAST:
        return chr(code - FULL_WIDTH_SHIFT)
    if letter in lexicon.PLAIN:
        return lexicon.PLAIN[letter]
    category = unicodedata.category(letter)
    if category[0] in "CZ":
        return " "
    if category[0] == "N" and not letter.isascii() and letter != "〇":
        return None
    return letter


def _chinese(text: str) -> str:
    text = _joined(text)
    for said, meant in lexicon.SLIPS:
        text = text.replace(said, meant)
    for word in lexicon.NOT_NUMBERS:
        text = _masked(text, word)
    for word in lexicon.CORRECTIONS_ZH:
        text = text.replace(word, CORRECTION)
    # Between pauses even a plain no takes back what came before it.
    text = re.sub(r",(?:不是|不)(?=,)", f",{CORRECTION}", text)
    text = re.sub(r"^(?:不是|不),(?=.)", f"{CORRECTION},", text)
    text = PAUSE_ZH.sub(",", _taken_back(text))
    for word in lexicon.FILLERS_ZH:
        text = text.replace(word, "")
    text = re.sub(r"(^|,)[额嗯呃啊哦噢喔哎诶欸唉唔]+", r"\1", text)
    return re.sub(r",{2,}", ",", text).strip(",. ~")


def _taken_back(text: str) -> str:
    """算了 corrects where a number follows, and gives up where none does."""
    last = max((text.rfind(numeral) for numeral in NUMERALS_ZH), default=-1)
    if last < 0:
        return text
    before, rest = text[:last], text[last:]
    for word in ("算了", "不要了", "不充了"):
        before = before.replace(word, CORRECTION)
    return before + rest


def _masked(text: str, word: str) -> str:
    """Blank the numerals of a word such as 一下, but not where a longer number begins there, as in 一点五."""
    if not word.endswith("点"):
        return text.replace(word, BLANK * len(word))
    return re.sub(f"{word}(?![零一二三四五六七八九两0-9半])", BLANK * len(word), text)


def _joined(text: str) -> str:
    """Take out spaces, but for those between Latin letters or digits: 五 百 is one number, 5 00 is none."""
    text = re.sub(r" +", " ", text)
    return re.sub(r"(?<![a-z0-9.]) | (?![a-z0-9.])", "", text)


def _english(text: str) -> str:
    text = text.replace("’", "'")
    text = re.sub(r"(?<=[a-z])-(?=[a-z])", " ", text)
    # Letters part from digits, so that 500yuan and 2k are two words; so do signs.
    text = re.sub(r"(?<=[0-9])(?=[a-z])|(?<=[a-z])(?=[0-9])", " ", text)
    text = re.sub(r"([,$¥#%+*/()\"])", r" \1 ", text)
    text = re.sub(r"\.(?!\d)", " , ", text)
    text = f" {' '.join(text.split())} "
    for word in lexicon.CORRECTIONS_EN:
        text = text.replace(f" {word} ", f" {CORRECTION} ")
    text = text.replace(" , no , ", f" {CORRECTION} ").replace(" , no ", f" {CORRECTION} ")
    text = re.sub(r"^ (?:no|nope) , (?=\S)", f" {CORRECTION} ", text)
    text = PAUSE_EN.sub(r" \1 , ", text)
    for word in lexicon.FILLERS_EN:
        text = text.replace(f" {word} ", " ")
    return re.sub(r"(?: ,)+", " ,", text).strip(" ,")
