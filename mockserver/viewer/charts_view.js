// Charts where looking beats reading: a chain against its window, tokens by model, durations.

import { h, region, replaceIf, s } from "./dom.js";
import { chainOf, isTurn } from "./exchanges.js";
import { milliseconds, number, shortId } from "./format.js";

const HEIGHT = 220;
const PAD = { left: 56, right: 12, top: 12, bottom: 26 };
const MOST_BARS = 300;

let WIDTH = 640; // of the narrowest chart, so that texts keep their size

export function createChartsView(store, actions) {
	const chain = h("figure.chart");
	const totals = h("figure.chart");
	const timing = h("figure.chart");
	const element = h("div.view.view-charts", { id: "view-charts" }, chain, totals, timing);
	return {
		element,
		update(state) {
			if (state.view !== "charts") return;
			WIDTH = Math.max(300, Math.min(900, totals.clientWidth - 30));
			const id = state.selected?.response ?? newestOf(state.nodes);
			replaceIf(chain, `${id} ${state.graphVersion} ${state.models.size} ${WIDTH}`, () => drawChain(state, id, actions));
			replaceIf(totals, state.exchanges, () => drawTotals(state.exchanges));
			replaceIf(timing, state.exchanges, () => drawTiming(state.exchanges));
		},
	};
}

function newestOf(nodes) {
	let newest = null;
	for (const node of nodes.values()) if (node.usage) newest = node.id;
	return newest;
}

/** Context tokens of each turn of a chain, the cached part darker, against the model's window. */
function drawChain(state, id, actions) {
	const chain = id ? chainOf(state.nodes, id).filter((node) => node.usage).slice(-MOST_BARS) : [];
	const caption = h("figcaption", h("b", "Context by turn"), id ? ` of the chain that ends at ${shortId(id)}` : "");
	if (!chain.length) return [caption, h("p.quiet-text", "No response yet.")];
	const window = state.models.get(chain.at(-1).model)?.context_window ?? null;
	const largest = Math.max(...chain.map((node) => node.usage.input_tokens ?? 0), 1);
	// the window is drawn where it says something; a context of 1 % of it would be a flat line
	const near = window && largest > window * 0.25;
	const top = near ? Math.max(window, largest) : largest * 1.15;
	const bar = (WIDTH - PAD.left - PAD.right) / chain.length;
	const bars = chain.map((node, at) => {
		const x = PAD.left + at * bar + bar * 0.1;
		const width = Math.max(1, Math.min(bar * 0.8, 44));
		const [input, cached] = [node.usage.input_tokens ?? 0, node.usage.cached_tokens ?? 0];
		return s("g", { class: node.id === id ? "bar chosen" : "bar", onclick: () => actions.selectResponse(node.id) },
			s("title", `turn ${at + 1}, ${shortId(node.id)}: ${number(input)} in, ${number(cached)} cached, ${number(node.usage.output_tokens)} out`),
			s("rect.bar-in", { x, width, y: yOf(input, top), height: heightOf(input, top) }),
			s("rect.bar-cached", { x, width, y: yOf(cached, top), height: heightOf(cached, top) }));
	});
	const share = window ? `${number(largest)} of ${number(window)} tokens of the window (${((largest / window) * 100).toFixed(1)} %)` : `${number(largest)} tokens at most`;
	return [caption, plot(`Context tokens by turn: ${chain.length} turns, ${share}`, top, [bars, near && acrossAt(yOf(window, top), "window")], "turn"),
		h("ul.keys", h("li.key-in", "input tokens"), h("li.key-cached", "of them cached"), near && h("li.key-window", "context window")),
		h("p.quiet-text", share)];
}

function yOf(value, top) {
	return PAD.top + (1 - value / top) * (HEIGHT - PAD.top - PAD.bottom);
}

function heightOf(value, top) {
	return (value / top) * (HEIGHT - PAD.top - PAD.bottom);
}

function gridLine(y, label) {
	return s("g", acrossAt(y, "grid"), s("text.axis-text", { x: PAD.left - 6, y: y + 4, "text-anchor": "end" }, label));
}

