// Copying, and what is copied: an exchange as curl, as Python, as a line of a scenario.

import { h } from "./dom.js";

/** A button that copies what `make()` returns and says so. */
export function copyButton(label, make) {
	const button = h("button.quiet", { onclick: copy }, label);
	async function copy() {
		let done = "Copied";
		try {
			await navigator.clipboard.writeText(make());
		} catch {
			done = "Can't copy here";
		}
		button.textContent = done;
		setTimeout(() => {
			button.textContent = label;
		}, 1200);
	}
	return button;
}

const OF_A_CLIENT = /^(x-stainless|user-agent|accept$|accept-encoding|sec-|host|content-(length|type)|connection|transfer-encoding|authorization|upgrade)/;

/** The request as a curl command. */
export function asCurl(exchange, origin) {
	const lines = [`curl ${quote(origin + exchange.path + (exchange.query ? `?${exchange.query}` : ""))}`];
	if (exchange.method !== "POST") lines[0] = lines[0].replace("curl", `curl -X ${exchange.method}`);
	lines.push(`-H "Authorization: Bearer $OPENAI_API_KEY"`);
	for (const [name, value] of Object.entries(exchange.headers ?? {})) {
		if (!OF_A_CLIENT.test(name)) lines.push(`-H ${quote(`${name}: ${value}`)}`);
	}
	if (exchange.body) lines.push(`-H ${quote("Content-Type: application/json")}`, `-d ${quote(exchange.body)}`);
	return lines.join(" \\\n  ");
}

function quote(text) {
	return `'${String(text).replaceAll("'", "'\\''")}'`;
}

/** The request as a call of the openai package. */
export function asPython(exchange) {
	const request = exchange.request ?? {};
	const head = "from openai import OpenAI\n\nclient = OpenAI()\n";
	if (exchange.method === "POST" && /\/responses$/.test(exchange.path)) {
		return `${head}response = client.responses.create(\n${keywords(request)})\n`;
	}
	const path = exchange.path.replace(/^\/v1/, "");
	const body = exchange.request ? `, body=${python(exchange.request)}` : "";
	return `${head}answer = client.${exchange.method.toLowerCase()}(${python(path)}, cast_to=object${body})\n`;
}

function keywords(request) {
	return Object.entries(request).map(([name, value]) =>
		/^[a-z_]\w*$/i.test(name) ? `    ${name}=${python(value, "    ")},\n` : `    extra_body={${python(name)}: ${python(value)}},\n`).join("");
}

/** A value as Python writes it. */
export function python(value, indent = "") {
	if ((value ?? null) === null) return "None";
	if (typeof value === "boolean") return value ? "True" : "False";
	if (typeof value !== "object") return JSON.stringify(value);
	const inner = `${indent}    `;
	const list = Array.isArray(value);
	const parts = list ? value.map((one) => python(one, inner)) : Object.entries(value).map(([key, one]) => `${JSON.stringify(key)}: ${python(one, inner)}`);
	const [opens, closes] = list ? "[]" : "{}";
	const line = parts.join(", ");
	if (line.length < 70 && !line.includes("\n")) return `${opens}${line}${closes}`;
	return `${opens}\n${parts.map((part) => `${inner}${part},\n`).join("")}${indent}${closes}`;
}

const FILLED_IN = new Set(["id", "status", "encrypted_content", "annotations", "logprobs", "content", "summary", "phase", "role"]);

/** A line that answers the same request with the same output, as YAML; JSON is YAML too, so values stand as JSON. */
export function asScenarioLine(exchange, response) {
	const when = {};
	const text = lastUserText(exchange.request?.input);
	if (text) when.input_contains = text.slice(0, 120);
	if (exchange.request?.model) when.model = exchange.request.model;
	const lines = [`- when: ${JSON.stringify(when)}`];
	if (exchange.error) {
		const { code } = exchange.error;
		lines.push(`  reply: ${JSON.stringify({ error: { status: exchange.status, ...(code ? { code } : {}) } })}`);
	} else {
		lines.push("  reply:", "    output:");
		for (const item of response?.output ?? []) lines.push(`      - ${JSON.stringify(scripted(item))}`);
		if (!response?.output?.length) lines.splice(1, 2, '  reply: {"text": "…"}');
	}
	return `${lines.join("\n")}\n`;
}

function scripted(item) {
	if (item.type === "message") return { type: "message", text: (item.content ?? []).map((part) => part.text ?? part.refusal ?? "").join("") };
	const kept = Object.entries(item).filter(([name, value]) => value !== null && !(FILLED_IN.has(name) && (item.type !== "reasoning" || name !== "summary")));
	return Object.fromEntries(kept);
}

function lastUserText(input) {
	if (typeof input === "string") return input;
	if (!Array.isArray(input)) return null;
	const item = input.findLast((one) => one?.role === "user");
	if (!item) return null;
	return typeof item.content === "string" ? item.content : item.content?.find((part) => part?.text)?.text ?? null;
}
