import itertools
import re
import time
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.mime.sanitise import sanitise
from shared.mime.shape import is_harmless

TAGS = [
    "script", "style", "iframe", "object", "embed", "svg", "math", "link", "meta", "base", "form",
    "input", "button", "video", "audio", "source", "picture", "noscript", "template", "xmp",
    "textarea", "title", "marquee", "frameset", "applet", "body", "html", "head", "select", "portal",
]  # fmt: skip
HANDLERS = [
    "onerror", "onload", "onclick", "onmouseover", "onfocus autofocus", "ontoggle", "onbegin",
    "onanimationstart", "ONERROR", "onerror\n", "/onerror", "on\x00error", "style", "formaction",
    "srcset", "background", "ping", "cite", "action", "xlink:href", "id", "class", "name", "target",
    "lowsrc", "dynsrc", "poster", "data", "srcdoc", "usemap",
]  # fmt: skip
URLS = [
    "javascript:alert(1)", "JaVaScRiPt:alert(1)", "java\tscript:alert(1)", "java\nscript:alert(1)",
    " javascript:alert(1)", "\x01javascript:alert(1)", "&#106;avascript:alert(1)",
    "&#x6A;&#x61;vascript&colon;alert(1)", "java&Tab;script:alert(1)", "java&NewLine;script:alert(1)",
    "vbscript:x", "data:text/html,<script>alert(1)</script>", "data:image/svg+xml;base64,PHN2Zz4=",
    "feed:javascript:alert(1)", "//evil.example/x", "/x", "x.png", "file:///etc/passwd", "blob:x",
    "view-source:x", "jar:x", "ms-its:x", "livescript:x", "mocha:x", "javascript\u3000:x",
]  # fmt: skip
HOLDERS = [
    "<a href='{}'>x</a>", '<a href="{}">x</a>', "<a href={}>x</a>", "<img src='{}'>",
    "<iframe src='{}'></iframe>", "<form action='{}'>", "<svg><a xlink:href='{}'>x</a></svg>",
    "<math href='{}'>x</math>", "<blockquote cite='{}'>x</blockquote>", "<td background='{}'>",
    "<area href='{}'>", "<base href='{}'>", "<link rel=stylesheet href='{}'>", "<object data='{}'>",
    "<meta http-equiv=refresh content='0;url={}'>", "<video poster='{}'>", "<img srcset='{} 2x'>",
]  # fmt: skip
TRICKS = [
    "<<script>alert(1)//<</script>", "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<svg><style><img src=x onerror=alert(1)></style></svg>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
    "<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<textarea><p title='</textarea><img src=x onerror=alert(1)>'>",
    "<title><p title='</title><img src=x onerror=alert(1)>'>",
    "<!--><img src=x onerror=alert(1)>-->", "<!--!><img src=x onerror=alert(1)>--!>",
    "<![CDATA[><img src=x onerror=alert(1)>]]>", "<?xml <img src=x onerror=alert(1)>?>",
    "<img src=`x` onerror=alert(1)>", "<img \x00src=x onerror=alert(1)>", "<a\x0bhref=javascript:x>",
    "<table><td><svg><desc><td><a href=javascript:x>", "<select><template><img src=x onerror=x>",
    "<svg></p><style><a id='</style><img src=1 onerror=alert(1)>'>",
    "<xmp><p title='</xmp><img src=x onerror=alert(1)>'>", "<plaintext><img src=x onerror=x>",
    "&lt;script&gt;alert(1)&lt;/script&gt;", "<p style='background:url(javascript:x)'>x</p>",
    "<img src='cid:x' onerror=alert(1)>", "+ADw-script+AD4-alert(1)+ADw-/script+AD4-",
]  # fmt: skip


def vectors():
    yield from TRICKS
    for holder, url in itertools.product(HOLDERS, URLS):
        yield holder.format(url)
    for tag, handler in itertools.product(TAGS, HANDLERS[:8]):
        yield f"<{tag} {handler}=alert(1) src=x>x<img src=x></{tag}>"
    for tag, handler in itertools.product(["p", "a", "img", "td", "table", "div"], HANDLERS):
        for quote in ("", "'", '"'):
            yield f"<{tag} {handler}={quote}//evil.example/x{quote}>x"


VECTORS = list(vectors())
ALLOWED = {
    "a": {"href", "rel"}, "img": {"src", "alt", "width", "height"}, "font": {"color", "face", "size"},
}  # fmt: skip
ANYWHERE = {
    "dir", "lang", "title", "align", "bgcolor", "border", "cellpadding", "cellspacing", "width",
    "height", "colspan", "rowspan", "valign", "span", "start", "type",
}  # fmt: skip
FORBIDDEN = set(TAGS) | {"area", "map", "frame", "param", "track", "dialog", "details", "option"}


