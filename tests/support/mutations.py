"""Small mistakes that somebody could make in the mock: a text to find in a source file, and what stands there then.

`tests/mutants.py` makes them one at a time and asks the conformance kit whether it notices.
"""

from __future__ import annotations

from typing import NamedTuple


class Mutation(NamedTuple):
    """A mistake: its name, the file below `mockserver/`, the text that stands there exactly once, what replaces it."""

    name: str
    file: str
    old: str
    new: str


_INHERIT = """    continues = not CONTINUING.isdisjoint(request)
    lineage = resolve_lineage(state, request, rules, now, templated=templated) if continues else FRESH
    if lineage.head and {name!r} not in request and state.get("response", lineage.head):
        import orjson
        request = {{**request, {name!r}: orjson.loads(state.get("response", lineage.head) or b"")[{name!r}]}}
    if not request.get("input") and lineage.fresh and not templated and request.get("generate") is not False:
        raise errors.input_missing()
    model = served_model(request, rules, now)
    if"""
_ADMITTING = """    continues = not CONTINUING.isdisjoint(request)
    lineage = resolve_lineage(state, request, rules, now, templated=templated) if continues else FRESH
    if not request.get("input") and lineage.fresh and not templated and request.get("generate") is not False:
        raise errors.input_missing()
    model = served_model(request, rules, now)
    if"""

_LIFETIMES = (
    Mutation(
        "responses live a second too long",
        "core/lineage.py",
        "left = born + rules.response_ttl_days * DAY - now",
        "left = born + rules.response_ttl_days * DAY + 1 - now",
    ),
    Mutation(
        "responses live a second too short",
        "core/lineage.py",
        "left = born + rules.response_ttl_days * DAY - now",
        "left = born + rules.response_ttl_days * DAY - 1 - now",
    ),
    Mutation(
        "a response is still there at exactly 30 days",
        "core/lineage.py",
        'return left < 0 or rules.expiry_boundary == "inclusive"',
        "return left < 0",
    ),
    Mutation(
        "responses never expire",
        "core/lineage.py",
        "    if not has_lived(created_at, rules, now):\n        return False",
        "    if True:\n        return False",
    ),
    Mutation(
        "items of a conversation expire with the response that made them",
        "core/item_resolution.py",
        "if node.conversation is not None and (",
        "if False and (",
    ),
    Mutation(
        "store: false responses are kept",
        "engine/pipeline.py",
        "state, turn.node, body if turn.stored else None, at.ordinal",
        "state, turn.node, body, at.ordinal",
    ),
    Mutation(
        "nothing is stored unless asked for",
        "core/admission.py",
        'stored = request.get("store", True)',
        'stored = request.get("store", False)',
    ),
    Mutation(
        "DELETE leaves the response",
        "core/lifecycle.py",
        '[Delete("response", id), node._replace(deleted=True).put()]',
        "[node.put()]",
    ),
)

