#!/usr/bin/env python3
"""Makes cjk.ttf from Debian's DroidSansFallback.ttf (package
fonts-droid-fallback; needs python3-fonttools): the characters in common use of
Chinese (GB 2312 level 1, Big5 level 1), Japanese (JIS X 0208 level 1, kana) and
Korean (KS X 1001), without hinting."""
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont


def rows(encoding, first, last, columns=range(0xA1, 0xFF)):
    for row in range(first, last + 1):
        for column in columns:
            try:
                yield ord(bytes([row, column]).decode(encoding))
            except (UnicodeDecodeError, TypeError):
                pass


chars = set()
chars.update(rows("gb2312", 0xB0, 0xD7))
chars.update(rows("big5", 0xA4, 0xC6, [*range(0x40, 0x7F), *range(0xA1, 0xFF)]))
chars.update(rows("euc_jp", 0xA4, 0xA5))
chars.update(rows("euc_jp", 0xB0, 0xCF))
chars.update(rows("euc_kr", 0xB0, 0xC8))

options = subset.Options(hinting=False, notdef_outline=False, name_IDs=[0, 1, 13], layout_features=[])
options.drop_tables += ["vmtx", "vhea", "GSUB", "GPOS", "GDEF"]
font = TTFont("/usr/share/fonts-droid-fallback/truetype/DroidSansFallback.ttf", recalcTimestamp=False)
subsetter = subset.Subsetter(options)
subsetter.populate(unicodes=chars)
subsetter.subset(font)
font.save(Path(__file__).with_name("cjk.ttf"))
