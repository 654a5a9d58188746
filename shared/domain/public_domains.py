"""Which domains are nobody's own: public mail services, and what names of many owners end in.

By rules and a short list, without the public suffix list: it has thousands of entries that change
with the week, and what is told apart here is written once by an administrator. Not known are small
and regional mail services, suffixes of private owners (`uk.com`, `github.io`) and those of places
(`tokyo.jp`).
"""

_SERVICES = frozenset(
    {
        "126.com", "163.com", "aim.com", "ameritech.net", "att.net", "bellsouth.net", "bk.ru",
        "blu.it", "bluewin.ch", "btinternet.com", "btopenworld.com", "comcast.net",
        "compuserve.com", "cox.net", "cs.com", "currently.com", "email.com", "email.cz",
        "email.gmx", "fastmail.com", "fastmail.fm", "flash.net", "foxmail.com", "free.fr",
        "freemail.hu", "freenet.de", "giallo.it", "gmail.com", "inbox.ru", "interia.pl",
        "inwind.it", "iol.it", "laposte.net", "libero.it", "list.ru", "mac.com", "mail.com",
        "mail.gmx", "mail.ru", "me.com", "mein.gmx", "myyahoo.com", "narod.ru", "naver.com",
        "netscape.com", "netscape.net", "nvbell.net", "o2.pl", "onet.pl", "orange.fr",
        "pacbell.net", "pm.me", "post.cz", "prodigy.net", "proton.me", "qq.com", "rambler.ru",
        "rediffmail.com", "sbcglobal.net", "seznam.cz", "sfr.fr", "sina.com", "snet.net",
        "spoluzaci.cz", "swbell.net", "t-online.de", "talk21.com", "tutanota.com", "ukr.net",
        "verizon.net", "wanadoo.fr", "wans.net", "web.de", "windowslive.com", "wmconnect.com",
        "wp.pl", "ya.ru", "zoho.com", "zoho.eu", "zohomail.com", "zohomail.eu",
    }
)  # fmt: skip
_SERVICES_EVERYWHERE = frozenset(
    {
        "aol", "gmx", "googlemail", "hotmail", "icloud", "msn", "outlook", "posteo", "protonmail",
        "rocketmail", "yahoo", "yandex", "ymail",
    }
)  # fmt: skip
"""Under whatever suffix: `outlook.de`, `yahoo.co.uk`."""
_LIVE = "live"
_LIVE_IN = frozenset(
    {
        "at", "be", "ca", "cl", "cn", "co.kr", "co.uk", "co.za", "com", "com.ar", "com.au",
        "com.mx", "com.my", "com.ph", "com.pt", "com.sg", "de", "dk", "fi", "fr", "hk", "ie", "in",
        "it", "jp", "nl", "no", "ru", "se",
    }
)  # fmt: skip
"""The word is others' name too."""
_KINDS = frozenset(
    {
        "ac", "co", "com", "edu", "gob", "gouv", "gov", "gv", "ltd", "mil", "ne", "net", "nom",
        "or", "org", "plc",
    }
)  # fmt: skip
"""What countries divide their domains by."""
_COUNTRY_LETTERS = 2


def is_public_mail(domain: str) -> bool:
    """Whether a canonical domain is a public mail service's: its addresses are strangers'."""
    name, _, suffix = domain.partition(".")
    if name in _SERVICES_EVERYWHERE:
        return "." not in suffix or is_shared_suffix(suffix)
    return domain in _SERVICES or (name == _LIVE and suffix in _LIVE_IN)


def is_shared_suffix(domain: str) -> bool:
    """Whether domains of many owners end in this one: `com`, `co.uk`."""
    kind, dot, country = domain.partition(".")
    return not dot or (kind in _KINDS and len(country) == _COUNTRY_LETTERS)