_CHAINS = (
    Mutation(
        "a parent together with a conversation is let pass",
        "core/lineage.py",
        "if parent_id is not None and conversation is not None:",
        "if False:",
    ),
    Mutation(
        "a deleted parent can be continued",
        "core/lineage.py",
        "if node is None or node.deleted or node.status not in rules.chain_onto:",
        "if node is None or node.status not in rules.chain_onto:",
    ),
    Mutation(
        "a failed parent can be continued",
        "core/lineage.py",
        "if node is None or node.deleted or node.status not in rules.chain_onto:",
        "if node is None or node.deleted:",
    ),
    Mutation(
        "an incomplete parent can't be continued",
        "core/lineage.py",
        "if node is None or node.deleted or node.status not in rules.chain_onto:",
        'if node is None or node.deleted or node.status != "completed":',
    ),
    Mutation(
        "a deleted ancestor breaks the chain",
        "core/lineage.py",
        'if rules.deleted_ancestor == "break" and is_broken(',
        "if is_broken(",
    ),
    Mutation(
        "a chain skips its parent's turn",
        "core/lineage.py",
        "return _new(Lineage, (node.id, node.summary, node.partition, None))",
        "return Lineage(node.parent, node.summary, node.partition)",
    ),
    Mutation(
        "a chain forgets its context",
        "core/lineage.py",
        "return _new(Lineage, (node.id, node.summary, node.partition, None))",
        "return Lineage(None, Summary(), node.partition)",
    ),
    Mutation(
        "chaining onto a conversation's response writes to the conversation",
        "core/lineage.py",
        "return _new(Lineage, (node.id, node.summary, node.partition, None))",
        "return Lineage(node.id, node.summary, node.partition,"
        " read_conversation_end(state, node.conversation) if node.conversation else None)",
    ),
    Mutation(
        "siblings leak into each other",
        "core/lifecycle.py",
        "changes += [node.put(), *shared_item_pointers(state, node, again)]",
        "changes += [node.put(), *shared_item_pointers(state, node, again)]\n"
        "        if node.parent and node.parent.startswith('resp_'):\n"
        "            changes.append(node._replace(id=node.parent, parent=None).put())",
    ),
    Mutation("instructions are inherited", "core/admission.py", _ADMITTING, _INHERIT.format(name="instructions")),
    Mutation("tools are inherited", "core/admission.py", _ADMITTING, _INHERIT.format(name="tools")),
    Mutation("metadata is inherited", "core/admission.py", _ADMITTING, _INHERIT.format(name="metadata")),
    Mutation(
        "each response of a chain has a partition of its own",
        "core/admission.py",
        "id_generator.in_partition(partition, stored=persisted)",
        "id_generator.in_partition(None, stored=persisted)",
    ),
    Mutation(
        "unstored ids don't say so",
        "core/admission.py",
        "id_generator.in_partition(partition, stored=persisted)",
        "id_generator.in_partition(partition)",
    ),
)

_ITEMS = (
    Mutation("calls may stay unanswered", "core/tool_pairing.py", "    if left:\n", "    if False:\n"),
    Mutation(
        "outputs need no call",
        "core/tool_pairing.py",
        'if (call_id(stray), stray["type"]) not in answered]',
        "if False]",
    ),
    Mutation(
        "an item may come twice in one input",
        "core/item_resolution.py",
        "        if id in seen:\n",
        "        if False:\n",
    ),
    Mutation(
        "an item may come again behind a chain that holds it",
        "core/item_resolution.py",
        "    if head is not None:\n        seen.update(",
        "    if False:\n        seen.update(",
    ),
    Mutation(
        "tool outputs are held for duplicates",
        "core/item_resolution.py",
        'if item.get("id") and item["type"] not in OUTPUTS]',
        'if item.get("id")]',
    ),
    Mutation(
        "unknown and unstored items are confused",
        "core/item_resolution.py",
        'errors.item_not_stored if request.get("store") is False else',
        'errors.item_not_stored if request.get("store") is not False else',
    ),
    Mutation(
        "outputs stand before the input that they answer",
        "core/turn.py",
        "        [*own, *items],\n",
        "        [*items, *own],\n",
    ),
    Mutation(
        "sealed content is not verified",
        "core/encrypted_content.py",
        "or not compare_digest(mac, blake2b(signed, key=key, digest_size=_MAC).digest())",
        "",
    ),
    Mutation(
        "a blob of a script is foreign in the next turn",
        "engine/pipeline.py",
        "        if turn.handed_out:\n",
        "        if False:\n",
    ),
    Mutation(
        "reasoning is read again after any history",
        "core/reasoning_origin.py",
        "if (origin.prefix, origin.settings) != (now.prefix, now.settings):",
        "if False:",
    ),
    Mutation(
        "stored responses get sealed reasoning only when it is included",
        "core/turn.py",
        '_SEALED_UNASKED = frozenset({("always", True), ',
        "_SEALED_UNASKED = frozenset({",
    ),
    Mutation(
        "reasoning of earlier turns is billed to models that don't read it",
        "wire/tokens/context.py",
        """(tally.reasoning_before if reasoning_read(request, model) == "all_turns" else 0)""",
        "tally.reasoning_before",
    ),
)

