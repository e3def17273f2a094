"""Recorded exchanges: their file, their secrets, what they mean, and which of them answers a request. No IO but files.

`interaction` is the value, `document` its YAML, `file` reading and appending, `foreign` the formats of others (`vcr`,
`har`), `redaction` what is hidden before anything is written, `canonical` and `ledger` the context that each request
has, `matching` keys, sessions and misses. The modes are outside: `recorder`, `replayer` and `playback` in `proxy`.

May import `mockserver`, never the apps of `proxy`. Start reading at `interaction.py`, then `ledger.py`.
"""
