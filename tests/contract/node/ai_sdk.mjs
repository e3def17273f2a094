// The AI SDK of Vercel: each example says what its caller gets and what must be true of the server's state after it.
//
// Usage: node ai_sdk.mjs DIRECTORY, where DIRECTORY holds the packages. OPENAI_BASE_URL, OPENAI_API_KEY and
// UNDERSTUDY_CONTROL say where. Prints a verdict per example, then a count.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const directory = process.argv[2];
const require = createRequire(join(directory, 'index.js'));
const load = (name) => import(pathToFileURL(require.resolve(name)));
const { generateText, isStepCount, Output, streamText, tool } = await load('ai');
const { openai } = await load('@ai-sdk/openai');
const { z } = await load('zod');
const version = (name) => JSON.parse(readFileSync(join(directory, 'node_modules', name, 'package.json'), 'utf8')).version;

async function control(method, path, body) {
  const answer = await fetch(`${process.env.UNDERSTUDY_CONTROL}/_mock${path}`, {
    method,
    headers: { authorization: `Bearer ${process.env.OPENAI_API_KEY}` },
    body: body && JSON.stringify(body),
  });
  const text = await answer.text();
  assert.ok(answer.ok, text);
  return text && JSON.parse(text);
}

const script = (...replies) => control('POST', '/script', { lines: replies.map((reply) => ({ reply })) });
const call = (name, args) => ({ type: 'function_call', name, arguments: args });
const journal = async () => (await control('GET', '/journal?path=/v1/responses&context=full')).data;
const stored = async () => (await control('GET', '/responses')).data.length;

function said(item) {
  if (item.type === 'message') return `${item.role}: ${item.content.map((part) => part.text ?? part.refusal).join('')}`;
  return `${item.type}: ${item.name ?? item.output ?? ''}`.replace(/: $/, '');
}

const model = openai('gpt-5.5');
const called = [];
const getWeather = tool({
  description: 'Current weather of a city.',
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => {
    called.push(city);
    return `18 degrees in ${city}`;
  },
});
const looping = { model, tools: { getWeather }, stopWhen: isStepCount(4) };
const loop = [
  { reasoning: 'A look outside.', output: [call('getWeather', { city: 'Paris' })] },
  { output: [call('getWeather', { city: 'Rome' }), call('getWeather', { city: 'Oslo' })] },
  { text: 'Mild everywhere.' },
];
const CITIES = ['Paris', 'Rome', 'Oslo'];
const OUTPUTS = CITIES.map((city) => `function_call_output: 18 degrees in ${city}`);
const SEEN = [
  'user: weather?', 'reasoning', 'function_call: getWeather', OUTPUTS[0],
  'function_call: getWeather', 'function_call: getWeather', OUTPUTS[1], OUTPUTS[2],
];

async function lastContext() {
  const entries = await journal();
  assert.ok(entries.every((entry) => entry.status === 200), JSON.stringify(entries.map((entry) => entry.error)));
  return entries.at(-1).context.items.map(said);
}

