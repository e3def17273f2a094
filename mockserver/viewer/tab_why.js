// The tab Why: who answered and why, what nearly did, which faults struck, and what the client did wrong.

import { h, replace } from "./dom.js";
import { createJsonView } from "./json_view.js";
import { shortId } from "./format.js";

export function createWhyTab(actions) {
	const json = createJsonView("The line that answered");
	const top = h("div.why-text");
	const element = h("div.tab-body", top, json.element);
	let shown = [];
	return {
		element,
		update({ exchange, summary, findings, parent }) {
			const next = [exchange, findings, summary, parent];
			if (next.every((part, at) => part === shown[at])) return;
			shown = next;
			replace(top, drawAnswerer(exchange, summary, actions), drawParent(exchange, parent, actions), drawFindings(exchange, findings, actions), drawMisses(exchange), drawFaults(exchange), drawChanges(exchange, actions));
			json.element.hidden = !exchange?.line;
			json.show(exchange?.line ?? undefined);
		},
	};
}

function drawAnswerer(exchange, summary, actions) {
	const [, by, of] = /^(\S+)\s?(.*)$/.exec(summary?.answered_by ?? "") ?? [];
	const line = exchange?.line?.place ?? null;
	let text = "The API itself: no line is needed for this call.";
	if (line) text = null;
	else if (by === "fault") text = `The fault ${of}, before anything else could answer.`;
	else if (exchange?.error) text = null;
	else if (summary?.answered_by) text = summary.answered_by === "default model" ? "The default model: no line matched." : summary.answered_by;
	return section("Answered by", [
		line && h("p", h("code.place", line), " matched, and said what is shown below."),
		exchange?.error && !line && h("p.bad-text", `${exchange.status} ${exchange.error.code ?? exchange.error.type ?? ""}: ${exchange.error.message ?? ""}`),
		text && h("p", text),
		by === "cassette" && h("button.link", { onclick: () => actions.openView(by) }, "The cassette"),
	]);
}

/** What a call that was refused wanted to go on from: its state often says why. */
function drawParent(exchange, parent, actions) {
	const id = exchange?.request?.previous_response_id;
	if (!exchange?.error || typeof id !== "string") return null;
	return section("Goes on from", h("p",
		parent ? h("button.link", { onclick: () => actions.selectResponse(id) }, `parent ${shortId(id)}`) : h("code", shortId(id)),
		parent ? `, which is ${parent.state === "live" ? parent.status : parent.state}${parent.store === false ? " and was not stored" : ""}.` : ", which this project does not have."));
}

/** The lines that came nearest, and the keys of each that did not hold. */
function drawMisses(exchange) {
	if (!exchange?.near_misses?.length) return null;
	return section("Near misses", h("ul.misses", exchange.near_misses.map(({ place, spent, keys, mismatches }) => h("li",
		h("code.place", place), spent ? " matched, but is used up." : ` ${keys - mismatches.length} of ${keys} keys held.`,
		mismatches.map(({ key, wants, found }) => h("p.mismatch", h("b", key), " wants ", h("code", wants), ", found ", h("code", found)))))));
}

function drawFaults(exchange) {
	if (!exchange?.faults?.length) return null;
	return section("Faults that struck", h("ul", exchange.faults.map((fault) => h("li", h("code", fault)))));
}

function drawFindings(exchange, findings, actions) {
	const mine = (findings ?? []).filter((finding) => finding.exchanges.includes(exchange?.id));
	if (!mine.length) return null;
	return section("What the client did wrong", mine.map((finding) => drawFinding(finding, actions)));
}

/** One finding of the verdict, with links to its exchanges. */
export function drawFinding(finding, actions) {
	return h("div.finding",
		h("p", h("code.place", finding.rule), " ", finding.sentence),
		h("p.links", finding.exchanges.map((id) =>
			h("button.link", { onclick: () => actions.selectExchangeId(id) }, `exchange ${id}`))));
}

function drawChanges(exchange, actions) {
	if (!exchange?.changes?.length) return null;
	const shown = exchange.changes.slice(0, 50);
	return section("What it changed", h("ul.changes", shown.map((one) => h("li", `${one.change} ${one.kind} `,
		one.kind === "response" ? h("button.link", { onclick: () => actions.selectResponse(one.id) }, shortId(one.id)) : h("code", shortId(one.id)))),
	exchange.changes.length > 50 && h("li", `and ${exchange.changes.length - 50} more`)));
}

function section(title, content) {
	return h("section.why-part", h("h3", title), content);
}
