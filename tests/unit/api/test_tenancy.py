"""Who is an administrator, in whatever form the claim with their roles comes."""

import base64

from tests.fakes.mail import add_mailbox


def test_roles_are_read_in_each_form(app):
    add_mailbox(app.world, "BOB", owner="bob")
    for roles, sees in [
        ("admin", True), ("[admin]", True), (["reader", "admin"], True),
        ("administrator", False), ("[not-admin]", False), ("", False), (None, False), (7, False),
        ("billing admin", False), ("[billing admin]", False), ("[]", False),
    ]:  # fmt: skip
        assert (app.ask("GET", "/v1/mailboxes/BOB", roles=roles).status == 200) == sees, roles


def test_a_list_of_roles_is_divided_as_the_token_has_it(app):
    add_mailbox(app.world, "BOB", owner="bob")

    def sees(text, payload, scheme="Bearer "):
        body = base64.urlsafe_b64encode(payload).decode().rstrip("=")
        headers = {"authorization": f"{scheme}e30.{body}.c2lnbmVk"}
        answer = app.ask("GET", "/v1/mailboxes/BOB", roles=text, headers=headers)
        return answer.status == 200

    assert sees("[reader admin]", b'{"roles": ["reader", "admin"]}')
    assert sees("[reader admin]", b'{"roles": ["reader", "admin"]}', scheme="")
    assert not sees("[billing admin]", b'{"roles": ["billing admin"]}')
    # What the authorizer did not verify says nothing.
    for other in (b'{"roles": ["admin"]}', b'{"roles": "admin"}', b'{"roles": [1]}', b"[]", b"{"):
        assert not sees("[billing admin]", other)
