// The detail of what is selected: tabs, each drawn from what was read for it.

import { h, replace, replaceIf } from "./dom.js";
import { copyButton } from "./clipboard.js";
import { isHeld, otherOf, responseKey } from "./details.js";
import { dateTime, number } from "./format.js";
import { createContextTab } from "./tab_context.js";
import { createDiffTab } from "./tab_diff.js";
import { createEventsTab } from "./tab_events.js";
import { createRequestTab, createResponseTab } from "./tab_exchange.js";
import { createWhyTab } from "./tab_why.js";

export const TABS = [
	["context", "Context"], ["request", "Request"], ["response", "Response"], ["events", "Events"], ["why", "Why"], ["diff", "Diff"],
];

export function createDetailView(store, actions) {
	const head = h("div.detail-head");
	const buttons = TABS.map(([name, label], at) => h("button", {
		role: "tab", id: `tab-${name}`, "aria-controls": "tab-panel", title: `${label} (${at + 1})`, onclick: () => actions.openTab(name),
		onkeydown: (event) => {
			const move = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
			if (!move) return;
			const next = TABS[(at + move + TABS.length) % TABS.length][0];
			actions.openTab(next);
			document.getElementById(`tab-${next}`).focus();
			event.preventDefault();
		},
	}, label));
	const note = h("p.tab-message");
	const panel = h("div", { role: "tabpanel", id: "tab-panel", class: "tab-panel", tabindex: "-1" });
	const element = h("section.pane.pane-detail", { "aria-label": "Detail" }, head, h("div", { role: "tablist", class: "tabs", "aria-label": "Detail" }, buttons), panel);
	const views = {
		context: createContextTab(), request: createRequestTab(), response: createResponseTab(), events: createEventsTab(),
		why: createWhyTab(actions), diff: createDiffTab(store, actions),
	};

	return {
		element,
		focus: () => document.getElementById(`tab-${store.state.tab}`).focus(),
		update(state) {
			const { tab, selected, nodes } = state;
			for (const button of buttons) {
				const on = button.id === `tab-${tab}`;
				button.setAttribute("aria-selected", String(on));
				button.tabIndex = on ? 0 : -1;
			}
			panel.setAttribute("aria-labelledby", `tab-${tab}`);
			const summary = selected?.exchange != null ? state.exchanges.find((one) => one.id === selected.exchange) ?? null : null;
			const node = selected?.response ? nodes.get(selected.response) ?? null : null;
			replaceIf(head, headVersion(selected, summary, node), () => drawHead(selected, summary, node, actions));
			const outcome = selected ? inputOf(state, tab, selected, summary, node) : { message: "Choose an exchange, or a response of the graph." };
			const view = views[tab];
			if (outcome.message) {
				replace(note, outcome.message);
				if (panel.firstChild !== note) replace(panel, note);
				return;
			}
			if (panel.firstChild !== view.element) replace(panel, view.element);
			view.update(outcome.input);
		},
	};
}

function headVersion(selected, summary, node) {
	return JSON.stringify([selected, summary?.status, node?.state, node?.status, node?.usage, node?.expires_at, summary?.ended]);
}

function drawHead(selected, summary, node, actions) {
	if (!selected) return h("p.quiet-text", "Nothing is selected.");
	const id = selected.response;
	return [
		h("div.detail-title",
			h("h2", id ? h("code", id) : summary ? `${summary.method} ${summary.path}` : "Exchange"),
			id && copyButton("Copy id", () => id)),
		h("p.detail-facts", [
			summary && `exchange ${summary.id}`, node && (node.state === "live" ? node.status : node.state), node?.model,
			node?.usage && `${number(node.usage.input_tokens)} in, ${number(node.usage.output_tokens)} out`,
			node?.store === false && "not stored",
			node?.expires_at && `expires ${dateTime(node.expires_at).slice(0, 10)}`,
			node?.conversation,
		].filter(Boolean).join(" · "),
		node?.parent && [" · ", h("button.link", { onclick: () => actions.selectResponse(node.parent) }, "parent")]),
	];
}

/** What a tab draws, or a message in its place. */
function inputOf(state, tab, selected, summary, node) {
	const read = (key) => state.details.get(key);
	const value = (key) => (read(key)?.status === "ready" ? read(key).value : null);
	const exchange = value(`exchange ${selected.exchange}`);
	const id = selected.response;
	const answered = id ? read(responseKey(id, node?.state === "running")) : null;
	const response = answered?.status === "ready" ? answered.value : null;
	if (tab === "request" || tab === "response" || tab === "why") {
		if (selected.exchange === null && tab !== "response") return { message: "The journal no longer has the exchange of this response." };
		const entry = read(`exchange ${selected.exchange}`);
		if (entry?.status === "failed") return { message: entry.message };
		if (selected.exchange !== null && entry?.status !== "ready") return { message: "Reading…" };
		if (selected.exchange !== null && !exchange) return { message: "The journal no longer has this exchange." };
		if (tab === "response" && answered?.status === "loading") return { message: "Reading…" };
		return { input: { exchange, summary, response, node, failure: answered?.message, findings: state.reports.verdict, parent: state.nodes.get(exchange?.request?.previous_response_id) } };
	}
	if (!id) return { message: summary?.error_code || summary?.status >= 400 ? "No response was made: the call was refused. The tab Why says why." : "This exchange made no response." };
	if (tab === "events" && !isHeld(node)) return { message: missing(node) };
	const needed = { context: `context ${id}`, events: `events ${id}`, diff: `context ${id}` }[tab];
	const entry = read(needed);
	if (entry?.status === "failed") return { message: entry.message };
	if (entry?.status !== "ready") return { message: "Reading…" };
	if (tab === "events") return { input: { events: entry.value } };
	const parentContext = node?.parent ? value(`context ${node.parent}`) : null;
	if (tab === "context") return { input: { context: entry.value, parentContext, parentResponse: value(`response ${node?.parent}`), response, node } };
	const otherId = otherOf(state);
	return { input: { state, id, context: entry.value, otherId, other: otherId ? value(`context ${otherId}`) : null } };
}

function missing(node) {
	if (node?.store === false) return "This turn was not stored, so its events can't be made again.";
	if (node?.away) return "It was answered elsewhere. What came is in the tab Response.";
	return node ? `It is ${node.state}: its events can't be made again.` : "This response is not known.";
}
