// The tabs Request and Response: what was sent and what was answered, and copies of it for other tools.

import { h, replaceIf } from "./dom.js";
import { asCurl, asPython, asScenarioLine, copyButton } from "./clipboard.js";
import { createJsonView } from "./json_view.js";

export function createRequestTab() {
	const json = createJsonView("Request");
	let current = {};
	const tools = h("div.tab-tools",
		copyButton("Copy as curl", () => asCurl(current.exchange, location.origin)),
		copyButton("Copy as Python", () => asPython(current.exchange)),
		copyButton("Copy as scenario line", () => asScenarioLine(current.exchange, current.response)));
	const element = h("div.tab-body", tools, json.element);
	let shown = null;
	return {
		element,
		update({ exchange, response }) {
			current = { exchange, response };
			if (exchange === shown) return;
			shown = exchange;
			const { method, path, query, headers, body, request } = exchange;
			json.show({ request: `${method} ${path}${query ? `?${query}` : ""}`, body: request ?? body, headers });
		},
	};
}

export function createResponseTab() {
	const json = createJsonView("Response");
	const note = h("div.tab-note");
	const element = h("div.tab-body", note, json.element);
	return {
		element,
		update({ exchange, response, failure, node }) {
			const value = response ?? exchange?.answer ?? (exchange?.error ? { status: exchange.status, error: exchange.error } : undefined);
			replaceIf(note, `${failure} ${exchange?.id} ${node?.state} ${exchange?.status}`, () => noteOf(exchange, response, failure, node));
			json.show(value);
		},
	};
}

function noteOf(exchange, response, failure, node) {
	const parts = [];
	if (exchange?.status) parts.push(h("span.tag", `HTTP ${exchange.status}`));
	if (node && node.state !== "live") parts.push(h("span.tag", node.state));
	if (exchange?.ended && exchange.ended !== "delivered") parts.push(h("span.tag.bad", exchange.ended));
	if (!response && !exchange?.error && !exchange?.answer) {
		parts.push(h("p", node?.store === false
			? "This turn was not stored, so its response is not kept. What its model saw is in the tab Context."
			: failure ? `${failure} Its answer is not kept.` : "The journal keeps answers of turns and errors; this one is neither."));
	}
	return parts;
}
