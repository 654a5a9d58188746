"""How bytes become text: by the declared charset, else UTF-8, else windows-1252."""

import base64
import binascii
import codecs
import io
import quopri
import re

_MAX_CHARSET = 40
_ENCODED_WORD = re.compile(r"=\?([^?\s]{1,64})\?([bBqQ])\?([^?]*+)\?=")
_CONTROLS = dict.fromkeys((*range(0x20), *range(0x7F, 0xA0), 0xFEFF), " ")
# What the web calls windows-1252: the five bytes Python leaves undefined stand for themselves.
_WHATWG_1252 = codecs.charmap_build(
    "".join(
        chr(code) if code in (0x81, 0x8D, 0x8F, 0x90, 0x9D) else bytes([code]).decode("cp1252")
        for code in range(256)
    )
)
_MULTI_BYTE = (
    "gb", "big5", "euc", "shift", "sjis", "iso2022", "hz", "utf", "cp93", "cp94", "cp95", "johab",
)  # fmt: skip
_MISTAKEN_FOR = (None, "ascii", "cp1252", "iso8859-1", "iso8859-15")
"""What UTF-8 is declared to be where it is not declared."""
_ALIASES = {
    "cp-850": "cp850",
    "iso-8859-1": "cp1252",
    "latin1": "cp1252",
    "us-ascii": "ascii",
    "ansi_x3.4-1968": "ascii",
    "x-sjis": "cp932",
    "shift_jis": "cp932",
    "x-gbk": "gb18030",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "ks_c_5601-1987": "cp949",
    "euc-kr": "cp949",
    "iso-8859-8-i": "iso-8859-8",
    "x-mac-roman": "mac_roman",
    "macintosh": "mac_roman",
    "unicode-1-1-utf-7": "utf-7",
}


def decoded(data: bytes, charset: str | None) -> str:
    """Return `data` as text; a wrong or unknown `charset` is survived."""
    codec = _codec(charset)
    if codec is not None and codec != "ascii":
        try:
            return _whole(data.decode(codec))
        except (UnicodeError, ValueError):
            pass
    try:
        return data.decode()
    except UnicodeDecodeError:
        pass
    if codec is not None and codec.replace("-", "").replace("_", "").startswith(_MULTI_BYTE):
        try:
            text = _whole(data.decode(codec, "replace"))
        except (UnicodeError, ValueError):
            return data.decode("cp1252", "replace")
        # A few damaged characters are better shown as such than as rows of wrong ones.
        if text.count("\ufffd") * 10 < len(text):
            return text
    return data.decode("cp1252", "replace")


def is_doubtful(text: str) -> bool:
    """Return whether `text` was decoded by a wrong charset, or looks so: `settled` knows."""
    return not text.isascii() and ("\ufffd" in text or unmistaken(text) != text)


def settled(text: str, data: bytes, charset: str | None) -> str:
    """Return the doubtful `text` of a body read again from its bytes and declared `charset`."""
    if "\ufffd" in text:
        text = decoded(data, charset)
    return unmistaken(text) if _codec(charset) in _MISTAKEN_FOR else text


def _codec(charset: str | None) -> str | None:
    name = (charset or "").strip("\"' \t\r\n").lower()
    name = _ALIASES.get(name, name)
    if not name or len(name) > _MAX_CHARSET or not name.isascii() or "\0" in name:
        return None
    try:
        found = codecs.lookup(name)
    except (LookupError, ValueError):
        return None
    # `hex`, `zip` and the like are codecs too, and a zip bomb is one of them.
    return (
        found.name if getattr(found, "_is_text_encoding", True) and _of_mail(found.name) else None
    )


def _of_mail(codec: str) -> bool:
    # Resolving IDNA or escapes is no charset; both are also slow on purpose-made input.
    return codec not in ("idna", "punycode", "unicode-escape", "raw-unicode-escape", "mbcs", "oem")


