"""Decides what Graph says of the signed-in user, and of ids in other forms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infra.simulators.microsoft.answers import refuse
from infra.simulators.microsoft.ids import MalformedIdError

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from infra.simulators.microsoft.graph_call import GraphCall

_MOST_IDS = 1000
_FORMS = ("restid", "restimmutableentryid", "ewsid", "immutableentryid", "entryid")


def get_user(graph: GraphCall) -> Response:
    """Return the user's profile."""
    user = graph.user
    first, _, last = user.name.partition(" ")
    whole: dict[str, Any] = {
        "businessPhones": [],
        "displayName": user.name,
        "givenName": first or None,
        "jobTitle": None,
        "mail": None if user.options.mailbox == "missing" else user.address,
        "mobilePhone": None,
        "officeLocation": None,
        "preferredLanguage": None,
        "surname": last or None,
        "userPrincipalName": user.address,
        "id": user.graph_id,
    }
    more = {
        "userType": "Member",
        "accountEnabled": user.options.enabled,
        "otherMails": [],
        # A personal account has none to show.
        "proxyAddresses": []
        if user.options.personal
        else [f"SMTP:{user.address}", *(f"smtp:{one}" for one in user.options.aliases)],
        "mailNickname": user.address.partition("@")[0],
    }
    select = {one.strip() for one in graph.query.get("$select", "").split(",") if one.strip()}
    for name in sorted(select - whole.keys() - more.keys()):
        refuse(
            graph.call,
            400,
            "BadRequest",
            f"Could not find a property named '{name}' on type 'microsoft.graph.user'.",
        )
    found = {k: v for k, v in {**whole, **more}.items() if k in (select or whole)}
    context = f"{graph.root}/$metadata#users"
    if select:
        context += f"({','.join(sorted(select))})"
    return graph.answer({"@odata.context": f"{context}/$entity", **found})


def translate_ids(graph: GraphCall) -> Response:
    """Return ids of messages in another form."""
    body = graph.body()
    ids, target = body.get("inputIds", []), str(body.get("targetIdType", "")).lower()
    source = str(body.get("sourceIdType", "")).lower()
    if not isinstance(ids, list) or len(ids) > _MOST_IDS:
        refuse(graph.call, 400, "ErrorInvalidRequest", f"At most {_MOST_IDS} ids at a time.")
    if target not in _FORMS[:2] or source not in _FORMS[:2]:
        refuse(
            graph.call,
            400,
            "BadRequest",
            "Only restId and restImmutableEntryId are translated by the simulator.",
        )
    value = []
    for one in ids:
        try:
            row = graph.messages.find(str(one))
        except MalformedIdError:
            row = None
        if row is None:
            # What cannot be translated has no target.
            value.append({"sourceId": one, "targetId": ""})
        elif target == "restid":
            named = graph.folders.namer.message(row["folder"], row["item"])
            value.append({"sourceId": one, "targetId": named})
        else:
            value.append({"sourceId": one, "targetId": graph.folders.namer.immutable(row["pk"])})
    context = f"{graph.root}/$metadata#Collection(microsoft.graph.convertIdResult)"
    return graph.answer({"@odata.context": context, "value": value})
