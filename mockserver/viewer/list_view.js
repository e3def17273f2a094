// The exchanges: a list that follows what happens, with a filter.

import { h, replaceIf } from "./dom.js";
import { filterExchanges, isRelayed, mistakesOf } from "./exchanges.js";
import { clockTime, milliseconds, number, shortId, visible } from "./format.js";
import { createList } from "./virtual_list.js";

const MISS = "by:miss";
const HINT = "words, or path: model: status:4xx by: over:websocket is:mistake conversation: chain:resp_…, - in front excludes";

export function createListView(store, actions) {
	const filter = h("input", {
		type: "search", id: "filter", placeholder: "Filter: status:4xx model:gpt-5.5 …", "aria-label": "Filter exchanges", title: HINT,
		autocomplete: "off", spellcheck: "false", oninput: (event) => actions.filter(event.target.value),
		onkeydown: (event) => {
			if (event.key === "ArrowDown") list.element.focus();
			else if (event.key === "Escape") actions.filter("");
		},
	});
	const count = h("output.count", { for: "filter" });
	const list = createList({
		label: "Exchanges", rowHeight: 46, follow: true, draw: (exchange) => drawRow(exchange, shown.mistakes), name: nameOf,
		onSelect: (exchange) => actions.selectExchange(exchange),
		onOpen: () => actions.openDetail(),
		empty: () => (store.state.filter ? "No exchange matches the filter." : "Nothing has happened yet."),
	});
	const chips = h("div.chips", [["status:4xx", "4xx"], ["status:5xx", "5xx"], ["by:fault", "faults"], ["over:websocket", "WS"], [MISS, "misses"], ["is:mistake", "mistakes"]].map(chip));
	const element = h("section.pane.pane-list", { "aria-label": "Exchanges" },
		h("div.pane-head", filter, count), chips, list.element);

	function chip([term, label]) {
		return h("button.chip", { "aria-pressed": "false", "data-term": term, onclick: () => actions.toggleTerm(term) }, label);
	}

	let shown = {};
	return {
		element,
		focusFilter: () => filter.focus(),
		update(state) {
			const { exchanges, filter: text, selected, nodes } = state;
			const { verdict } = state.reports;
			if (filter.value !== text) filter.value = text;
			if (shown.exchanges !== exchanges || shown.verdict !== verdict || shown.text !== text || (text.includes("chain:") && shown.nodes !== nodes)) {
				const mistakes = mistakesOf(verdict);
				shown = { exchanges, text, nodes, verdict, mistakes, found: filterExchanges(exchanges, text, nodes, mistakes) };
				shown.version = {};
				shown.missed = exchanges.some((one) => one.answered_by === "cassette miss");
			}
			if (shown.drawn !== shown.version || shown.selected !== selected) {
				shown.drawn = shown.version;
				shown.selected = selected;
				list.show(shown.found, selected?.exchange ?? null);
			}
			replaceIf(count, `${shown.found.length}/${exchanges.length}`, () =>
				text ? `${number(shown.found.length)} of ${number(exchanges.length)}` : number(exchanges.length));
			for (const button of chips.children) {
				button.setAttribute("aria-pressed", String(text.split(/\s+/).includes(button.dataset.term)));
				if (button.dataset.term === MISS) button.hidden = !shown.missed;
			}
		},
	};
}

function nameOf(exchange) {
	return exchange.id ?? `running ${exchange.exchange}`;
}

function drawRow(exchange, mistakes) {
	const mistake = mistakes?.get(exchange.id);
	const status = exchange.running ? "…" : exchange.status;
	const tokens = (exchange.input_tokens ?? null) === null ? null
		: h("span.tokens", { title: "tokens in / cached / out" },
			`${number(exchange.input_tokens)} / ${number(exchange.cached_tokens ?? 0)} / ${number(exchange.output_tokens)}`);
	return [
		h("span", { class: `status ${statusClass(exchange)}` }, status),
		h("span.line-1",
			h("b.method", exchange.method), " ", h("span.path", { title: visible(exchange.path) }, pathOf(exchange)),
			exchange.transport === "websocket" && h("i.tag", "ws"),
			exchange.transport === "sse" && h("i.tag", "sse"),
			exchange.faults?.length > 0 && h("i.tag.bad", "fault"),
			h("span.took", exchange.running ? "running" : milliseconds(exchange.duration_ms))),
		h("span.line-2",
			h("time", clockTime(exchange.at).slice(0, 8)), mistake && h("i.tag.mistake", { title: mistake.join(", ") }, mistake[0].replaceAll("_", " ")),
			h("span.what", whatOf(exchange)), tokens),
	];
}

export function pathOf(exchange) {
	return exchange.path.replace(/^\/v1\//, "").replace(/(resp|conv|msg|item)_[0-9a-f]{16,}/g, shortId);
}

function whatOf(exchange) {
	const broken = exchange.ended && exchange.ended !== "delivered" ? exchange.ended : null;
	const what = exchange.error_code ?? broken ?? exchange.model?.replace(/-\d{4}-\d\d-\d\d$/, "");
	const said = [what, exchange.answered_by?.replace("default model", "default")].filter(Boolean);
	return (isRelayed(exchange) ? said.reverse() : said).join(" · "); // who answered must not be cut off there
}

export function statusClass(exchange) {
	if (exchange.running) return "running";
	if (exchange.status >= 500) return "bad";
	if (exchange.status >= 400 || exchange.response_status === "failed" || exchange.ended === "cut") return "warn";
	return "good";
}
