import ipaddress

import pytest

from shared.providers.addresses import is_allowed, literal_address

PUBLIC = ["8.8.8.8", "1.1.1.1", "193.99.144.80", "2a00:1450:4001:82f::200e", "2606:4700::1111"]
INNER = [
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "169.254.170.2",
    "169.254.79.129",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::8.8.8.8",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:0:a9fe:a9fe::1",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:a9fe:a9fe::",
    "2002:7f00:1::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
]
NEVER = [
    "0.0.0.0",
    "169.254.169.254",
    "169.254.170.2",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::ffff:169.254.169.254",
    "fd00:ec2::254",
    "fe80::1",
    "ff02::1",
]


@pytest.mark.parametrize("text", PUBLIC)
def test_public_addresses_are_allowed(text):
    assert is_allowed(ipaddress.ip_address(text), private=False)


@pytest.mark.parametrize("text", INNER)
def test_inner_addresses_are_refused_in_every_spelling(text):
    assert not is_allowed(ipaddress.ip_address(text), private=False)


@pytest.mark.parametrize("text", ["127.0.0.1", "10.0.0.1", "192.168.1.1", "::1", "fd12::1"])
def test_private_hosts_are_the_operators_to_allow(text):
    assert is_allowed(ipaddress.ip_address(text), private=True)


@pytest.mark.parametrize("text", NEVER)
def test_no_setting_opens_what_holds_a_clouds_credentials(text):
    assert not is_allowed(ipaddress.ip_address(text), private=True)


def test_a_mapped_public_address_is_judged_by_what_it_maps():
    assert is_allowed(ipaddress.ip_address("::ffff:8.8.8.8"), private=False)


def test_public_ranges_of_our_own_can_be_refused():
    ours = (ipaddress.ip_network("8.8.0.0/16"),)
    assert not is_allowed(ipaddress.ip_address("8.8.8.8"), private=False, refused=ours)
    assert not is_allowed(ipaddress.ip_address("8.8.8.8"), private=True, refused=ours)


@pytest.mark.parametrize(
    "host",
    [
        "0",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0X7F000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "127.0.0.01",
        "127.0.0.0x1",
        "1.2.3",
        "1.2.3.4.5",
        "256.1.1.1",
        "fe80::1%eth0",
        "::1%lo",
        "[::1]",
        "imap.example.com:993",
    ],
)
def test_numbers_that_only_a_resolver_reads_as_addresses_are_refused(host):
    with pytest.raises(ValueError, match=r"."):
        literal_address(host)


def test_the_canonical_spelling_of_an_address_is_taken():
    assert literal_address("127.0.0.1") == ipaddress.ip_address("127.0.0.1")
    assert literal_address("::1") == ipaddress.ip_address("::1")


@pytest.mark.parametrize("host", ["imap.example.com", "mail1", "1und1.de", "x.7a", "a.0x7fg"])
def test_a_name_is_no_address(host):
    assert literal_address(host) is None
