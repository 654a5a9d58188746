"""Which names a cloud's permissions are written out with, and where files may go."""

from urllib.parse import urlsplit

import pytest

from shared.providers.outlook.endpoints import MicrosoftEndpoints


@pytest.mark.parametrize(
    ("graph", "resource"),
    [
        ("https://graph.microsoft.com", "https://graph.microsoft.com"),
        ("https://graph.microsoft.us", "https://graph.microsoft.us"),
        ("https://microsoftgraph.chinacloudapi.cn", "https://microsoftgraph.chinacloudapi.cn"),
        ("https://127.0.0.1:4443", "https://graph.microsoft.com"),
    ],
)
def test_a_national_clouds_permissions_bear_its_own_name(graph, resource):
    assert MicrosoftEndpoints(graph=graph).resource == resource


def test_files_go_to_outlooks_own_hosts_and_nowhere_else():
    hosts = {urlsplit(one).hostname for one in MicrosoftEndpoints().origins[2:]}
    assert {"outlook.office.com", "outlook.office365.us"} <= hosts
    assert all(".outlook." in f".{one}" for one in hosts)
