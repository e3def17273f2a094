// OpenAI's WebSocket mode under the client for node: each example says what must be true after it.
//
// Usage: node sockets.mjs DIRECTORY, where DIRECTORY holds the client. OPENAI_BASE_URL, OPENAI_API_KEY and
// UNDERSTUDY_CONTROL say where. Prints a verdict per example, then a count.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const require = createRequire(join(process.argv[2], 'index.js'));
const OpenAI = require('openai');
const { ResponsesWS } = require('openai/resources/responses/ws');
const { VERSION: version } = require('openai/version');
const client = new OpenAI({ maxRetries: 0, timeout: 30_000 });
const model = 'gpt-4.1';
const ENDS = ['response.completed', 'response.incomplete', 'response.failed', 'error'];

async function control(method, path, body) {
  const answer = await fetch(`${process.env.UNDERSTUDY_CONTROL}/_mock${path}`, {
    method,
    headers: { 'content-type': 'application/json', authorization: `Bearer ${process.env.OPENAI_API_KEY}` },
    body: body && JSON.stringify(body),
  });
  const text = await answer.text();
  assert.ok(answer.ok, text);
  return text && JSON.parse(text);
}

class Wire {
  constructor() {
    this.socket = new ResponsesWS(client);
    this.events = this.socket.stream()[Symbol.asyncIterator]();
  }

  async open() {
    for (;;) {
      const { value } = await this.events.next();
      if (value.type === 'open') return;
      assert.equal(value.type, 'connecting', JSON.stringify(value));
    }
  }

  async next() {
    for (;;) {
      const { value } = await this.events.next();
      if (value.type === 'message') return value.message;
      if (value.type === 'error' && value.error.error) return value.error.error; // the frame
      if (value.type === 'error' || value.type === 'close') throw new Error(JSON.stringify(value));
    }
  }

  async create(input, more = {}) {
    this.socket.send({ type: 'response.create', model, input, ...more });
    for (;;) {
      const event = await this.next();
      if (ENDS.includes(event.type)) return event;
    }
  }

  async turn(input, more) {
    const event = await this.create(input, more);
    assert.equal(event.type, 'response.completed', JSON.stringify(event));
    return event.response;
  }
}

const text = (response) => response.output.at(-1).content[0].text;

const examples = {
  async aStoredChain(wire, another) {
    const first = await wire.turn('one', { store: true });
    const second = await another.turn('two', { previous_response_id: first.id });
    assert.equal(text(second), 'Mock reply to: two [3 items in context]');
    const stored = await client.responses.retrieve(second.id);
    assert.deepEqual(JSON.parse(JSON.stringify(stored.output)), second.output);
  },

  async anUnstoredChain(wire, another) {
    const first = await wire.turn('one', { store: false });
    const missing = await another.create('x', { store: false, previous_response_id: first.id });
    assert.equal(missing.error.code, 'previous_response_not_found');
    const second = await wire.turn('two', { store: false, previous_response_id: first.id });
    assert.equal(text(second), 'Mock reply to: two [3 items in context]');
    assert.deepEqual((await control('GET', '/responses')).data, []);
  },

  async aToolLoop(wire) {
    const output = [{ type: 'function_call', name: 'get_weather', arguments: { city: 'Rome' } }];
    await control('POST', '/script', { lines: [{ when: { transport: 'websocket' }, reply: { output } }] });
    const warm = await wire.turn('rules', { store: false, generate: false });
    const asked = { store: false, tools: [{ type: 'function', name: 'get_weather', parameters: {}, strict: false }] };
    const first = await wire.turn('weather?', { ...asked, previous_response_id: warm.id });
    const result = { type: 'function_call_output', call_id: first.output[0].call_id, output: '18' };
    const second = await wire.turn([result], { ...asked, previous_response_id: first.id });
    assert.match(text(second), /\[4 items in context\]$/);
  },

  async lanes(wire) {
    for (const lane of ['a', 'b']) wire.socket.send({ type: 'response.create', model, input: lane, stream_id: lane });
    const ends = {};
    while (Object.keys(ends).length < 2) {
      const event = await wire.next();
      if (event.type === 'response.completed') ends[event.stream_id] = text(event.response);
    }
    assert.deepEqual(ends, {
      a: 'Mock reply to: a [1 items in context]',
      b: 'Mock reply to: b [1 items in context]',
    });
  },
};

let failures = 0;
for (const [name, example] of Object.entries(examples)) {
  await control('POST', '/reset', {});
  const wires = [new Wire(), new Wire()];
  await Promise.all(wires.map((wire) => wire.open())); // one that is closed before sends no close frame
  try {
    await example(...wires);
    console.log(`ok      ${name}`);
  } catch (error) {
    failures += 1;
    console.log(`FAILED  ${name}: ${error.stack}`);
  }
  for (const wire of wires) wire.socket.close();
}
const total = Object.keys(examples).length;
console.log(`${total - failures} of ${total} hold with openai ${version} on node ${process.version}`);
process.exitCode = failures ? 1 : 0;
