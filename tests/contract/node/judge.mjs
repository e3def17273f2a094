// Let the client for node take in what the mock says: created, streamed with the helper, retrieved, listed.
//
// Usage: node judge.mjs DIRECTORY < {"model", "include", "scripts": {name: reply}}, where DIRECTORY holds the client.
// OPENAI_BASE_URL, OPENAI_API_KEY and UNDERSTUDY_CONTROL say where. Prints one line per complaint, then `judged ...`.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const require = createRequire(join(process.argv[2], 'index.js'));
const OpenAI = require('openai');
const { VERSION: version } = require('openai/version');
const { model, include, scripts } = JSON.parse(readFileSync(0, 'utf8'));
const client = new OpenAI({ maxRetries: 0, timeout: 30_000 });
const asked = { model, include, input: 'hello' };

async function enqueue(reply) {
  const answer = await fetch(`${process.env.UNDERSTUDY_CONTROL}/_mock/script`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${process.env.OPENAI_API_KEY}` },
    body: JSON.stringify({ lines: [{ reply }] }),
  });
  assert.ok(answer.ok, await answer.text());
}

async function collected(pages) {
  const found = [];
  for await (const one of pages) found.push(one);
  return found;
}

// What is new in every turn: ids, the sealed content that depends on them.
function masked(output) {
  const names = new Map();
  const mask = (key, value) => {
    if (key === 'encrypted_content') return 'sealed';
    if ((key === 'id' || key === 'call_id' || key === 'container_id') && typeof value === 'string') {
      if (!names.has(value)) names.set(value, `#${names.size}`);
      return names.get(value);
    }
    // the client adds what it parsed to what was sent
    return key === 'parsed' || key === 'parsed_arguments' ? undefined : value;
  };
  return JSON.parse(JSON.stringify(output, mask));
}

async function judge(reply) {
  await enqueue(reply);
  const made = await client.responses.create(asked);
  const again = await client.responses.retrieve(made.id);
  assert.deepEqual(again.output, made.output);

  await enqueue(reply);
  const raw = await collected(await client.responses.create({ ...asked, stream: true }));
  const last = raw.at(-1).response;
  assert.deepEqual(masked(last.output), masked(made.output));

  await enqueue(reply);
  const stream = client.responses.stream(asked);
  const events = await collected(stream);
  const final = await stream.finalResponse();
  assert.equal(events.length, raw.length);
  assert.deepEqual(masked(final.output), masked(made.output));
  assert.equal(final.output_text, made.output_text);
  assert.equal(final.status, made.status);

  const replayed = client.responses.stream({ response_id: final.id });
  assert.deepEqual(masked((await replayed.finalResponse()).output), masked(made.output));

  const conversation = await client.conversations.create({ metadata: { a: 'b' } });
  await enqueue(reply);
  const inside = await client.responses.create({ ...asked, conversation: conversation.id });
  const listed = await collected(client.conversations.items.list(conversation.id, { order: 'asc', limit: 3, include }));
  assert.deepEqual(listed.slice(1).map((item) => item.id), inside.output.map((item) => item.id));
  const sent = await collected(client.responses.inputItems.list(inside.id));
  assert.equal(sent.length, 1);
  return raw.length;
}

let events = 0;
for (const [name, reply] of Object.entries(scripts)) {
  try {
    events += await judge(reply);
  } catch (error) {
    console.log(JSON.stringify({ name, what: `${error?.constructor?.name}: ${error?.message}`.slice(0, 600) }));
  }
}
console.log(`judged ${Object.keys(scripts).length} scripts, ${events} events with openai-node ${version}`);
