"""The words that are understood; no I/O. Longer phrases stand before their parts."""

from __future__ import annotations

from kernel.states import CardBrand, Product

# Traditional characters, and the numerals of banknotes and receipts.
PLAIN = dict(
    zip(
        "兩萬塊錢點單號餘額價錯對說請幫給這個還嗎沒訂閱預壹贰貳叁參肆伍陆陸柒捌玖拾佰仟億圓￥確認銷換應該為後尾張氣汽離馬過誤",
        "两万块钱点单号余额价错对说请帮给这个还吗没订阅预一二二三三四五六六七八九十百千亿元¥确认销换应该为后尾张气汽离马过误",
        strict=True,
    )
)

# What speech recognition writes for words that sound alike.
SLIPS = (
    ("不对不对", "不对"), ("没有问题", "正确"), ("没问题", "正确"), ("到账户", "到卡"), ("由卡", "油卡"),
    ("游卡", "油卡"), ("邮卡", "油卡"), ("油咔", "油卡"), ("有卡", "油卡"), ("优卡", "油卡"), ("冲值", "充值"),
    ("重值", "充值"), ("充直", "充值"), ("充植", "充值"), ("冲直", "充值"), ("虫值", "充值"), ("宠值", "充值"),
    ("由价", "油价"), ("邮价", "油价"), ("有价", "油价"), ("游价", "油价"), ("油家", "油价"), ("付近", "附近"),
    ("附进", "附近"), ("副近", "附近"), ("最进", "最近"), ("最劲", "最近"), ("偏宜", "便宜"), ("片宜", "便宜"),
    ("便移", "便宜"), ("余鹅", "余额"), ("鱼额", "余额"), ("余鄂", "余额"), ("定单", "订单"), ("钉单", "订单"),
    ("订担", "订单"), ("道账", "到账"), ("到帐", "到账"), ("到丈", "到账"), ("家油站", "加油站"),
    ("加由站", "加油站"), ("加有站", "加油站"), ("佳油站", "加油站"), ("加油战", "加油站"), ("加又站", "加油站"),
    ("取笑", "取消"), ("取削", "取消"), ("确任", "确认"), ("却认", "确认"), ("缺认", "确认"), ("确人", "确认"),
    ("中时化", "中石化"), ("中十化", "中石化"), ("中实化", "中石化"), ("中是化", "中石化"), ("中时油", "中石油"),
    ("中十油", "中石油"), ("中实油", "中石油"), ("中是油", "中石油"), ("中石有", "中石油"), ("块儿", "块"),
    ("快钱", "块钱"), ("元整", "元"), ("块整", "块"), ("元正", "元"), ("块大洋", "块"), ("重油卡", "充油卡"),
    ("冲油卡", "充油卡"), ("帮我冲", "帮我充"), ("给我冲", "给我充"), ("帮我重", "帮我充"), ("给我重", "给我充"),
    ("我要冲", "我要充"), ("卡冲", "卡充"), ("卡重", "卡充"), ("卡里冲", "卡里充"), ("先冲", "先充"),
    ("再冲", "再充"), ("想冲", "想充"), ("要冲", "要充"), ("里冲", "里充"), ("冲个", "充个"), ("冲点", "充点"),
    ("没错", "正确"), ("冲吧", "充吧"), ("冲了", "充了"), ("不冲", "不充"), ("别冲", "别充"), ("冲一", "充一"),
    ("冲两", "充两"), ("冲二", "充二"), ("冲三", "充三"), ("冲四", "充四"), ("冲五", "充五"), ("冲六", "充六"),
    ("冲七", "充七"), ("冲八", "充八"), ("冲九", "充九"), ("冲十", "充十"), ("重五", "充五"), ("重三", "充三"),
    ("重两", "充两"), ("重一", "充一"), ("重二", "充二"), ("冲1", "充1"), ("冲2", "充2"), ("冲3", "充3"),
    ("冲5", "充5"),
)  # fmt: skip

# Words with a numeral, or with a no, that count and deny nothing.
NOT_NUMBERS = (
    "一下", "一点", "一些", "一样", "一起", "一共", "一直", "一定", "一会", "一般", "一种", "第一", "唯一", "统一",
    "万一", "十分", "千万", "上一", "下一", "哪一", "看一看", "查一查", "说一说", "听一听", "一趟", "一路", "四周",
    "三石化", "能不能", "可不可以", "要不要", "是不是", "好不好", "行不行", "对不对", "有没有", "充不充", "不小心",
    "不好意思", "别克", "特别", "万达",
)  # fmt: skip

CORRECTIONS_ZH = (
    "我说错了", "说错了", "搞错了", "弄错了", "讲错了", "错了错了", "错了", "不对不对", "不对", "口误", "改成",
    "改为", "换成", "改到", "改充", "变成", "应该是", "更正", "重新说", "我是说", "我的意思是", "等一等", "等等",
    "等会", "哦不是", "啊不是", "哦不", "啊不", "噢不", "喔不", "呃不", "嗯不", "不不不", "不不",
)  # fmt: skip
CORRECTIONS_EN = (
    "no wait", "wait no", "oh wait", "wait", "sorry", "i mean", "i meant", "actually", "make it", "make that",
    "change it to", "change that to", "change to", "scratch that", "correction", "rather", "no no", "oops", "hold on",
    "no sorry",
)  # fmt: skip

