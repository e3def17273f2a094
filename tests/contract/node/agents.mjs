// @openai/agents with its sessions: each example says what must be true of the server's state after it.
//
// Usage: node agents.mjs DIRECTORY http|websocket plain|streamed, where DIRECTORY holds the package.
// OPENAI_BASE_URL, OPENAI_API_KEY and UNDERSTUDY_CONTROL say where. Prints a verdict per example, then a count.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const [, , directory, transport, way] = process.argv;
const require = createRequire(join(directory, 'index.js'));
const { Agent, MemorySession, OpenAIConversationsSession, OpenAIProvider, OpenAIResponsesCompactionSession, Runner, tool } =
  require('@openai/agents');
const OpenAI = require('openai');
const { z } = require('zod');
const { version } = JSON.parse(readFileSync(join(directory, 'node_modules/@openai/agents/package.json'), 'utf8'));

const client = new OpenAI({ maxRetries: 0, timeout: 30_000 });
const over = transport === 'websocket' ? 'websocket' : way === 'streamed' ? 'sse' : 'http';

// the control API

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

const script = (...replies) =>
  control('POST', '/script', {
    lines: replies.map((one) => ({
      when: { transport: over },
      reply: typeof one === 'string' ? { text: one } : { output: one },
    })),
  });
const queued = async () => (await control('POST', '/script', { lines: [] })).queued;
const context = (id) => control('GET', `/responses/${id}/context`);
const saw = async (id) => (await context(id)).items.map(said);
const call = (name, args = {}) => ({ type: 'function_call', name, arguments: args });

function said(item) {
  if (item.type !== 'message') return `${item.type}: ${item.name ?? item.output ?? ''}`.replace(/: $/, '');
  return `${item.role}: ${item.content.map((part) => part.text ?? part.refusal).join('')}`;
}

async function listed(conversation) {
  const found = [];
  for await (const item of client.conversations.items.list(conversation, { order: 'asc' })) found.push(said(item));
  return found;
}

// agents

class World {
  constructor(runner) {
    this.runner = runner;
    this.called = [];
    this.weather = tool({
      name: 'get_weather',
      description: 'Current weather of a city.',
      parameters: z.object({ city: z.string() }),
      execute: ({ city }) => {
        this.called.push(city);
        return `18 degrees in ${city}`;
      },
    });
  }

  agent(name = 'Guide', more = {}) {
    return new Agent({ name, instructions: `You are ${name}.`, model: 'gpt-4.1', ...more });
  }

  async ask(agent, input, more = {}) {
    if (way !== 'streamed') return this.runner.run(agent, input, more);
    const result = await this.runner.run(agent, input, { ...more, stream: true });
    this.events = [];
    for await (const event of result) this.events.push(event.type);
    await result.completed;
    return result;
  }
}

const TURN = [
  'user: What is the weather in Paris?',
  'function_call: get_weather',
  'function_call_output: 18 degrees in Paris',
  'assistant: Warm.',
];