const examples = {
  async 'a loop with tools'() {
    await script(...loop);
    const result = await generateText({ ...looping, prompt: 'weather?' });
    assert.equal(result.text, 'Mild everywhere.');
    assert.deepEqual(called, CITIES);
    assert.deepEqual(await lastContext(), SEEN);
    assert.equal(result.steps[0].reasoningText, 'A look outside.');
    assert.equal(await stored(), 3);
    const usages = result.steps.map((step) => step.usage.totalTokens);
    assert.equal(result.usage.totalTokens, usages.reduce((sum, tokens) => sum + tokens));
  },
  async 'a streamed loop that stores nothing'() {
    await script(...loop);
    const providerOptions = { openai: { store: false, include: ['reasoning.encrypted_content'] } };
    const result = streamText({ ...looping, prompt: 'weather?', providerOptions });
    const deltas = [];
    for await (const part of result.stream) {
      assert.notEqual(part.type, 'error', String(part.error));
      if (part.type === 'text-delta') deltas.push(part.text);
    }
    assert.equal(deltas.join(''), 'Mild everywhere.');
    assert.ok(deltas.length > 1, 'in pieces');
    assert.deepEqual(called, CITIES);
    assert.deepEqual(await lastContext(), SEEN);
    assert.equal(await stored(), 0);
  },
  async 'a chat whose history the caller sends'() {
    await script({ text: 'hello' }, { text: 'hello again' });
    const messages = [{ role: 'user', content: 'hi' }];
    const first = await generateText({ model, messages });
    messages.push(...first.responseMessages, { role: 'user', content: 'hi again' });
    assert.equal((await generateText({ model, messages })).text, 'hello again');
    assert.deepEqual(await lastContext(), ['user: hi', 'assistant: hello', 'user: hi again']);
  },
  async 'a chain'() {
    const first = await generateText({ model, prompt: 'a joke' });
    const providerOptions = { openai: { previousResponseId: first.response.id } };
    const second = await generateText({ model, prompt: 'explain', providerOptions });
    assert.equal(second.text, 'Mock reply to: explain [4 items in context]');
  },
  async 'a conversation'() {
    const id = 'conv_0123456789abcdef0123456789abcdef0123456789abcdef';
    await control('PUT', '/given', { conversations: [{ id, items: [{ role: 'user', content: 'before' }] }] });
    await script({ text: 'one' }, { text: 'two' });
    const providerOptions = { openai: { conversation: id } };
    for (const prompt of ['first', 'second']) await generateText({ model, prompt, providerOptions });
    assert.deepEqual(await lastContext(), ['user: before', 'user: first', 'assistant: one', 'user: second']);
  },
  async 'an object of a schema'() {
    const schema = z.object({ city: z.string(), degrees: z.number() });
    await script({ json: { city: 'Paris', degrees: 18 } });
    const result = await generateText({ model, prompt: 'weather?', output: Output.object({ schema }) });
    assert.deepEqual(result.output, { city: 'Paris', degrees: 18 });
    const drawn = await generateText({ model, prompt: 'weather?', output: Output.object({ schema }) });
    assert.equal(typeof drawn.output.degrees, 'number');
  },
  async 'a retry and a refusal'() {
    await script({ error: { code: 'server_is_overloaded', headers: { 'retry-after-ms': '1' } } }, { text: 'at last' });
    assert.equal((await generateText({ model, prompt: 'hi' })).text, 'at last');
    assert.deepEqual((await journal()).map((entry) => entry.status), [503, 200]);
    await assert.rejects(generateText({ model: openai('gpt-none'), prompt: 'hi' }), (error) => {
      assert.equal(error.statusCode, 400);
      assert.equal(error.message, "The requested model 'gpt-none' does not exist.");
      return true;
    });
  },
  async 'a stream that fails'() {
    await script({ text: 'one two', failed: { code: 'server_error', message: 'It broke.' } });
    const errors = [];
    const result = streamText({ model, prompt: 'hi', maxRetries: 0, onError: ({ error }) => errors.push(error) });
    const parts = [];
    for await (const part of result.stream) parts.push(part);
    assert.ok(parts.some((part) => part.type === 'error'), JSON.stringify(parts));
    assert.match(JSON.stringify(errors.map((error) => [error.message, error])), /It broke/);
  },
};

let failures = 0;
for (const [name, example] of Object.entries(examples)) {
  called.length = 0;
  await control('POST', '/reset', {});
  try {
    await example();
    console.log(`ok      ${name}`);
  } catch (error) {
    failures += 1;
    console.log(`FAILED  ${name}: ${error.stack}`);
  }
}
const total = Object.keys(examples).length;
console.log(`${total - failures} of ${total} hold with ai ${version('ai')}, @ai-sdk/openai ${version('@ai-sdk/openai')}`);
process.exitCode = failures ? 1 : 0;