FILLERS_ZH = (
    "那个什么", "那个", "就是说", "就是", "然后呢", "这样子", "怎么说呢", "你好小油", "小油小油", "你好油卡", "小油",
    "你好", "您好", "喂", "不好意思", "麻烦你", "麻烦您", "麻烦", "拜托", "劳驾", "谢谢你", "谢谢", "嗯", "呃", "唔",
    "诶", "欸", "呐",
)  # fmt: skip
FILLERS_EN = (
    "um", "uh", "uhm", "er", "erm", "hmm", "well", "you know", "please", "hey youka", "hi youka", "ok youka", "hey",
    "hi", "hello", "thanks", "thank you", "just",
)  # fmt: skip

PRODUCTS = {"89": Product.GASOLINE_89, "92": Product.GASOLINE_92, "95": Product.GASOLINE_95, "98": Product.GASOLINE_98}
# The grades of before 2017 are still in people's mouths, and sound like amounts as well.
GRADES = frozenset({"0", "89", "90", "92", "93", "95", "97", "98"})
DIESEL = ("柴油", "diesel")
BRANDS = (
    ("中国石化", CardBrand.SINOPEC), ("中石化", CardBrand.SINOPEC), ("石化", CardBrand.SINOPEC),
    ("sinopec", CardBrand.SINOPEC), ("中国石油", CardBrand.PETROCHINA), ("中石油", CardBrand.PETROCHINA),
    ("昆仑", CardBrand.PETROCHINA), ("石油卡", CardBrand.PETROCHINA), ("petrochina", CardBrand.PETROCHINA),
    ("kunlun", CardBrand.PETROCHINA),
)  # fmt: skip

# Each word stands for its intent; what is said as a whole stands in the tables of yes, no and help.
RECHARGE_ZH = (
    "充值", "充钱", "充油卡", "加油卡充", "续费", "储值", "打钱", "存钱", "交油费", "缴油费", "加钱", "充点", "充个",
    "充", "存进", "打到卡", "打进", "存到卡", "转到油卡", "转到卡",
)  # fmt: skip
FUELLING_ZH = ("块钱油", "块油", "元油", "块的油", "块钱的油", "元的油", "升油", "升的油", "加满")
CARD_ZH = ("油卡", "卡里", "卡上", "的卡", "加油卡")
ORDER_ZH = (
    "订单", "到账", "到了吗", "到了没", "到没到", "进度", "成功了吗", "成功了没", "成功没", "充好了吗", "充好了没",
    "充好没", "充上了吗", "充上没", "充上了没", "充进去了吗", "充进去没", "充完了吗", "充值状态", "充值记录",
    "充值结果", "刚才那笔", "刚才充的", "刚刚充的", "昨天充的", "那笔充值", "上·笔", "··笔", "钱到哪", "什么时候到",
    "多久到", "退款", "还没到", "怎么样了", "没到账", "退了吗", "退了没", "退回来", "到哪了", "充的钱",
    "支付成功", "付款成功", "到卡上了", "到卡里了", "最近一单", "最近·单", "上一单", "上·单", "那一单", "一笔单",
)  # fmt: skip
BALANCE_ZH = (
    "余额", "还有多少钱", "还剩多少", "剩多少", "剩下多少", "还有钱", "钱包", "有多少钱", "还有几块", "够不够",
    "钱够", "剩余金额", "还剩几", "账户里", "账上",
)  # fmt: skip
PRICE_ZH = (
    "油价", "价格", "啥价", "贵不贵", "贵吗", "什么价", "多少钱·升", "多少钱一升", "几块钱一升", "几块一升",
    "每升多少", "一升多少", "怎么卖", "单价", "涨价", "降价", "涨了吗", "降了吗", "涨了没", "跌了吗", "多少钱",
    "报价", "几块钱",
)  # fmt: skip
CHEAPEST_ZH = (
    "便宜", "最低价", "价格低", "价格最低", "价低", "低价", "低··", "价格最低", "油价最低", "最低", "实惠", "划算",
    "省钱", "性价比", "最省",
)  # fmt: skip
NEAREST_ZH = (
    "加油站", "附近", "最近的", "哪里加油", "哪里能加油", "哪儿加油", "哪儿能加油", "哪能加油", "哪里可以加油",
    "去加油", "没油了", "快没油", "油不多", "油灯亮", "要加油", "想加油", "得加油", "加个油", "找个地方加油",
    "最近哪", "离我最近", "油快用完", "油站", "加油点", "加油的地方", "油箱", "能加油吗", "快空了", "没多少油",
    "快没了",
)  # fmt: skip
YES_ZH = (
    "确认", "确定", "是的", "是", "对的", "对", "好的", "好", "可以", "行", "正确", "没问题", "同意", "充吧", "充",
    "就这样", "就这么办", "就充这么多", "ok", "yes", "付吧", "支付", "嗯", "没有问题", "要的", "要", "当然", "充值",
    "付款",
)  # fmt: skip
# These may stand beside a yes, and are none.
BESIDE_YES_ZH = (
    "嘞",
    "滴",
    "咧",
    "啦",
    "就行",
    "就好",
    "就可以",
    "我",
    "吧",
    "啊",
    "呀",
    "哈",
    "了",
    "呢",
    "的",
    "请",
    "给",
    "就",
    "帮",
    "你",
    "它",
    "那",
    "来",
    "没错",
    "金额",
    "数",
    ",",
)
# At least one of these has to be said: sounds and verbs alone confirm nothing.
CERTAIN_ZH = (
    "确认", "确定", "是的", "是", "对的", "对", "好的", "好", "可以", "行", "正确", "没问题", "没有问题", "同意",
    "充吧", "就这样", "就这么办", "ok", "yes", "付吧", "要的", "当然",
)  # fmt: skip
NO_ZH = (
    "取消", "不要了", "不用了", "不充了", "不充值", "不充", "算了", "别充", "不需要", "先不", "停止", "停", "放弃",
    "撤销", "不确认", "不可以", "不行", "不同意", "不想充", "不用充", "不要充", "不付", "别付", "不支付", "不要",
    "不用", "甭充", "不了", "不必",
)  # fmt: skip
NOT_NO_ZH = ("不要取消", "别取消", "不取消", "不想取消", "不用取消", "没取消")
HELP_ZH = (
    "能干些什么", "能做些什么", "会些什么", "能帮我什么", "能帮我做什么", "帮助", "你能干什么", "你能做什么",
    "你会什么", "你会做什么", "怎么用", "有什么功能", "能干嘛", "能干啥", "能干什么", "能做什么", "能做啥",
    "会干什么", "会啥", "教教我", "使用说明", "怎么操作", "你是谁", "求助", "可以做什么", "可以干什么", "有哪些功能",
    "说明书", "该怎么说", "可以怎么说", "要怎么说", "都会什么", "会什么",
)  # fmt: skip