_CONVERSATIONS = (
    Mutation(
        "unknown conversations are created on the fly",
        "core/lineage.py",
        "    if conversation is None:\n        raise errors.conversation_not_found(id)\n    head",
        "    if conversation is None:\n        return Lineage()\n    head",
    ),
    Mutation(
        "a running turn locks nothing",
        "core/admission.py",
        "if lineage.conversation is not None and lineage.conversation.running is not None:",
        "if False:",
    ),
    Mutation(
        "the lock is never released",
        "core/lifecycle.py",
        "conversation = conversation._replace(running=None)",
        "conversation = conversation._replace(running=node.id)",
    ),
    Mutation(
        "a turn's items are appended when it begins",
        "core/lifecycle.py",
        "return [running.put(), conversation._replace(running=turn.id).put()]",
        "return [running.put(), turn.node.put(), *append(state, conversation._replace(running=turn.id), turn.node)]",
    ),
    Mutation(
        "failed turns write to their conversation",
        "core/lifecycle.py",
        "node.status in rules.conversation_write_on",
        "True",
    ),
    Mutation(
        "incomplete turns write nothing",
        "core/lifecycle.py",
        "node.status in rules.conversation_write_on",
        'node.status == "completed"',
    ),
    Mutation(
        "store: false turns write nothing",
        "core/lifecycle.py",
        'if rules.store_false_conversation == "read_only" and (body is None',
        "if (body is None",
    ),
    Mutation(
        "deleting a conversation deletes its items",
        "core/conversations.py",
        'return resources.deletion_marker(id, "conversation.deleted"), [Delete("conversation", id)]',
        'gone = [Delete("item", one.id.partition("/")[2]) for one in state.scan("entry", id)]\n'
        '    return resources.deletion_marker(id, "conversation.deleted"), [Delete("conversation", id), *gone]',
    ),
    Mutation(
        "a deleted conversation is still there",
        "core/conversations.py",
        '[Delete("conversation", id)]',
        "[]",
    ),
    Mutation(
        "metadata is merged",
        "core/conversations.py",
        'if rules.metadata_update == "merge" else {}',
        "",
    ),
    Mutation(
        "a deleted item is still in the context",
        "core/conversations.py",
        "conversation._replace(head=head).put()]",
        "conversation.put()]",
    ),
    Mutation(
        "deleting an item changes what responses saw",
        "core/conversations.py",
        'id = f"{node.id}-{item_id}"',
        "id = node.id",
    ),
    Mutation(
        "an id may stand twice in a conversation",
        "core/conversations.py",
        'if item["id"] in seen or read_entry(state, conversation.id, item["id"]) is not None:',
        "if False:",
    ),
    Mutation(
        "items are listed in the wrong order",
        "core/state.py",
        '{number}]".encode(), conversation_id, number))',
        '{to - number}]".encode(), conversation_id, to - number))\n        for to in [2 * first + len(item_ids) - 1]',
    ),
    Mutation(
        "21 items are taken at once",
        "wire/requests/bodies.py",
        "item_list(longest=20,",
        "item_list(longest=21,",
    ),
)

_LISTS = (
    Mutation(
        "input_items: the cursor is off by one",
        "core/pagination.py",
        "_position(items, query.after) + 1",
        "_position(items, query.after)",
    ),
    Mutation(
        "conversation items: the cursor is off by one",
        "core/pagination.py",
        "after = _order(state, id, query.after) if query.after is not None else None",
        "after = _order(state, id, query.after) - 1 if query.after is not None else None",
    ),
    Mutation(
        "has_more on a full last page",
        "core/pagination.py",
        "more = len(records) > query.limit",
        "more = len(records) >= query.limit",
    ),
    Mutation(
        "input_items: no more pages",
        "core/pagination.py",
        "has_more=len(chosen) > query.limit)",
        "has_more=False)",
    ),
    Mutation(
        "lists are oldest first",
        "wire/requests/query.py",
        'default_order: Literal["asc", "desc"] = "desc"',
        'default_order: Literal["asc", "desc"] = "asc"',
    ),
    Mutation(
        "input_items: order is ignored",
        "core/pagination.py",
        'if query.order == "desc":\n        items',
        "if True:\n        items",
    ),
    Mutation("pages hold ten items", "wire/requests/query.py", "default: int = 20", "default: int = 10"),
    Mutation(
        "input_items lists own input only",
        "core/pagination.py",
        '"resolved": items_up_to,',
        '"resolved": lambda state, parent: [],',
    ),
)

