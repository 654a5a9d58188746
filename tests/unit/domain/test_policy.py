"""What a tenant may write into its policy, and how it is kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.addresses import base_form
from shared.domain.contact import KnownBy, contacts_of
from shared.domain.errors import RequestError
from shared.domain.ids import ContactId
from shared.domain.policy import Automated, Folding, TenantPolicy, checked_policy
from shared.providers.presets import presets


def checked(**fields):
    rest = {
        "own_domains": [],
        "blocklist": [],
        "automated": Automated.STORE,
        "plus_tags": Folding.KEEP,
        "dots": Folding.KEEP,
    }
    return checked_policy(**{**rest, **fields})


def refused(**fields):
    with pytest.raises(RequestError) as caught:
        checked(**fields)
    return [name for name, _ in caught.value.fields]


def test_a_policy_that_says_nothing_is_that_of_a_tenant_that_chose_nothing():
    assert checked() == TenantPolicy()


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("Eve@Spam.Example", "eve@spam.example"),
        (" spam.example. ", "spam.example"),
        ("@spam.example", "spam.example"),
        ("*@spam.example", "spam.example"),
        ("*@*.spam.example", "*.spam.example"),
        ("*.ADS.example", "*.ads.example"),
        ("newsletter-*@x.example", "newsletter-*@x.example"),
        ("noreply@*", "noreply@*"),
        ("*@*.example", "*.example"),
        ("Bücher.example", "xn--bcher-kva.example"),
        ("jörg@straße.example", "jörg@xn--strae-oqa.example"),
    ],
)
def test_an_entry_is_kept_as_it_is_compared(written, kept):
    assert checked(blocklist=[written, kept]).blocklist == (kept,)


@pytest.mark.parametrize(
    "written",
    [
        "", " ", "*", "**", "*@*", "@*", "*.*", "spam", "@", "a b@x.example", "a,b@x.example",
        "eve@", "eve@.", ".example", "x..example", "a*b*c*d*e*f@x.example", "a\nb@x.example",
        "eve@" + "x" * 320 + ".example", "ü" * 200 + ".example", "<eve@x.example>",
    ],
)  # fmt: skip
def test_what_is_no_address_and_no_domain_is_refused_where_it_stands(written):
    assert refused(blocklist=["fine.example", written]) == ["blocklist.1"]


@pytest.mark.parametrize(
    "written",
    [
        "ann@ours.example", "*@ours.*", "*.com", "*.de", "ours",
        "gmail.com", "outlook.de", "*.hotmail.co.uk", "Yahoo.co.uk", "live.dk", "gmx.ch", "ya.ru",
        "yahoo.com.br", "proton.me",
        "co.uk", "*.co.uk", "com.au", "or.jp",
    ],
)  # fmt: skip
def test_an_own_domain_is_one_and_nobody_else_s(written):
    assert refused(own_domains=["ours.example", written]) == ["own_domains.1"]


def test_what_only_looks_like_everybodys_may_be_an_own_domain():
    own = (
        "ours.co.uk",
        "*.ours.co.uk",
        "live.agency",
        "outlook.ours.com",
        "co.example",
        "gmx-ag.de",
    )
    assert checked(own_domains=own).own_domains == own


SHARED_BY_PEOPLE = {
    "aol", "att", "bt", "comcast", "free_fr", "gmx_com", "gmx_net", "icloud", "laposte", "libero",
    "mail_ru", "netease_163", "orange_fr", "outlook", "posteo", "qq", "seznam", "verizon", "web_de",
    "yandex", "zoho", "zoho_eu",
}  # fmt: skip


@pytest.mark.parametrize(
    "domain",
    sorted(
        domain
        for one in presets()
        if one.id in SHARED_BY_PEOPLE
        for domain in one.domains
        if domain.count(".") == 1
    ),
)
def test_no_domain_of_the_services_that_people_share_is_anybodys_own(domain):
    assert refused(own_domains=[domain]) == ["own_domains.0"]


@pytest.mark.parametrize(
    "written",
    [
        # All of one own domain, and more.
        "ours.example", "*.example", "our*.example", "*@*.example", "**@*.example", "*.*e", "*s.*",
        # Nobody but our own people.
        "ann@ours.example", "news-*@ours.example", "*.group.example", "eu.group.example",
        "e*.group.example", "ann@eu.group.example", "*@*.group.example", "*p.example",
    ],
)  # fmt: skip
def test_an_entry_for_the_tenants_own_people_is_refused(written):
    own = ["ours.example", "*.group.example", "our-group.example"]
    assert refused(own_domains=own, blocklist=["fine.org", written]) == ["blocklist.1"]


@pytest.mark.parametrize(
    "written",
    ["*.ours.example", "noreply@*", "news-*@*.example", "*s.org", "group.example", "o*s.example.*"],
)
def test_an_entry_that_reaches_others_too_is_not(written):
    assert checked(own_domains=["ours.example", "*.group.example"], blocklist=[written])


def test_all_that_is_refused_is_named_at_once():
    fields = refused(own_domains=["gmail.com", "ours.example"], blocklist=["*", "ours.example"])
    assert fields == ["blocklist.0", "own_domains.0", "blocklist.1"]


def test_a_policy_is_bounded():
    assert refused(own_domains=[f"d{number}.example" for number in range(201)]) == ["own_domains"]
    assert refused(blocklist=[f"d{number}.example" for number in range(1_001)]) == ["blocklist"]
    long = [f"{'x' * 60}{number:03}@{'y' * 50}.example" for number in range(300)]
    assert refused(blocklist=long) == ["blocklist"]
    assert len(checked(blocklist=long[:200]).blocklist) == 200


# ---- which addresses are one ----

SOME = st.builds(
    "{}@{}".format,
    st.text("ab.+", min_size=1, max_size=5),
    st.sampled_from(["gmail.com", "googlemail.com", "x.example"]),
)
ANY = st.builds(TenantPolicy, plus_tags=st.sampled_from(Folding), dots=st.sampled_from(Folding))


@given(SOME, SOME, ANY)
def test_the_mail_of_an_address_is_looked_for_wherever_the_policy_may_have_it(
    theirs, other, policy
):
    exact, bases = policy.found_under([theirs])
    # As it is indexed: by itself, and below its base form where that is another.
    is_found = other in exact or (base_form(other) in bases and base_form(other) != other)
    if policy.is_same(theirs, other):
        assert is_found
    if not policy.folds:
        assert is_found is (theirs == other)
        assert bases == ()


@given(st.lists(SOME, max_size=4), SOME, ANY)
def test_who_has_an_address_is_who_has_one_that_the_policy_takes_for_it(addresses, asked, policy):
    known = [KnownBy(ContactId(str(number)), one) for number, one in enumerate(addresses)]
    found = contacts_of(known, asked, policy)
    assert found == [
        str(number)
        for number, one in enumerate(addresses)
        if policy.address(one) == policy.address(asked)
    ]