RECHARGE_EN = (
    "recharge",
    "top up",
    "topup",
    "top",
    "reload",
    "refill my card",
    "load",
    "add",
    "put",
    "charge",
    "credit",
)
FUELLING_EN = (
    "worth of gas",
    "worth of fuel",
    "worth of petrol",
    "fill up",
    "fill her up",
    "fill it up",
)
CARD_EN = ("card",)
ORDER_EN = (
    "my order", "my orders", "the order", "last order", "order status", "recent orders", "arrive", "arrived",
    "go through", "gone through", "went through", "status", "last recharge", "last top up", "my recharge", "refund",
    "progress", "on my card yet",
    "on the card yet", "has the money", "is my top up", "is my recharge", "top up done", "recharge done",
    "top up complete", "come through", "came through", "did the money", "is it done",
)  # fmt: skip
BALANCE_EN = (
    "balance", "how much money", "how much do i have", "money left", "have left", "is left", "wallet",
    "how much is on", "remaining", "enough money", "funds", "how much have i got",
)  # fmt: skip
PRICE_EN = (
    "price", "prices", "how much is", "how expensive", "charge for", "going rate", "going for", "cost", "costs",
    "per litre", "per liter", "a litre", "a liter", "how much does", "how much for",
)  # fmt: skip
CHEAPEST_EN = ("cheapest", "cheap", "cheaper", "lowest", "best price", "best deal", "save money", "least expensive")
NEAREST_EN = (
    "nearest", "closest", "near me", "close by", "nearby", "nearby", "around here", "gas station", "petrol station",
    "filling station", "fuel station", "gas stations", "petrol stations", "stations", "station", "where can i fill",
    "where can i refuel", "need gas", "need fuel", "need petrol", "low on fuel", "low on gas", "out of gas",
    "out of petrol", "low on petrol", "tank is empty", "nearly empty", "almost empty", "out of fuel", "running low",
    "refuel", "get gas",
)  # fmt: skip
YES_EN = (
    "yes", "yeah", "yep", "yup", "sure", "confirm", "confirmed", "correct", "ok", "okay", "go ahead",
    "do it", "do that", "that's right", "that is right", "that's correct", "that is correct", "i confirm", "go for it",
    "sounds good", "agreed", "absolutely", "of course", "proceed",
)  # fmt: skip
BESIDE_YES_EN = ("it", "with", "and", "then", "recharge", "top", "up", "the", "card", "my", "pay", "to", "on", ",")
NO_EN = (
    "cancel", "no", "nope", "stop", "never mind", "nevermind", "forget it", "forget about it", "don't", "do not",
    "abort", "not now", "no thanks", "nah", "dont", "leave it", "drop it", "quit",
)  # fmt: skip
NOT_NO_EN = ("don't cancel", "do not cancel", "dont cancel", "don't stop", "not cancel")
HELP_EN = (
    "help", "what can you do", "how does this work", "what can i say", "how do i use", "what do you do", "able to do",
    "who are you", "instructions", "what are my options", "how do you work", "what can i ask",
)  # fmt: skip