_BACKGROUND = (
    Mutation(
        "a replay begins one event early",
        "core/retrieval.py",
        "max(query.starting_after + 1, 0)",
        "max(query.starting_after, 0)",
    ),
    Mutation(
        "a resumed stream repeats its last event",
        "core/background.py",
        'event["sequence_number"] > number',
        'event["sequence_number"] >= number',
    ),
    Mutation(
        "a queued response shows its output",
        "core/background.py",
        "return {**response_object.in_progress_view(final, cues), ",
        "return {**final, ",
    ),
    Mutation(
        "cancelling twice is refused",
        "core/transitions.py",
        '    TransitionKey(BACKGROUND, CANCELLED, "cancel"): (CANCELLED,),\n',
        "",
    ),
    Mutation(
        "cancelling a completed response is let pass",
        "core/transitions.py",
        '**{TransitionKey(BACKGROUND, status, "cancel"): _already_over for status in RUN}',
        "**{}",
    ),
    Mutation(
        "a cancelled response keeps its output",
        "core/background.py",
        'if rules.cancelled_output == "kept" else []',
        "",
    ),
    Mutation(
        "synchronous responses are refused as if they were over",
        "core/transitions.py",
        '**{TransitionKey(FOREGROUND, status, "cancel"): _synchronous for status in ENDED}',
        '**{TransitionKey(FOREGROUND, status, "cancel"): _already_over for status in ENDED}',
    ),
    Mutation(
        "a response in flight can be deleted",
        "core/lifecycle.py",
        '        transition(MODES[running.background], IN_PROGRESS, "delete", id=id)\n',
        "        pass\n",
    ),
    Mutation(
        "what the background does not store stays",
        "core/lifecycle.py",
        'orjson.loads(body).get("store") is False:',
        'orjson.loads(body).get("store") is None:',
    ),
    Mutation(
        "what the background does not store can be continued",
        "core/lineage.py",
        "if is_fleeting(state, id):",
        "if False:",
    ),
    Mutation("turns end a second early", "core/lifecycle.py", "if one.ends_at <= now)", "if one.ends_at <= now + 1)"),
    Mutation("turns end a second late", "core/lifecycle.py", "if one.ends_at <= now)", "if one.ends_at <= now - 1)"),
    Mutation(
        "a response that was not created with a stream can be streamed",
        "core/background.py",
        "if not decode_node(running.node).streamed:",
        "if False:",
    ),
)

