"""How a user's signature comes in and is shown."""

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from shared.api.schemas.fields import Given, Shown, as_lines, plain_text
from shared.domain.signature import MAX_HTML_CHARACTERS, MAX_TEXT_CHARACTERS, Signature


class PutSignature(Given):
    """What stands below all that the caller sends. One of the two may be left out."""

    text: Annotated[
        str,
        BeforeValidator(as_lines),
        StringConstraints(max_length=MAX_TEXT_CHARACTERS),
        AfterValidator(plain_text),
    ] = Field("", examples=["Ann Miller\nACME Ltd."])
    """Below mail in text; without it, it is made of the HTML."""
    html: Annotated[str, StringConstraints(max_length=MAX_HTML_CHARACTERS * 2)] | None = Field(
        None, examples=["<b>Ann Miller</b><br>ACME Ltd."]
    )
    """Below mail in HTML; without it, it is made of the text. Styles, scripts, forms and the like
    are taken out; pictures are links to the web."""


class SignatureShown(Shown):
    """The caller's signature as it is kept."""

    text: str
    """Empty: they have none."""
    html: str | None

    @classmethod
    def of(cls, signature: Signature | None) -> "SignatureShown":
        """Show one, or that there is none."""
        if signature is None:
            return cls(text="", html=None)
        return cls(text=signature.text, html=signature.html)