function acrossAt(y, name) {
	return s(`line.${name}`, { x1: PAD.left, x2: WIDTH - PAD.right, y1: y, y2: y });
}

function plot(label, top, content, unit) {
	const lines = [0, 0.5, 1].map((share) => gridLine(yOf(top * share, top), number(Math.round(top * share))));
	return s("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label }, lines, content,
		s("text.axis-text", { x: WIDTH - PAD.right, y: HEIGHT - 6, "text-anchor": "end" }, `${unit} →`));
}

/** Tokens of the project by model: what a bill is made of. */
function drawTotals(exchanges) {
	const models = new Map();
	for (const exchange of exchanges) {
		if (!isTurn(exchange) || exchange.input_tokens === null) continue;
		const sum = models.get(exchange.model) ?? { turns: 0, fresh: 0, cached: 0, output: 0 };
		sum.turns += 1;
		sum.cached += exchange.cached_tokens ?? 0;
		sum.fresh += exchange.input_tokens - (exchange.cached_tokens ?? 0);
		sum.output += exchange.output_tokens ?? 0;
		models.set(exchange.model, sum);
	}
	const caption = h("figcaption", h("b", "Tokens by model"), " in this journal");
	if (!models.size) return [caption, h("p.quiet-text", "No turn yet.")];
	const rows = [...models].sort(([, a], [, b]) => b.fresh + b.output - a.fresh - a.output);
	const most = Math.max(...rows.map(([, sum]) => sum.fresh + sum.cached + sum.output), 1);
	return [caption, h("div.scroll-x", region("Tokens by model"), h("table",
		h("thead", h("tr", ["model", "turns", "input, not cached", "input, cached", "output", ""].map((name) => name ? h("th", { scope: "col" }, name) : h("td")))),
		h("tbody", rows.map(([model, sum]) => h("tr",
			h("th", { scope: "row" }, model), [sum.turns, sum.fresh, sum.cached, sum.output].map((value) => h("td.n", number(value))),
			h("td.share", drawShares(sum, most)))))))];
}

function drawShares(sum, most) {
	const part = (name, value) => {
		const piece = h("span", { class: `part-${name}` });
		piece.style.width = `${(value / most) * 100}%`;
		return piece;
	};
	return h("span.shares", { "aria-hidden": "true" }, part("fresh", sum.fresh), part("cached", sum.cached), part("output", sum.output));
}

/** How long each of the last calls took, on a logarithmic scale. */
function drawTiming(exchanges) {
	const ended = exchanges.filter((one) => !one.running && one.duration_ms !== null && one.ended).slice(-MOST_BARS);
	const caption = h("figcaption", h("b", "Duration of calls"), ` the last ${number(ended.length)}`);
	if (!ended.length) return [caption, h("p.quiet-text", "No call yet.")];
	const most = Math.max(10, ...ended.map((one) => one.duration_ms));
	const decades = Math.ceil(Math.log10(most)) + 1; // from 0.1 ms
	const scale = (value) => PAD.top + (1 - (Math.log10(Math.max(0.1, value)) + 1) / decades) * (HEIGHT - PAD.top - PAD.bottom);
	const step = (WIDTH - PAD.left - PAD.right) / Math.max(1, ended.length);
	const lines = Array.from({ length: decades + 1 }, (_, at) => 10 ** (at - 1)).map((value) => gridLine(scale(value), value < 1000 ? `${value} ms` : `${value / 1000} s`));
	const dots = ended.map((one, at) => s("circle", {
		class: `dot ${one.status >= 400 ? "dot-bad" : one.transport === "http" ? "dot-http" : "dot-stream"}`, cx: PAD.left + (at + 0.5) * step, cy: scale(one.duration_ms), r: 3,
	}, s("title", `${one.method} ${one.path} ${one.status}: ${milliseconds(one.duration_ms)}`)));
	return [caption, s("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `Durations of the last ${ended.length} calls, up to ${milliseconds(most)}` }, lines, dots),
		h("ul.keys", h("li.key-http", "JSON"), h("li.key-stream", "SSE, WebSocket"), h("li.key-bad", "errors"))];
}