_TURNS = (
    Mutation("max_output_tokens is ignored", "model/output_limit.py", "    if length <= most:\n", "    if True:\n"),
    Mutation(
        "a message that was cut says completed",
        "model/output_limit.py",
        '    message = {**item, "status": "incomplete", "content": []}\n',
        '    message = {**item, "status": "completed", "content": []}\n',
    ),
    Mutation(
        "completed_at is missing",
        "core/turn.py",
        '    if outcome.status == "completed":\n',
        "    if False:\n",
    ),
    Mutation(
        "the total is not the sum",
        "core/turn.py",
        'counted["total_tokens"] = counted["input_tokens"] + counted["output_tokens"]',
        'counted["total_tokens"] = counted["input_tokens"]',
    ),
    Mutation(
        "one token too many is billed",
        "wire/tokens/context.py",
        "total = PRIMING[model.family] + tally.total + _reasoning_tokens(request, tally, model)",
        "total = PRIMING[model.family] + 1 + tally.total + _reasoning_tokens(request, tally, model)",
    ),
    Mutation(
        "input_tokens counts otherwise than a create",
        "core/admission.py",
        "    if tokens <= model.max_input_tokens:\n        return tokens\n",
        "    if tokens <= model.max_input_tokens:\n        return tokens + 1\n",
    ),
    Mutation(
        "instructions cost nothing",
        "wire/tokens/context.py",
        "    return count(_as_text(instructions)) + MESSAGE if instructions else 0",
        "    return 0",
    ),
    Mutation(
        "cached tokens are not rounded to blocks",
        "core/prompt_cache.py",
        "cached = min(matched, tokens) // BLOCK * BLOCK",
        "cached = min(matched, tokens)",
    ),
    Mutation(
        "instructions are always part of the cached prefix",
        "core/prompt_head.py",
        'None if model.instructions_last else request.get("instructions")',
        'request.get("instructions")',
    ),
    Mutation(
        "an exact cache entry ends a token late",
        "core/prompt_cache.py",
        "lengths[len(places) - 1] = prompt.content_end\n",
        "lengths[len(places) - 1] = prompt.content_end + 1\n",
    ),
    Mutation("the prompt cache lives for an hour", "core/prompt_cache.py", '"30m": (1800.0,', '"30m": (3600.0,'),
    Mutation("shorter prompts are cached too", "core/prompt_cache.py", "MIN_TOKENS = 1024 ", "MIN_TOKENS = 512 "),
    Mutation(
        "the window is twice as large",
        "core/admission.py",
        "    if tokens > model.max_input_tokens:\n        return check_window",
        "    if tokens > 2 * model.max_input_tokens:\n        return check_window",
    ),
    Mutation(
        "truncation drops the newest items",
        "core/truncation.py",
        "    return units\n\n\ndef _from_middle",
        "    return units[::-1]\n\n\ndef _from_middle",
    ),
    Mutation(
        "truncation happens unasked",
        "core/admission.py",
        'if request.get("truncation") != "auto":',
        'if request.get("truncation") == "disabled":',
    ),
    Mutation(
        "an overflow in a stream is a plain error",
        "core/admission.py",
        '    if request.get("stream"):\n        return admission._replace(overflow=True)',
        "    if False:\n        return admission._replace(overflow=True)",
    ),
)

_COMPACTION = (
    Mutation(
        "an input as long as the threshold compacts",
        "core/compaction.py",
        "if input_tokens > (",
        "if input_tokens >= (",
    ),
    Mutation(
        "what stands before a compaction item is billed",
        "wire/tokens/context.py",
        "self.total = self.hidden(item) + COMPACTION",
        "self.total += self.hidden(item) + COMPACTION",
    ),
    Mutation(
        "what stands before a compaction item is read",
        "core/compaction.py",
        '        if item["type"] == "compaction":\n            return\n',
        "",
    ),
    Mutation(
        "the compaction pass is free",
        "core/turn.py",
        "output += reply.summary_tokens * _passes(reply)",
        "output += 0 * _passes(reply)",
    ),
    Mutation(
        "a trigger asks the model as well",
        "engine/pipeline.py",
        'elif compacts == "trigger":',
        "elif False:",
    ),
    Mutation(
        "a trigger is ignored",
        "core/admission.py",
        'compacts = "trigger" if own.triggered else',
        'compacts = "" if own.triggered else',
    ),
    Mutation(
        "a compacted window keeps assistant messages",
        "core/compaction.py",
        'if one.get("role") == "user"]',
        'if one.get("role")]',
    ),
    Mutation("the compact call costs no frame", "wire/tokens/context.py", " + COMPACT_CALL", ""),
    Mutation(
        "a compaction says that it was stored",
        "core/admission.py",
        "id_generator.in_partition(partition, stored=False)",
        "id_generator.in_partition(partition)",
    ),
)

MUTATIONS = (
    *_LIFETIMES,
    *_CHAINS,
    *_ITEMS,
    *_CONVERSATIONS,
    *_LISTS,
    *_BACKGROUND,
    *_TURNS,
    *_COMPACTION,
)
