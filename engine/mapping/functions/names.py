"""Names of people that a system keeps in a single field."""

from __future__ import annotations

from typing import Final

from engine.mapping.functions.signature import function

# The two-character family names in use; every other Chinese family name is one character.
_DOUBLE_TEXT: Final = """
欧阳 太史 端木 上官 司马 东方 独孤 南宫 万俟 闻人 夏侯 诸葛 尉迟 公羊 赫连 澹台
皇甫 宗政 濮阳 公冶 太叔 申屠 公孙 慕容 仲孙 钟离 长孙 宇文 司徒 鲜于 司空 闾丘
子车 亓官 司寇 巫马 公西 颛孙 壤驷 公良 漆雕 乐正 宰父 谷梁 拓跋 夹谷 轩辕 令狐
段干 百里 呼延 东郭 南门 羊舌 微生 公户 公玉 公仪 梁丘 公仲 公上 公门 公山 公坚
左丘 公伯 西门 公祖 第五 公乘 贯丘 公皙 南荣 东里 东宫 仲长 子书 子桑 即墨 达奚
褚师 吴铭 纳兰 歐陽 司馬 東方 獨孤 南宮 諸葛 尉遲 赫連 澹臺 濮陽 公孫 鍾離 長孫
鮮于 軒轅 呼延 東郭 西門
"""
_DOUBLE: Final = frozenset(_DOUBLE_TEXT.split())


def _chinese(text: str) -> bool:
    return bool(text) and all("\u3400" <= char <= "\u9fff" or char > "\uffff" for char in text)


def _parts(text: str) -> tuple[str | None, str | None]:
    plain = text.strip()
    joined = "".join(plain.split())
    if _chinese(joined):
        if "·" not in plain and joined == plain:
            cut = 2 if len(joined) > 2 and joined[:2] in _DOUBLE else 1
            return joined[:cut], joined[cut:] or None
        family, *given = plain.split()
        return family, "".join(given) or None
    if "," in plain:
        family, _, given_text = plain.partition(",")
        return family.strip() or None, given_text.strip() or None
    words = plain.split()
    if not words:
        return None, None
    if len(words) == 1:
        return words[0], None
    return words[-1], " ".join(words[:-1])


@function(
    examples=[
        ("family_name('欧阳修')", "欧阳"),
        ("family_name('王小明')", "王"),
        ("family_name('Smith, Anna')", "Smith"),
    ]
)
def family_name(text: str) -> str | None:
    """The family name in a name that one field holds: Chinese family names of one or two
    characters, ``Family, Given``, ``Given Family``."""
    return _parts(text)[0]


@function(
    examples=[
        ("given_name('欧阳修')", "修"),
        ("given_name('王小明')", "小明"),
        ("given_name('Anna Maria Smith')", "Anna Maria"),
    ]
)
def given_name(text: str) -> str | None:
    """What is not the family name, as `family_name` finds it."""
    return _parts(text)[1]


@function(
    examples=[
        ("is_chinese('王小明')", True),
        ("is_chinese('Wang')", False),
        ("is_chinese('王 小明')", True),
    ]
)
def is_chinese(text: str | None) -> bool:
    """Whether it is written in Chinese characters only; spaces do not matter."""
    return text is not None and _chinese("".join(text.split()))
