"""The numbers in a normalised Chinese transcript, and what each of them counts; no I/O. One pass, left to right."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from domain.voice import numerals
from domain.voice.amounts import Mention, Question, Sort, fen_of
from domain.voice.lexicon import GRADES
from domain.voice.numerals import DIGITS, NUMERALS, Kind, Reading

YUAN = ("块钱", "块", "元钱", "元", "圆", "人民币", "rmb")
JIAO = ("毛钱", "毛", "角")
FEN = ("分钱", "分")
JIAO_FEN, FEN_FEN = 10, 1
FOREIGN = ("美元", "美金", "美刀", "刀", "欧元", "港币", "港元", "日元", "英镑")
VAGUE_AFTER = ("多", "来", "余", "几", "左右", "上下", "以上", "以下", "以内", "出头", "不到", "往上", "好几")
VAGUE_WORDS = (
    "大概", "大约", "差不多", "将近", "至少", "最多", "最少", "不超过", "不低于", "超过", "左右", "上下",
    "随便", "约摸", "约莫", "起码", "以内", "不到", "不足", "以下", "不多于", "顶多", "一半",
)  # fmt: skip
LATER_WORDS = (
    "明天", "后天", "明早", "今晚", "下周", "下个月", "下星期", "下礼拜", "每天", "每周", "每月", "每个月", "每星期",
    "每礼拜", "每次", "每年", "钟后", "小时后", "天后", "之后", "以后", "的时候", "定期", "定时", "自动", "如果",
    "要是", "假如", "等到",
)  # fmt: skip
EACH_WORDS = ("每张", "各", "卡都", "两张卡", "几张卡", "所有卡", "所有的卡", "分别")
HEDGES = ((VAGUE_WORDS, Question.VAGUE), (EACH_WORDS, Question.SEVERAL), (LATER_WORDS, Question.LATER))
FUEL_AFTER = ("号油", "号汽", "号柴", "号乙醇")
GRADE_AFTER = (*FUEL_AFTER, "号", "#")
LITRES = ("升", "公升", "加仑")
COUNTS = ("次", "笔", "张", "遍", "回", "份", "个", "倍", "卡各")
OTHER_AFTER = (
    "公里", "千米", "米", "英里", "度", "里地", "km", "小时", "分钟", "秒", "点钟", "点半", "天", "年", "月", "日",
    "周", "岁",
    "站", "家", "座", "环", "路", "街", "楼", "层", "点以", "点前", "点后", "位",
)  # fmt: skip
UNCLEAR_AFTER = ("分之", "折", "%", "成", "半", "+", "*", "/", "x", "乘", "除", "减", "~", "-", "到", "至")
TAIL_BEFORE = (
    "尾号", "后四位", "末四位", "尾数", "末尾", "结尾", "卡号", "尾巴", "密码", "验证码", "电话", "手机号", "号码",
    "后·位", "车牌",
)  # fmt: skip
TAIL_AFTER = (
    "的卡", "那张", "这张", "结尾", "那个卡", "这个卡", "卡", "尾号", "号卡", "的油卡", "开头", "收尾",
)  # fmt: skip
TAIL_LENGTHS = range(3, 20)
SORTS = ((OTHER_AFTER, Sort.OTHER), (LITRES, Sort.LITRES), (UNCLEAR_AFTER, Sort.UNCLEAR))
# Behind one of these a number without a unit is over.
AFTER_BARE = frozenset(
    ",.吧的到给就啊呀行够先那进在上下了是我啦咯哈呗嘛吗呢对也可往不好谢请用从帮然后嗯或还和跟加改要充中石油卡昆汽柴哪今现什价多怎贵便最"
)
LINKS = "是为:的叫,"
NEGATIONS = (
    "不要", "不想", "不用", "不是", "不充", "不加", "不", "别", "取消", "甭", "而非", "并非", "除了",
)  # fmt: skip
NO_NEGATIONS = ("不超过", "不低于", "差不多", "不到", "不少于", "不多不少")
# So far before a number a no still belongs to it.
NEGATION_REACH = 6
# After the cents of an amount one of these says that the digit was no cents.
NOT_CENTS = frozenset("号#升张次笔个遍公倍月日点折位站家回份")


def mentions(text: str) -> list[Mention]:
    found: list[Mention] = []
    place, end = 0, 0
    while place < len(text):
        if not _begins(text, place):
            place += 1
            continue
        mention = _mention(text, place)
        found.append(replace(mention, negated=_negated(text, mention.start, end)))
        place = end = mention.end
    return found


def hedge(text: str) -> Question | None:
    """Return why the words around an amount leave it open."""
    return next((question for words, question in HEDGES if any(word in text for word in words)), None)


def _begins(text: str, place: int) -> bool:
    letter = text[place]
    if letter == "几":
        return place + 1 < len(text) and text[place + 1] in "百千万十块"
    return letter in NUMERALS and letter not in ".点kw"


def _mention(text: str, start: int) -> Mention:
    end = _run_end(text, start)
    before, after = text[:start], text[end:]
    reading = numerals.read(text[start:end])
    if text[start] == "几" or after.startswith("几"):
        return Mention(start, end, Sort.VAGUE)
    if before.endswith(("-", "负", "+", "零下")):
        return Mention(start, end, Sort.UNCLEAR)
    if _beside_latin(before, after):
        # It is part of a name or of code, such as the 9 in 9s.
        return Mention(start, end, Sort.UNCLEAR)
    if _is_tail(before, after, reading):
        return Mention(start, end, Sort.TAIL, digits=_digits(text[start:end], reading))
    if before.endswith(("¥", "人民币", "rmb")):
        return _money(text, start, end, reading)
    if before.endswith("$") or after.startswith(FOREIGN):
        return Mention(start, end, Sort.FOREIGN)
    if reading.kind is Kind.RANGE or after.startswith(VAGUE_AFTER):
        return Mention(start, end, Sort.VAGUE)
    return _by_unit(text, start, end, reading)


def _run_end(text: str, start: int) -> int:
    end = start
    while end < len(text) and (text[end] in NUMERALS or (text[end] == "几" and end == start)):
        if text[end] in "kw" and (text[end + 1 : end + 2].isascii() and text[end + 1 : end + 2].isalpha()):
            break
        end += 1
    while end > start + 1 and text[end - 1] in ".点":
        end -= 1
    return end


def _beside_latin(before: str, after: str) -> bool:
    if after.startswith(("rmb", "km", "l")) or before.endswith("rmb"):
        return False
    return any(letter.isascii() and letter.isalpha() for letter in (before[-1:], after[:1]))


def _is_tail(before: str, after: str, reading: Reading) -> bool:
    if before[-8:].rstrip(LINKS).endswith(TAIL_BEFORE):
        return True
    if len(reading.digits) not in TAIL_LENGTHS or not after.startswith(TAIL_AFTER):
        return False
    # 给500卡 names nothing; a card is named by its last digits, all of them.
    return len(reading.digits) >= 4  # noqa: PLR2004 - the digits of a tail


def _digits(run: str, reading: Reading) -> str:
    return reading.digits or "".join(
        letter if letter.isascii() else str(DIGITS[letter]) for letter in run if letter.isdigit() or letter in DIGITS
    )


def _by_unit(text: str, start: int, end: int, reading: Reading) -> Mention:
    after = text[end:]
    if after.startswith(YUAN):
        return _money(text, start, end, reading)
    if after.startswith(GRADE_AFTER):
        return Mention(start, end + 1, _sort_of_grade(_grade(reading), after), digits=_grade(reading))
    for units, sort in SORTS:
        if after.startswith(units):
            return Mention(start, end, sort)
    if after.startswith(JIAO):
        return _jiao(text, start, end, reading)
    if after.startswith(FEN):
        return _small(start, end + 1, reading, FEN_FEN)
    if after.startswith(COUNTS):
        return Mention(start, end, Sort.OTHER if reading.value == 1 else Sort.COUNT)
    fen = fen_of(reading.value) if reading.value is not None else None
    if fen is None or (after and after[0] not in AFTER_BARE):
        # What follows may be a unit that is not known here, such as 箱.
        return Mention(start, end, Sort.UNCLEAR)
    return Mention(start, end, Sort.BARE, fen=fen, digits=_grade(reading), written=bool(reading.digits))


def _sort_of_grade(grade: str, after: str) -> Sort:
    if grade in GRADES:
        return Sort.GRADE
    # Petrol of a grade that there is not was heard wrong, and with it perhaps the amount.
    return Sort.UNCLEAR if after.startswith(FUEL_AFTER) else Sort.OTHER


def _grade(reading: Reading) -> str:
    return reading.digits or (str(reading.value) if reading.value is not None else "")


def _money(text: str, start: int, end: int, reading: Reading) -> Mention:
    """Read an amount with its unit, and the 角 and 分 that follow: 三百二十元五角, 五块八, 五百元零五分."""
    value = reading.value
    if value is None and reading.kind is Kind.SPELLED and not reading.digits.startswith("0"):
        value = Decimal(reading.digits)
    fen = fen_of(value) if value is not None else None
    unit = next((each for each in YUAN if text.startswith(each, end)), "")
    end += len(unit)
    if text[end : end + 1] and text.startswith(VAGUE_AFTER, end):
        return Mention(start, end, Sort.VAGUE)
    if text.startswith(("半", "+", "*", "到", "至", "-", "~"), end) and not text.startswith(
        ("到卡", "到油", "到中", "到我", "到账"), end
    ):
        return Mention(start, end, Sort.UNCLEAR)
    cents, end, clear = _cents(text, end) if unit else (0, end, True)
    if fen is None or not clear:
        return Mention(start, end, Sort.UNCLEAR)
    return Mention(start, end, Sort.MONEY, fen=fen + cents)


def _cents(text: str, place: int) -> tuple[int, int, bool]:
    """Return the fen behind 元, where they end, and whether they are clear."""
    end = place
    while end < len(text) and text[end] in NUMERALS and text[end] not in ".点kw":
        end += 1
    run = text[place:end]
    if run.startswith(("零", "0")) and len(run) == 2:  # noqa: PLR2004 - a zero and a digit
        digit = _digit(run[1])
        if digit and text.startswith(JIAO, end):
            return digit * JIAO_FEN, end + 1, True
        clear = bool(digit) and text.startswith("分", end)
        return digit * FEN_FEN, end + clear, clear
    if len(run) != 1 or text[end : end + 1] in NOT_CENTS:
        # A longer number is one of its own, and is asked about as such.
        return 0, place, True
    digit = _digit(run)
    if text.startswith("分", end) and not text.startswith("分钟", end):
        return digit * FEN_FEN, end + 1, bool(digit)
    jiao = digit * JIAO_FEN
    if not text.startswith(JIAO, end):
        return jiao, end, bool(digit)
    fen, end = _last_fen(text, end + 1)
    return jiao + fen, end, bool(digit)


def _last_fen(text: str, place: int) -> tuple[int, int]:
    """Return the single digit behind 角, with or without 分, and where it ends."""
    digit = _digit(text[place : place + 1])
    following = text[place + 1 : place + 2]
    if not digit or following in NOT_CENTS or following in NUMERALS:
        return 0, place
    return digit, place + (2 if following == "分" else 1)


def _jiao(text: str, start: int, end: int, reading: Reading) -> Mention:
    fen, after = _last_fen(text, end + 1)
    small = _small(start, after, reading, JIAO_FEN)
    return replace(small, fen=small.fen + fen) if small.fen is not None else small


def _small(start: int, end: int, reading: Reading, scale: int) -> Mention:
    value = reading.value
    if value is None or value != value.to_integral_value() or value >= 100:  # noqa: PLR2004 - more is said in yuan
        return Mention(start, end, Sort.UNCLEAR)
    return Mention(start, end, Sort.MONEY, fen=int(value) * scale)


def _digit(letter: str) -> int:
    if letter.isascii() and letter.isdigit():
        return int(letter)
    return DIGITS.get(letter, 0)


def _negated(text: str, start: int, last_end: int) -> bool:
    before = text[max(last_end, start - NEGATION_REACH) : start].rpartition(",")[2]
    for word in NO_NEGATIONS:
        before = before.replace(word, "")
    return any(word in before for word in NEGATIONS)
