"""The access tokens of one mailbox at a simulator, renewed by the sign-in itself."""

from datetime import timedelta

from shared.domain.secret import Secret
from shared.ports.sign_in import OAuthClient, SignIn, Tokens


class RenewedTokens:
    """The port `AccessTokens`, of which nothing is stored: they are renewed as they end."""

    def __init__(self, sign_in: SignIn, client: OAuthClient, tokens: Tokens, clock) -> None:
        self._sign_in = sign_in
        self._client = client
        self._clock = clock
        self.tokens = tokens
        self.renewals = 0

    def current(self) -> Secret:
        if self._clock.now() + timedelta(minutes=5) >= self.tokens.expires_at:
            self._renew()
        return self.tokens.access_token

    def renewed(self, refused: Secret) -> Secret:
        if refused == self.tokens.access_token:
            self._renew()
        return self.tokens.access_token

    def _renew(self) -> None:
        self.renewals += 1
        now = self._clock.now()
        self.tokens = self._sign_in.renew(self._client, self.tokens.kept, now=now)