const examples = {
  async aToolOverTwoTurns(world) {
    const session = new OpenAIConversationsSession({ client });
    const guide = world.agent('Guide', { tools: [world.weather] });
    await script([call('get_weather', { city: 'Paris' })], 'Warm.', 'You asked about Paris.');
    const first = await world.ask(guide, 'What is the weather in Paris?', { session });
    assert.deepEqual([first.finalOutput, world.called], ['Warm.', ['Paris']]);
    const id = await session.getSessionId();
    assert.deepEqual(await listed(id), TURN);
    const second = await world.ask(guide, 'What did I ask?', { session });
    const seen = [...TURN, 'user: What did I ask?'];
    assert.deepEqual(await saw(second.lastResponseId), seen);
    assert.deepEqual(await listed(id), [...seen, 'assistant: You asked about Paris.']);
    assert.equal((await session.getItems()).length, 6);
    assert.equal((await session.getItems(2)).length, 2);
    if (way === 'streamed') assert.ok(world.events.includes('raw_model_stream_event'));
  },

  async aHandoff(world) {
    const session = new OpenAIConversationsSession({ client });
    const expert = world.agent('Expert', { tools: [world.weather], handoffDescription: 'Knows the weather.' });
    const triage = world.agent('Triage', { handoffs: [expert] });
    await script([call('transfer_to_Expert')], [call('get_weather', { city: 'Oslo' })], 'Cold.');
    const result = await world.ask(triage, 'Weather in Oslo?', { session });
    assert.deepEqual([result.lastAgent.name, result.finalOutput, world.called], ['Expert', 'Cold.', ['Oslo']]);
    const contexts = await Promise.all(result.rawResponses.map((one) => context(one.responseId)));
    assert.deepEqual(
      contexts.map((one) => one.instructions),
      ['You are Triage.', 'You are Expert.', 'You are Expert.'],
    );
    const kinds = (await listed(await session.getSessionId())).map((line) => line.split(':')[0]);
    const pair = ['function_call', 'function_call_output'];
    assert.deepEqual(kinds, ['user', ...pair, ...pair, 'assistant']);
  },

  async poppedItems(world) {
    const session = new OpenAIConversationsSession({ client });
    await script('One.', 'Two.', 'Three.');
    await world.ask(world.agent(), 'first', { session });
    await world.ask(world.agent(), 'second', { session });
    await session.popItem();
    await session.popItem();
    const id = await session.getSessionId();
    assert.deepEqual(await listed(id), ['user: first', 'assistant: One.']);
    const third = await world.ask(world.agent(), 'third', { session });
    assert.deepEqual(await saw(third.lastResponseId), ['user: first', 'assistant: One.', 'user: third']);
    for (let left = 4; left; left -= 1) assert.ok(await session.popItem());
    assert.equal(await session.popItem(), undefined);
    assert.deepEqual(await listed(id), []);
  },

  async aClearedSession(world) {
    const session = new OpenAIConversationsSession({ client });
    await script('One.', 'Two.');
    await world.ask(world.agent(), 'first', { session });
    const old = await session.getSessionId();
    await session.clearSession();
    await assert.rejects(client.conversations.retrieve(old), OpenAI.NotFoundError);
    const result = await world.ask(world.agent(), 'second', { session });
    assert.notEqual(await session.getSessionId(), old);
    assert.deepEqual(await saw(result.lastResponseId), ['user: second']);
  },

  async aConversationOfTheServer(world) {
    const { id } = await client.conversations.create();
    const guide = world.agent('Guide', { tools: [world.weather] });
    await script([call('get_weather', { city: 'Paris' })], 'Warm.', 'Paris.');
    await world.ask(guide, 'What is the weather in Paris?', { conversationId: id });
    const second = await world.ask(guide, 'Which one?', { conversationId: id });
    assert.deepEqual(await saw(second.lastResponseId), [...TURN, 'user: Which one?']);
    assert.deepEqual(await listed(id), [...TURN, 'user: Which one?', 'assistant: Paris.']);
    assert.equal((await control('GET', `/responses?conversation=${id}`)).data.length, 3);
  },

  async aChainOfResponses(world) {
    const guide = world.agent('Guide', { tools: [world.weather] });
    await script('Ready.', [call('get_weather', { city: 'Paris' })], 'Warm.', 'Paris.');
    const start = await world.ask(guide, 'Ready?');
    const first = await world.ask(guide, 'What is the weather in Paris?', { previousResponseId: start.lastResponseId });
    const second = await world.ask(guide, 'Which one?', { previousResponseId: first.lastResponseId });
    assert.deepEqual(await saw(second.lastResponseId), ['user: Ready?', 'assistant: Ready.', ...TURN, 'user: Which one?']);
    const ids = [start, first, second].flatMap((result) => result.rawResponses.map((one) => one.responseId));
    const parents = [];
    for (const one of ids) parents.push((await client.responses.retrieve(one)).previous_response_id);
    assert.deepEqual(parents, [null, ...ids.slice(0, -1)]);
  },

  async aTypedOutput(world) {
    const guide = world.agent('Guide', { outputType: z.object({ city: z.string(), degrees: z.number() }) });
    const result = await world.ask(guide, 'Forecast, please.');
    assert.deepEqual(Object.keys(result.finalOutput), ['city', 'degrees']);
  },

  async aSessionThatCompacts(world) {
    const session = new OpenAIResponsesCompactionSession({
      client,
      underlyingSession: new MemorySession(),
      shouldTriggerCompaction: ({ compactionCandidateItems }) => compactionCandidateItems.length >= 4,
    });
    const guide = world.agent('Guide', { tools: [world.weather] });
    await script([call('get_weather', { city: 'Paris' })], 'Warm.', 'Indeed.', 'On we go.');
    await world.ask(guide, 'What is the weather in Paris?', { session });
    await world.ask(guide, 'Sure?', { session });
    const kinds = async () => (await session.getItems()).map((item) => item.role ?? item.type);
    assert.deepEqual(await kinds(), ['user', 'user', 'compaction']);
    const result = await world.ask(guide, 'Go on.', { session });
    assert.equal(result.finalOutput, 'On we go.');
    assert.deepEqual(await kinds(), ['user', 'user', 'compaction', 'user', 'assistant']);
    const seen = await saw(result.lastResponseId);
    assert.equal(seen.at(-1), 'user: Go on.');
    assert.ok(!seen.some((line) => line.startsWith('function_call')));
  },
};

const provider = new OpenAIProvider({ openAIClient: client, useResponsesWebSocket: transport === 'websocket' });
let failures = 0;
for (const [name, example] of Object.entries(examples)) {
  await control('POST', '/reset', {});
  try {
    await example(new World(new Runner({ modelProvider: provider, tracingDisabled: true })));
    assert.equal(await queued(), 0, 'not all scripted answers were asked for');
    console.log(`ok      ${name}`);
  } catch (error) {
    failures += 1;
    console.log(`FAILED  ${name}: ${error.stack}`);
  }
}
await provider.close();
const total = Object.keys(examples).length;
console.log(`${total - failures} of ${total} hold with @openai/agents ${version} on node ${process.version}`);
process.exitCode = failures ? 1 : 0;
