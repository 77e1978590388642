"""Chinese text in Latin letters."""

from __future__ import annotations

from engine.mapping.failures import FunctionError
from engine.mapping.functions.signature import function


@function(
    examples=[
        ("pinyin('王小明')", "wang xiao ming"),
        ("pinyin('重庆')", "chong qing"),
        ("pinyin('王小明', 'first')", "wxm"),
        ("pinyin('Ward 3病区')", "Ward 3 bing qu"),
    ]
)
def pinyin(text: str, style: str = "plain") -> str | None:
    """The text in pinyin without tones, a syllable a word; ``'tones'`` marks them, ``'first'``
    gives the first letters, which pharmacies and wards search by."""
    import pypinyin

    styles = {"plain": pypinyin.Style.NORMAL, "tones": pypinyin.Style.TONE,
              "first": pypinyin.Style.FIRST_LETTER}  # fmt: skip
    if style not in styles:
        raise FunctionError("a style is plain, tones or first")
    syllables = (part.strip() for part in pypinyin.lazy_pinyin(text, style=styles[style]))
    return ("" if style == "first" else " ").join(filter(None, syllables)) or None
