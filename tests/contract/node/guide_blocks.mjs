// The code blocks of OpenAI's guide on conversation state, with its calls and values: nothing tells them of a mock.
//
// Usage: node guide_blocks.mjs DIRECTORY, where DIRECTORY holds the client. OPENAI_BASE_URL and OPENAI_API_KEY say
// where. It prints what the guide prints. `../guide_blocks.py` is the same in Python.

import { createRequire } from 'node:module';
import { join } from 'node:path';

const OpenAI = createRequire(join(process.argv[2], 'index.js'))('openai');

async function sendAPastConversation() {
  const openai = new OpenAI();
  const response = await openai.responses.create({
    model: 'gpt-4o-mini',
    input: [
      { role: 'user', content: 'knock knock.' },
      { role: 'assistant', content: "Who's there?" },
      { role: 'user', content: 'Orange.' },
    ],
  });
  console.log(response.output_text);
}

async function keepTheHistory() {
  const openai = new OpenAI();
  let history = [{ role: 'user', content: 'tell me a joke' }];
  const response = await openai.responses.create({ model: 'gpt-4o-mini', input: history, store: false });
  console.log(response.output_text);
  history = [
    ...history,
    ...response.output.map((el) => {
      delete el.id;
      return el;
    }),
  ];
  history.push({ role: 'user', content: 'tell me another' });
  const secondResponse = await openai.responses.create({ model: 'gpt-4o-mini', input: history, store: false });
  console.log(secondResponse.output_text);
}

async function createAConversation() {
  const openai = new OpenAI();
  const conversation = await openai.conversations.create();
  console.log(conversation.id);
}

async function continueAConversation() {
  const openai = new OpenAI();
  const response = await openai.responses.create({
    model: 'gpt-4.1',
    input: [{ role: 'user', content: 'What are the 5 Ds of dodgeball?' }],
    conversation: 'conv_689667905b048191b4740501625afd940c7533ace33a2dab',
  });
  console.log(response.output_text);
}

async function chainResponses() {
  const openai = new OpenAI();
  const response = await openai.responses.create({ model: 'gpt-4o-mini', input: 'tell me a joke' });
  console.log(response.output_text);
  const secondResponse = await openai.responses.create({
    model: 'gpt-4o-mini',
    previous_response_id: response.id,
    input: [{ role: 'user', content: 'explain why this is funny.' }],
  });
  console.log(secondResponse.output_text);
}

await sendAPastConversation();
await keepTheHistory();
await createAConversation();
await continueAConversation();
await chainResponses();
