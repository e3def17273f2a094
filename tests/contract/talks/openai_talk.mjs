// A talk of openai-node. Usage: node openai_talk.mjs DIRECTORY, where DIRECTORY holds the client.
//
// CITY is part of the prompts. RUN goes into everything that does not change what is asked. OPENAI_BASE_URL and
// OPENAI_API_KEY are for the client. Prints what it heard as JSON.

import { createRequire } from 'node:module';
import { join } from 'node:path';

const require = createRequire(join(process.argv[2], 'index.js'));
const OpenAI = require('openai');
const { ResponsesWS } = require('openai/resources/responses/ws');
const client = new OpenAI({ maxRetries: 0, timeout: 30_000 });
const { CITY: city, RUN: run } = process.env;
const asked = `What is the weather in ${city}?`;
const noise = { metadata: { run }, safety_identifier: run, prompt_cache_key: run };
const tools = [{
  type: 'function',
  name: 'get_weather',
  parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false },
  strict: true,
}];

async function loopWithATool() {
  const fields = { model: 'gpt-5.5', tools, ...noise };
  const first = await client.responses.create({ ...fields, input: asked });
  const call = first.output.find((item) => item.type === 'function_call');
  const output = `18 degrees in ${JSON.parse(call.arguments).city}`;
  const input = [{ type: 'function_call_output', call_id: call.call_id, output }];
  const second = await client.responses.create({ ...fields, input, previous_response_id: first.id });
  const stream = client.responses.stream({ ...fields, input: 'And tomorrow?', previous_response_id: second.id });
  const types = [];
  for await (const event of stream) types.push(event.type);
  const third = await stream.finalResponse();
  const read = await client.responses.retrieve(second.id);
  return [second.output_text, third.output_text, read.output_text, types];
}

async function talkInAConversation() {
  const talk = await client.conversations.create({ metadata: { run } });
  const fields = { model: 'gpt-4.1', conversation: talk.id, ...noise };
  const first = await client.responses.create({ ...fields, input: asked });
  const second = await client.responses.create({ ...fields, input: 'Say that again.' });
  const types = [];
  for await (const item of client.conversations.items.list(talk.id, { order: 'asc' })) types.push(item.type);
  await client.conversations.delete(talk.id);
  return [first.output_text, second.output_text, types];
}

async function speakOverASocket() {
  const socket = new ResponsesWS(client);
  const said = [];
  let parent;
  const events = socket.stream()[Symbol.asyncIterator]();
  for (const input of [`I am in ${city}.`, 'Where am I?']) {
    socket.send({ type: 'response.create', model: 'gpt-4.1', input, previous_response_id: parent, ...noise });
    for (;;) {
      const { value } = await events.next();
      if (value.type === 'error' || value.type === 'close') throw new Error(JSON.stringify(value));
      if (value.type !== 'message' || value.message.type !== 'response.completed') continue;
      parent = value.message.response.id;
      said.push(value.message.response.output.at(-1).content[0].text);
      break;
    }
  }
  socket.close();
  return said;
}

console.log(JSON.stringify([await loopWithATool(), await talkInAConversation(), await speakOverASocket()]));
