"""Mailroom's own package: seven folders, one sentence each, and the direction imports may take.

`domain`      values and rules; standard library only.
`ports`       what operations need from the world, as Protocols.
`operations`  one module per use case; functions that take ports by keyword.
`providers`   the only code that knows a mail provider.
`mime`        the only code that reads or writes MIME and HTML.
`aws`         the only code that knows DynamoDB, S3, SQS, Secrets Manager, KMS and EventBridge.
`api`         the only code that knows HTTP.

functions -> wiring -> { api | aws | providers | mime } -> operations -> ports -> domain

`wiring_of_events`, `wiring_of_limits` and `wiring_of_sign_ins` are more of `wiring`, and stand on
it; `wiring_of_changes`, `wiring_of_delivery`, `wiring_of_push` and `wiring_of_sending` stand on
all of them.
"""
