"""Encrypted content: opaque to clients, shaped like the service's, signed so that tampering shows. Spec: W2, R1.42.

A blob carries what the mock must know when the client sends it back (the hidden reasoning tokens). It is bound to
nothing but the key, which comes from the seed: any process with the same seed reads it, for any project. A blob that a
script or a model brought along can't carry anything, so the project that handed it out keeps a record of it.
"""

# How it works. A blob is a version byte, eight bytes of time, a nonce, the payload xored with a stream that key
# and nonce make, and a MAC over all of it, in URL-safe base64: it begins with `gAAAAA` as the service's do.
#
# What must stay true:
# * It is no secret, and need not be one: it hides nothing but figures of the mock. What it must do is show
#   tampering, for clients are tested against E57.
# * The nonce comes from the item's id, so that the same run seals the same bytes.
# * Padding to at least 160 bytes keeps the length from telling how much was thought.
# * Equality of bytes counts: base64 with other trailing bits decodes to the same bytes, and is refused all the
#   same.
# * A blob of a script leaves as it was written, for it may be a recording that a client compares. So nothing can be
#   put into it, and what would be in it is a record under its hash: in the store, hence in snapshots, in other
#   processes and after a restart, and there for turns too that are not stored.
# * Those records are bounded. Each that is written gets the next number, and what is `MOST_KNOWN` numbers older goes;
#   a blob that is handed out again becomes the newest.

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b, shake_256
from hmac import compare_digest
from typing import Any, NamedTuple

import orjson

from mockserver.core.records import Change, Delete, Put, State
from mockserver.wire.responses.encoding import encode_compact

_VERSION = b"\x80"
_HEAD = 1 + 8 + 16
_MAC = 32


def _stream(key: bytes, nonce: bytes, size: int) -> bytes:
    return shake_256(key + nonce).digest(size)


def _xor(left: bytes, right: bytes) -> bytes:
    return (int.from_bytes(left) ^ int.from_bytes(right)).to_bytes(len(left))


def encrypt(payload: Any, key: bytes, nonce_seed: str, now: float, size: int = 160) -> str:
    """A blob that holds a JSON value; at least `size` bytes long so that lengths tell nothing."""
    plain = orjson.dumps(payload)
    plain += b" " * (max(size, -(-len(plain) // 16) * 16) - len(plain))
    nonce = blake2b(nonce_seed.encode(), digest_size=16).digest()
    signed = _VERSION + int(now).to_bytes(8) + nonce + _xor(plain, _stream(key, nonce, len(plain)))
    return urlsafe_b64encode(signed + blake2b(signed, key=key, digest_size=_MAC).digest()).decode()


def decrypt(blob: str, key: bytes) -> Any | None:
    """The value inside a blob, None when it was tampered with or comes from elsewhere. Spec: E57."""
    try:
        raw = urlsafe_b64decode(blob.encode("ascii"))
    except ValueError:
        return None
    if urlsafe_b64encode(raw) != blob.encode():
        return None  # another spelling of the same bytes is tampering too
    signed, mac = raw[:-_MAC], raw[-_MAC:]
    if len(signed) < _HEAD or not compare_digest(mac, blake2b(signed, key=key, digest_size=_MAC).digest()):
        return None
    return orjson.loads(_xor(signed[_HEAD:], _stream(key, signed[9:_HEAD], len(signed) - _HEAD)))


SEALED = frozenset({"reasoning", "compaction"})

# --- Blobs that the mock hands out but has not sealed -----------------------------------------------------------------

KIND = "blob"
MOST_ORIGINS = 32  # the turns of one blob that are remembered
MOST_KNOWN = 10_000  # a project that hands out more different ones forgets the oldest


def _fingerprint(blob: str) -> str:
    return blake2b(blob.encode(errors="surrogatepass"), digest_size=16).hexdigest()


def read_payload(state: State, blob: str, key: bytes) -> Any | None:
    """What is known of a blob: its inside or its record; None when this project never handed it out. Spec: R1.42."""
    payload = decrypt(blob, key)
    if payload is not None:
        return payload
    doc = state.get(KIND, _fingerprint(blob))
    return None if doc is None else orjson.loads(doc)


def remember(state: State, handed_out: Mapping[str, Any]) -> list[Change]:
    """The changes that let the project take back blobs which it has not sealed, by what is to be known of each."""
    newest = state.scan(KIND, limit=1, descending=True)
    first = newest[0].order + 1 if newest else 0
    last = first + len(handed_out) - 1
    # numbers are given without a gap, so no more can become too old than are new
    oldest = state.scan(KIND, limit=len(handed_out))
    forgotten = [Delete(KIND, record.id) for record in oldest if record.order <= last - MOST_KNOWN]
    known = [
        Put(KIND, _fingerprint(blob), encode_compact(_with_earlier_origins(state, blob, payload)), "", number)
        for number, (blob, payload) in enumerate(handed_out.items(), first)
    ]
    return [*forgotten, *known]


def _with_earlier_origins(state: State, blob: str, payload: Any) -> Any:
    """What is to be known of a blob that a script may have given to several turns: each counts. Spec: R1.46."""
    doc = state.get(KIND, _fingerprint(blob)) if "origins" in payload else None
    earlier = [] if doc is None else orjson.loads(doc).get("origins", [])
    kept = [origin for origin in earlier if origin not in payload["origins"]]
    return {**payload, "origins": [*kept, *payload["origins"]][-MOST_ORIGINS:]} if kept else payload


def remember_given(state: State, items: Iterable[Mapping[str, Any]], key: bytes) -> list[Change]:
    """The changes that let the project take back what sealed items hold that were given to it and will be listed."""
    blobs = [blob for item in items if item["type"] in SEALED and (blob := item.get("encrypted_content"))]
    foreign = {blob: {"tokens": 0} for blob in blobs if read_payload(state, blob, key) is None}
    return remember(state, foreign) if foreign else []


class DecryptedItems(NamedTuple):
    """What the sealed items of a turn hold, by blob, None for one that this mock has not handed out.

    It goes along with the items, so that nothing is unsealed twice and nothing at all in the turn that sealed it.
    """

    payloads: Mapping[str | None, Any]

    @classmethod
    def of(cls, items: Iterable[Mapping[str, Any]], state: State, key: bytes) -> DecryptedItems:
        """Open what is sealed among items."""
        blobs = {item.get("encrypted_content") for item in items if item["type"] in SEALED}
        return cls({blob: read_payload(state, blob, key) for blob in blobs if blob is not None})

    def token_counter(self, otherwise: Callable[[Mapping[str, Any]], int]) -> Callable[[Mapping[str, Any]], int]:
        """The function that says an item's hidden tokens; `otherwise` says those of items that came before."""
        if not self.payloads:
            return otherwise

        def count(item: Mapping[str, Any]) -> int:
            blob = item.get("encrypted_content")
            return count_hidden_tokens(self.payloads[blob]) if blob in self.payloads else otherwise(item)

        return count


NOTHING_OPENED = DecryptedItems({})


def count_hidden_tokens(payload: Any) -> int:
    """The hidden tokens that a blob's payload tells of, 0 when it is none of the mock's."""
    tokens: int = payload.get("tokens", 0) if isinstance(payload, dict) else 0
    return tokens
