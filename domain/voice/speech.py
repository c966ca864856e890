"""The sentences of the conversation: said aloud, as SSML, and shown on a screen; no I/O.

Each sentence is one template with two fillings, so that what is shown and what is said cannot come apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from domain.cards.rules import masked
from domain.voice import spoken
from domain.voice.amounts import Question
from domain.voice.dialogue import KnownCard
from domain.voice.intents import Intent
from kernel.errors import Locale
from kernel.money import Money
from kernel.states import CardBrand, OrderState, Product

SSML_NAMESPACE = "http://www.w3.org/2001/10/synthesis"
SENTENCE_ENDS = "。？！"

TEMPLATES: dict[str, dict[Locale, str]] = {
    "propose": {
        "zh-CN": "给{card}充值{amount}，确认吗？",
        "en": "Recharge {card} with {amount}. Do you confirm?",
    },
    "repeat": {
        "zh-CN": "请说“确认”或“取消”：给{card}充值{amount}。",
        "en": "Please say confirm or cancel: recharge {card} with {amount}.",
    },
    "propose_by_mandate": {
        "zh-CN": "用免密支付给{card}充值{amount}，确认吗？",
        "en": "Recharge {card} with {amount}, paid by your mandate. Do you confirm?",
    },
    "repeat_by_mandate": {
        "zh-CN": "请说“确认”或“取消”：用免密支付给{card}充值{amount}。",
        "en": "Please say confirm or cancel: recharge {card} with {amount}, paid by your mandate.",
    },
    "deducting": {
        "zh-CN": "正在用免密支付扣款{price}，扣款成功后给{card}充值{amount}。",
        "en": "{price} is being paid by your mandate; then {amount} goes to {card}.",
    },
    "paid": {
        "zh-CN": "已从钱包支付{price}，正在给{card}充值{amount}。",
        "en": "{price} was paid from your wallet; {amount} is on its way to {card}.",
    },
    "left": {
        "zh-CN": "已下单给{card}充值{amount}，请到小程序里支付{price}。",
        "en": "Ordered: {card}, {amount}. Please pay {price} in the mini-program.",
    },
    "settled": {
        "zh-CN": "这笔{amount}的充值{state}。",
        "en": "That recharge of {amount} is {state}.",
    },
    "cancelled": {"zh-CN": "好的，已取消。", "en": "Okay, cancelled."},
    "nothing_to_cancel": {
        "zh-CN": "没有待确认的充值。已下的订单请到小程序里取消。",
        "en": "No recharge waits for you. Orders are cancelled in the mini-program.",
    },
    "nothing_to_confirm": {
        "zh-CN": "没有待确认的充值。请说要充多少元。",
        "en": "No recharge waits for you. Say how many yuan to recharge.",
    },
    "ask_amount": {"zh-CN": "请问要充值多少元？", "en": "How many yuan shall I recharge?"},
    "ask_several": {
        "zh-CN": "听到了不止一个数。请只说一个金额，比如五百元。",
        "en": "I heard more than one number. Please say one amount, such as five hundred yuan.",
    },
    "ask_vague": {
        "zh-CN": "请说准确的金额，比如五百元。",
        "en": "Please say an exact amount, such as five hundred yuan.",
    },
    "ask_later": {
        "zh-CN": "我只能马上充值。现在充的话，请说金额，比如五百元。",
        "en": "I can only recharge right now. If you want that, please say an amount, such as five hundred yuan.",
    },
    "ask_litres": {
        "zh-CN": "油卡按金额充值，请说要充多少元。",
        "en": "Cards are recharged by amount. How many yuan shall it be?",
    },
    "ask_foreign": {
        "zh-CN": "只能充值人民币，请说要充多少元。",
        "en": "Cards are recharged in yuan. How many shall it be?",
    },
    "ask_unclear": {
        "zh-CN": "金额没有听清，请再说一遍，比如五百元。",
        "en": "I did not catch the amount. Please say it again, such as five hundred yuan.",
    },
    "ask_other": {
        "zh-CN": "这个数是金额吗？请带上“元”再说一遍。",
        "en": "Is that number an amount? Please say it again with yuan.",
    },
    "ask_card": {"zh-CN": "请问充哪张卡：{cards}？", "en": "Which card: {cards}?"},
    "no_card": {
        "zh-CN": "您还没有绑定油卡，请先在小程序里绑定。",
        "en": "You have no fuel card yet. Please bind one in the mini-program.",
    },
    "ask_guess": {"zh-CN": "没有听清，您是想{guess}吗？", "en": "I did not catch that. Do you want to {guess}?"},
    "not_understood": {
        "zh-CN": "没有听懂。您可以说：最近的加油站、今天的油价、给油卡充五百元。",
        "en": "I did not understand. You can say: nearest station, today's price, or recharge five hundred yuan.",
    },
    "help": {
        "zh-CN": "我可以找最近或最便宜的加油站，查油价、余额和订单，也可以给油卡充值。",
        "en": "I can find the nearest or cheapest station, tell prices, balance and orders, and recharge a card.",
    },
    "where": {"zh-CN": "请先允许使用位置。", "en": "Please allow the use of your location first."},
    "no_station": {"zh-CN": "附近没有找到加油站。", "en": "There is no station nearby."},
    "nearest": {"zh-CN": "最近的是{station}，约{distance}。", "en": "The nearest is {station}, about {distance} away."},
    "cheapest": {
        "zh-CN": "{product}最便宜的是{station}，每升{price}，约{distance}。",
        "en": "The cheapest {product} is at {station}: {price} a litre, about {distance} away.",
    },
    "price": {"zh-CN": "这里{product}每升{price}。", "en": "Here {product} is {price} a litre."},
    "no_price": {"zh-CN": "这里没有查到油价。", "en": "No price is known here."},
    "balance": {"zh-CN": "钱包余额{amount}。", "en": "Your wallet holds {amount}."},
    "order": {"zh-CN": "最近一笔充值{amount}，{state}。", "en": "Your last recharge of {amount} is {state}."},
    "no_order": {"zh-CN": "您还没有充值订单。", "en": "You have no recharges yet."},
}
QUESTIONS = {
    None: "ask_amount",
    Question.SEVERAL: "ask_several",
    Question.VAGUE: "ask_vague",
    Question.LATER: "ask_later",
    Question.LITRES: "ask_litres",
    Question.FOREIGN: "ask_foreign",
    Question.UNCLEAR: "ask_unclear",
    Question.MAYBE_OTHER: "ask_other",
    Question.RETRACTED: "ask_amount",
}
GUESSES: dict[Intent, dict[Locale, str]] = {
    Intent.NEAREST_STATION: {"zh-CN": "找最近的加油站", "en": "find the nearest station"},
    Intent.CHEAPEST_STATION: {"zh-CN": "找最便宜的加油站", "en": "find the cheapest station"},
    Intent.PRICE: {"zh-CN": "查油价", "en": "hear today's price"},
    Intent.BALANCE: {"zh-CN": "查余额", "en": "hear your balance"},
    Intent.ORDER_STATE: {"zh-CN": "查订单", "en": "hear about your order"},
}


@dataclass(frozen=True, slots=True)
class Filling:
    """One value in a sentence: as it is said, and as it is shown."""

    said: str
    shown: str


@dataclass(frozen=True, slots=True)
class Speech:
    said: str
    shown: str
    locale: Locale

    @property
    def ssml(self) -> str:
        """The sentences in SSML 1.1 (https://www.w3.org/TR/speech-synthesis11/), with everything escaped."""
        sentences = "".join(f"<s>{escape(_speakable(each))}</s>" for each in _sentences(self.said))
        return f'<speak version="1.1" xmlns="{SSML_NAMESPACE}" xml:lang="{self.locale}">{sentences}</speak>'

    def __add__(self, other: Speech) -> Speech:
        gap = "" if self.locale == "zh-CN" else " "
        return Speech(f"{self.said}{gap}{other.said}", f"{self.shown}{gap}{other.shown}", self.locale)


def say(key: str, locale: Locale, **fillings: Filling) -> Speech:
    template = TEMPLATES[key][locale]
    said = template.format(**{name: filling.said for name, filling in fillings.items()})
    shown = template.format(**{name: filling.shown for name, filling in fillings.items()})
    return Speech(said, shown, locale)


def of_amount(money: Money, locale: Locale) -> Filling:
    return Filling(spoken.amount(money, locale), money.text)


def of_card(card: KnownCard, locale: Locale) -> Filling:
    shown = f"{_brand(card.brand, locale)}{masked(card.tail)}"
    return Filling(spoken.card(card.brand, card.tail, locale), shown)


def of_cards(cards: Sequence[KnownCard], locale: Locale) -> Filling:
    gap = "、" if locale == "zh-CN" else ", "
    each = [of_card(card, locale) for card in cards]
    return Filling(gap.join(card.said for card in each), gap.join(card.shown for card in each))


def of_state(state: OrderState, locale: Locale) -> Filling:
    return plain(spoken.STATES[locale][state])


def of_product(product: Product, locale: Locale) -> Filling:
    shown = {"zh-CN": "0号柴油", "en": "diesel"}[locale] if product is Product.DIESEL_0 else f"{product}#"
    return Filling(spoken.product(product, locale), shown)


def of_price(milliyuan: int, locale: Locale) -> Filling:
    whole, rest = divmod(milliyuan, 1_000)
    places = f"{rest // 10:02d}" if rest % 10 == 0 else f"{rest:03d}"
    return Filling(spoken.unit_price(milliyuan, locale), f"¥{whole}.{places}")


def of_distance(metres: int, locale: Locale) -> Filling:
    return Filling(spoken.distance(metres, locale), f"{metres / 1_000:.1f} km")


def of_name(name: str) -> Filling:
    return Filling(spoken.sayable(name), name)


def plain(text: str) -> Filling:
    return Filling(text, text)


def _brand(brand: CardBrand, locale: Locale) -> str:
    return f"{spoken.BRANDS[locale][brand]}卡 " if locale == "zh-CN" else f"{spoken.BRANDS[locale][brand]} card "


def _sentences(text: str) -> list[str]:
    sentences, start = [], 0
    for place, letter in enumerate(text):
        ends = letter in SENTENCE_ENDS or (letter in ".?!" and text[place + 1 : place + 2] in {"", " "})
        if ends:
            sentences.append(text[start : place + 1].strip())
            start = place + 1
    return [each for each in [*sentences, text[start:].strip()] if each]


def _speakable(text: str) -> str:
    """Leave out what XML 1.0 does not allow."""
    return "".join(
        letter
        for letter in text
        if letter in "\t\n" or " " <= letter <= "\ud7ff" or "\ue000" <= letter <= "\ufffd" or letter > "\uffff"
    )
