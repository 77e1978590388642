"""XHTML as narrative block: what becomes what, and what a schema would refuse is looked through."""

from __future__ import annotations

import pytest
from lxml import etree

from engine.formats import FORMATS
from engine.formats.xml import XmlTree, narrative_block, narrative_html


def written(html: str) -> str:
    body = FORMATS["cda"].write(XmlTree({"text": narrative_block(html) or {}})).body.decode()
    return body.partition("\n")[2].strip().replace(' xmlns="urn:hl7-org:v3"', "")


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<div><p>a <b>b</b></p></div>",
         '<paragraph>a <content styleCode="Bold">b</content></paragraph>'),
        ("<ul> <li>x<ul><li>y</li></ul></li> </ul>",
         '<list listType="unordered"><item>x<list listType="unordered"><item>y</item></list>'
         "</item></list>"),
        ("<table><tr><td colspan='2'>1</td><td/></tr></table>",
         '<table><tbody><tr><td colspan="2">1</td><td/></tr></tbody></table>'),
        ("<p>a<br/>b<br>c</p>", "<paragraph>a<br/>b<br/>c</paragraph>"),
        ("<p>a<p>b</p></p>", "<paragraph>ab</paragraph>"),
        ("<p><table><tr><td>1</td></tr></table></p>", "<paragraph>1</paragraph>"),
        ("a<script>x()</script><img src='b'/>&lt;&nbsp;c", "a&lt;\u00a0c"),
        ("<a href='https://a.example'>x</a><a href='javascript:y'>y</a>",
         '<linkHtml href="https://a.example">x</linkHtml><linkHtml>y</linkHtml>'),
        ("<h2>Title</h2><p></p>", '<paragraph styleCode="Bold">Title</paragraph>'),
        ("<b>left <i>open", '<content styleCode="Bold">left '
         '<content styleCode="Italics">open</content></content>'),
        ("</p>x", "x"),
    ],
)  # fmt: skip
def test_becomes(html: str, expected: str) -> None:
    assert written(html) == f"<text>{expected}</text>"


def test_nothing() -> None:
    assert narrative_block("<div> \n</div>") is None


def test_depth_is_bounded() -> None:
    assert "x" in written("<ul><li>" * 500 + "x")


def test_there_and_back() -> None:
    html = "<p>a <b>b</b></p><table><tbody><tr><td>1</td><td>2</td></tr></tbody></table>"
    div = narrative_html(etree.fromstring(written(html)))
    assert div == f'<div xmlns="http://www.w3.org/1999/xhtml">{html}</div>'
