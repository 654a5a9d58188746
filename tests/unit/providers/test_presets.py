import pytest

from shared.domain.mail_server import Security, ServerSettings
from shared.providers import presets, registry
from shared.providers.network import MAIL_PORTS, Network, NetworkPolicy
from shared.providers.presets import AppPassword


def test_a_known_address_gets_its_settings():
    preset = presets.preset_for("Ann@GMX.de")
    assert preset is not None
    assert preset.imap.settings_for("ann@gmx.de") == ServerSettings(
        "imap.gmx.net", 993, Security.TLS, "ann@gmx.de"
    )


def test_the_username_is_the_local_part_where_the_provider_wants_it():
    preset = presets.preset_for("ann@icloud.com")
    assert preset is not None
    assert preset.imap.settings_for("ann@icloud.com").username == "ann"
    assert preset.smtp.settings_for("ann@icloud.com").username == "ann@icloud.com"
    assert preset.smtp.security is Security.STARTTLS


def test_microsoft_takes_no_password():
    preset = presets.preset_for("ann@outlook.com")
    assert preset is not None
    assert preset.oauth_only
    assert preset.app_password is AppPassword.IMPOSSIBLE


@pytest.mark.parametrize("address", ["ann@own-domain.example", "no address", "", "@gmx.de"])
def test_an_unknown_address_has_no_preset(address):
    assert presets.preset_for(address) is None


def test_every_preset_can_be_connected_to():
    assert len(presets.presets()) == 34
    for preset in presets.presets():
        assert {preset.imap.port, preset.smtp.port} <= MAIL_PORTS
        assert preset.imap.security is not Security.NONE
        assert preset.domains
        assert preset.source.startswith("ispdb/")
        assert preset.app_password_page is None or preset.app_password_page.startswith("https://")


def test_no_domain_belongs_to_two_providers():
    domains = [domain for preset in presets.presets() for domain in preset.domains]
    assert len(domains) == len(set(domains))


def test_the_registry_names_an_adapter_for_imap():
    network = Network(NetworkPolicy())
    assert callable(registry.imap(network).open)
    assert callable(registry.server_tester(network).test_imap)


OWN = (
    "mail.example imap.mail.example:993/tls smtp.mail.example:587/starttls; "
    "gmx.de here.example:1993/tls here.example:1465/tls"
)


def test_the_operators_own_servers_are_proposed_before_those_of_the_table():
    own = presets.own_presets(OWN)
    preset = presets.preset_for("Ann@Mail.example", own)
    assert preset is not None
    assert preset.imap.settings_for("ann@mail.example") == ServerSettings(
        "imap.mail.example", 993, Security.TLS, "ann@mail.example"
    )
    assert preset.smtp.port == 587
    theirs = presets.preset_for("ann@gmx.de", own)
    assert theirs is not None
    assert theirs.imap.host == "here.example"
    assert presets.preset_for("ann@web.de", own) is not None
    assert presets.preset_for("ann@other.example", own) is None


@pytest.mark.parametrize("text", ["mail.example", "mail.example a b", "mail.example a:1/x b:2/tls"])
def test_own_servers_that_cannot_be_read_are_an_error(text):
    with pytest.raises(ValueError, match=r"."):
        presets.own_presets(text)