class Inspector(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        if tag in FORBIDDEN:
            self.found.append(tag)
        for name, value in attrs:
            if name not in ALLOWED.get(tag, set()) | ANYWHERE:
                self.found.append(f"{tag} {name}")
            if name in ("href", "src"):
                scheme = re.sub(r"[\x00-\x20]", "", value or "").partition(":")[0].lower()
                if scheme not in ("http", "https", "mailto", "tel", "cid"):
                    self.found.append(f"{name} {value}")

    def handle_comment(self, data):
        self.found.append(f"comment {data}")

    def handle_decl(self, decl):
        self.found.append(f"declaration {decl}")

    handle_pi = handle_decl


def forbidden_in(html: str) -> list[str]:
    inspector = Inspector()
    inspector.feed(html)
    inspector.close()
    return inspector.found


def test_there_are_enough_vectors():
    assert len(VECTORS) > 1_000


@pytest.mark.parametrize("remote_images", [False, True])
def test_no_vector_gets_through_and_a_second_pass_changes_nothing(remote_images):
    for vector in VECTORS:
        clean = sanitise(vector, remote_images=remote_images).html
        assert not forbidden_in(clean), vector
        assert sanitise(clean, remote_images=remote_images).html == clean, vector


@given(st.lists(st.sampled_from(VECTORS), max_size=6), st.data())
def test_no_mix_of_vectors_gets_through(pieces, data):
    html = "".join(pieces)
    cut = data.draw(st.integers(0, len(html)))
    html = html[cut:] + html[:cut]
    clean = sanitise(html, remote_images=True).html
    assert not forbidden_in(clean)
    assert sanitise(clean, remote_images=True).html == clean


@given(st.text(alphabet="<>/\"'=& ;#!-abipsx\0\t\n:", max_size=200))
def test_any_text_becomes_harmless(html):
    clean = sanitise(html, remote_images=False).html
    assert not forbidden_in(clean)
    assert sanitise(clean, remote_images=False).html == clean


def test_ordinary_mail_stays_readable():
    html = (
        '<table width="100%"><tr><td align="left"><p>Hi <b>Ann</b>,<br>see '
        '<a href="https://a.example/x?a=1&amp;b=2">this</a></p></td></tr></table>'
    )
    clean = sanitise(html, remote_images=False).html
    assert "<b>Ann</b>" in clean
    assert 'href="https://a.example/x?a=1&amp;b=2"' in clean
    assert 'rel="noopener noreferrer nofollow"' in clean
    assert "target" not in clean


def test_remote_images_are_taken_out_and_counted():
    html = '<img src="https://t.example/p.gif"><img src="http://t.example/q"><img src="cid:logo@x" alt="l">'
    shown = sanitise(html, remote_images=False)
    assert shown.blocked_images == 2
    assert "t.example" not in shown.html
    assert 'src="cid:logo@x"' in shown.html
    allowed = sanitise(html, remote_images=True)
    assert allowed.blocked_images == 0
    assert allowed.html.count("t.example") == 2


@pytest.mark.parametrize(
    "html",
    [
        "<div>" * 600 + "x",
        "<div><!--</div>-->" * 600 + "x",
        "<div a='</div>'>" * 600 + "x",
        "<div></x>" * 600 + "x",
        "<div><script>'</div>'</script>" * 2_001 + "x",
        "<p " + " ".join(f"a{n}" for n in range(10_000)) + ">x",
        "<p " + " ".join(f"a{n}='>'" for n in range(10_000)) + ">x",
        "<p>" + "".join(f"<b a={n}>" for n in range(400)) + "x<p>" * 2_000,
        "x" * (1024 * 1024 + 1),
        "x" + "&" * (1024 * 1024 - 1),
        "x" + "\xa0" * (1024 * 1024 - 1),
        "x" + "i\xa6\u0161" * 300_000,
        "x" + "<b>&amp;</b>" * 60_000,
    ],
    ids=range(13),
)
def test_what_is_dear_to_parse_becomes_plain_text(html):
    assert not is_harmless(html)
    began = time.process_time()
    clean = sanitise(html, remote_images=False).html
    assert time.process_time() - began < 2
    assert "x" in clean
    assert "<p" not in clean
    assert "<div" not in clean
    assert len(clean) <= 1_000_000


@pytest.mark.parametrize(
    "html",
    [
        "<div><p>x</div>" * 5_000,
        "<table>" + "<tr><td>x<td>y" * 5_000 + "</table>",
        "<ul>" + "<li>x" * 5_000 + "</ul>",
        "<p>x<br>" * 5_000,
        "<style>" + "p>a{}" * 500 + "</style>" + "<p>x</p>" * 300,
        "<p a='" + "x y z " * 1_000 + "'>x</p>",
    ],
    ids=range(6),
)
def test_long_and_flat_is_harmless(html):
    assert is_harmless(html)
