// The tab Why: who answered and why, what nearly did, which faults struck, and what the client did wrong.

import { h, replace } from "./dom.js";
import { createJsonView } from "./json_view.js";
import { shortId, visible } from "./format.js";

export function createWhyTab(actions) {
	const json = createJsonView("The line that answered");
	const top = h("div", { class: "why-text" });
	const element = h("div", { class: "tab-body" }, top, json.element);
	let shown = [];
	return {
		element,
		update({ exchange, summary, findings, parent }) {
			if (shown[0] === exchange && shown[1] === findings && shown[2] === summary && shown[3] === parent) return;
			shown = [exchange, findings, summary, parent];
			replace(top, drawAnswerer(exchange, summary), drawParent(exchange, parent, actions), drawFindings(exchange, findings, actions), drawMisses(exchange), drawFaults(exchange), drawChanges(exchange, actions));
			json.element.hidden = !exchange?.line;
			json.show(exchange?.line ?? undefined);
		},
	};
}

function drawAnswerer(exchange, summary) {
	const [, by, of] = /^(\S+)\s?(.*)$/.exec(summary?.answered_by ?? "") ?? [];
	const line = exchange?.line?.place ?? null;
	let text = "The API itself: no line is needed for this call.";
	if (line) text = null;
	else if (by === "fault") text = `The fault ${of}, before anything else could answer.`;
	else if (exchange?.error) text = null;
	else if (summary?.answered_by) text = summary.answered_by === "default model" ? "The default model: no line matched." : summary.answered_by;
	return section("Answered by", [
		line && h("p", null, h("code", { class: "place" }, visible(line)), " matched, and said what is shown below."),
		exchange?.error && !line && h("p", { class: "bad-text" }, `${exchange.status} ${visible(exchange.error.code ?? exchange.error.type ?? "")}: ${visible(exchange.error.message ?? "")}`),
		text && h("p", null, visible(text)),
	]);
}

/** What a call that was refused wanted to go on from: its state often says why. */
function drawParent(exchange, parent, actions) {
	const id = exchange?.request?.previous_response_id;
	if (!exchange?.error || typeof id !== "string") return null;
	return section("Goes on from", h("p", null,
		parent ? h("button", { class: "link", onclick: () => actions.selectResponse(id) }, `parent ${shortId(id)}`) : h("code", null, shortId(id)),
		parent ? `, which is ${parent.state === "live" ? parent.status : parent.state}${parent.store === false ? " and was not stored" : ""}.` : ", which this project does not have."));
}

/** The lines that came nearest, and the keys of each that did not hold. */
function drawMisses(exchange) {
	if (!exchange?.near_misses?.length) return null;
	return section("Near misses", h("ul", { class: "misses" }, exchange.near_misses.map(({ place, spent, keys, mismatches }) => h("li", null,
		h("code", { class: "place" }, visible(place)), spent ? " matched, but is used up." : ` ${keys - mismatches.length} of ${keys} keys held.`,
		mismatches.map(({ key, wants, found }) => h("p", { class: "mismatch" }, h("b", null, visible(key)), " wants ", h("code", null, visible(wants)), ", found ", h("code", null, visible(found))))))));
}

function drawFaults(exchange) {
	if (!exchange?.faults?.length) return null;
	return section("Faults that struck", h("ul", null, exchange.faults.map((fault) => h("li", null, h("code", null, visible(typeof fault === "string" ? fault : JSON.stringify(fault)))))));
}

function drawFindings(exchange, findings, actions) {
	const mine = (findings ?? []).filter((finding) => finding.exchanges.includes(exchange?.id));
	if (!mine.length) return null;
	return section("What the client did wrong", mine.map((finding) => drawFinding(finding, actions)));
}

/** One finding of the verdict, with links to its exchanges. */
export function drawFinding(finding, actions) {
	return h("div", { class: "finding" },
		h("p", null, h("code", { class: "place" }, finding.rule), " ", visible(finding.sentence)),
		h("p", { class: "links" }, finding.exchanges.map((id) =>
			h("button", { class: "link", onclick: () => actions.selectExchangeId(id) }, `exchange ${id}`))));
}

function drawChanges(exchange, actions) {
	if (!exchange?.changes?.length) return null;
	const shown = exchange.changes.slice(0, 50);
	return section("What it changed", h("ul", { class: "changes" }, shown.map((one) => h("li", null, `${one.change} ${one.kind} `,
		one.kind === "response" ? h("button", { class: "link", onclick: () => actions.selectResponse(one.id) }, shortId(one.id)) : h("code", null, shortId(one.id)))),
	exchange.changes.length > 50 && h("li", null, `and ${exchange.changes.length - 50} more`)));
}

function section(title, content) {
	return h("section", { class: "why-part" }, h("h3", null, title), content);
}