def _whole(text: str) -> str:
    """Return `text` with lone surrogates (UTF-7 can spell them) replaced."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def unmistaken(text: str) -> str:
    """Return `text` with UTF-8 that was read as windows-1252 (`Ã©` for `é`) put right.

    Mail that declares no charset, or the wrong one, is mostly UTF-8; what is not almost never
    passes for it.
    """
    if text.isascii():
        return text
    # What passes for UTF-8 does so from its first odd letters on, so most text is done with after
    # those. The encoder finds them several times as fast as a pattern does.
    try:
        text.encode("ascii")
    except UnicodeEncodeError as first:
        if _reread(text[first.start : first.end]) is None:
            return text
    return _reread(text) or text


def _reread(text: str) -> str | None:
    try:
        return codecs.charmap_encode(text, "strict", _WHATWG_1252)[0].decode()
    except UnicodeError:
        return None


def decoded_words(text: str) -> str:
    """Return header `text` with its encoded words (RFC 2047) decoded, broken ones too."""
    if "=?" not in text:
        return text
    out: list[str] = []
    pending: list[bytes] = []
    charset = ""
    at = 0
    for word in _ENCODED_WORD.finditer(text):
        between = text[at : word.start()]
        at = word.end()
        name = word[1].partition("*")[0].lower()
        if pending and (between.strip() or name != charset):
            out.append(decoded(b"".join(pending), charset))
            pending.clear()
            between = between if between.strip() else ""
        elif pending:
            # One character may be split over two words of the same charset.
            between = ""
        out.append(between)
        charset = name
        pending.append(_word_bytes(word[2], word[3]))
    if pending:
        out.append(decoded(b"".join(pending), charset))
    out.append(text[at:])
    return "".join(out)


def _word_bytes(kind: str, body: str) -> bytes:
    data = body.encode("utf-8", "replace")
    if kind in "qQ":
        return binascii.a2b_qp(data, header=True)
    return lenient_base64(data)


def lenient_base64(data: bytes) -> bytes:
    """Return what can be decoded of `data`, cut off or littered as it may be."""
    letters = data.translate(None, delete=_NOT_BASE64)
    whole = len(letters) - len(letters) % 4
    rest = letters[whole:]
    tail = rest + b"=" * (4 - len(rest)) if len(rest) > 1 else b""
    return base64.b64decode(letters[:whole] + tail)


_NOT_BASE64 = bytes(
    code
    for code in range(256)
    if code not in b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
)


def transfer_decoded(content: bytes, encoding: str) -> bytes:
    """Undo a Content-Transfer-Encoding as far as the bytes allow."""
    kind = encoding.strip().lower()
    if kind == "base64":
        return lenient_base64(content)
    if kind == "quoted-printable":
        return quopri.decodestring(content)
    if kind in ("x-uuencode", "uuencode", "x-uue", "uue"):
        return _uudecoded(content)
    return content


def _uudecoded(content: bytes) -> bytes:
    out: list[bytes] = []
    for line in content.splitlines():
        if line.startswith((b"begin ", b"`")) or not line:
            continue
        if line.rstrip() == b"end":
            break
        try:
            out.append(binascii.a2b_uu(line))
        except binascii.Error:
            continue
    return b"".join(out)


def clean_line(text: str, limit: int) -> str:
    """Return `text` on one line of `limit` characters, without control characters."""
    text = text[: limit * 8] if len(text) > limit * 8 else text
    if not text.isprintable():
        text = text.translate(_CONTROLS)
    return _whole(" ".join(text.split())[:limit].rstrip())


def clean_text(text: str, limit: int) -> tuple[str, bool]:
    r"""Return `text` with `\n` line ends, without NUL, in `limit` bytes, and whether it was cut."""
    was = len(text)
    text = text[: limit * 2]
    if "\r" in text:
        # Once over the text, where `replace` goes over it twice and stops at every line.
        text = io.IncrementalNewlineDecoder(None, translate=True).decode(text, final=True)
    if "\0" in text:
        text = text.replace("\0", "")
    cut = was > limit * 2
    if len(text) * _WIDEST > limit and len(data := text.encode("utf-8", "replace")) > limit:
        return data[:limit].decode("utf-8", "ignore"), True
    return text, cut


_WIDEST = 4
