// The tab Events: a stream's events on an axis of time, with the text as it grows.

import { h, region, replace, s } from "./dom.js";
import { milliseconds, number, preview, visible } from "./format.js";
import { createList } from "./virtual_list.js";

const WIDTH = 560;
const HEIGHT = 54;
const MOST_TICKS = 1200;

export function createEventsTab() {
	const chart = h("div.event-axis");
	const slider = h("input", { type: "range", min: "0", value: "0", "aria-label": "Position in the stream", oninput: () => move(Number(slider.value), true) });
	const position = h("output.count");
	const text = h("pre.grown", { dir: "auto", ...region("Text so far") });
	const list = createList({
		label: "Events", rowHeight: 24, draw: drawRow, name: (row) => row.index,
		onSelect: (row) => move(row.index, false), empty: "No events.",
	});
	const element = h("div.tab-body", chart, h("div.scrub", slider, position), text, list.element);
	let rows = [];
	let shown = null;

	function move(index, scroll) {
		const row = rows[index];
		if (!row) return;
		slider.value = String(index);
		position.textContent = `${index + 1} of ${number(rows.length)} · ${milliseconds(row.at * 1000)}`;
		text.textContent = visible(grownText(rows, index).slice(-4000));
		for (const end of ["x1", "x2"]) chart.querySelector(".cursor")?.setAttribute(end, String(xOf(rows, index)));
		if (scroll) {
			list.show(rows, index);
			list.reveal(index);
		}
	}

	return {
		element,
		update({ events }) {
			if (events === shown) return;
			shown = events;
			rows = events.events.map((event, index) => ({
				index, event, at: events.seconds[index], gap: index ? events.seconds[index] - events.seconds[index - 1] : events.seconds[0] ?? 0,
			}));
			slider.max = String(Math.max(0, rows.length - 1));
			replace(chart, drawAxis(rows));
			element.classList.toggle("at-once", !(rows.at(-1)?.at > 0));
			list.show(rows, null);
			move(rows.length - 1, false);
		},
	};
}

function grownText(rows, until) {
	let text = "";
	for (const { event } of rows.slice(0, until + 1)) {
		if (/\.delta$/.test(event.type) && typeof event.delta === "string") text += event.delta;
		else if (event.type === "response.output_item.added" && text) text += "\n";
	}
	return text;
}

function xOf(rows, index) {
	const last = rows.at(-1)?.at ?? 0;
	const share = last > 0 ? rows[index].at / last : index / Math.max(1, rows.length - 1);
	return 6 + share * (WIDTH - 12);
}

function drawAxis(rows) {
	const last = rows.at(-1)?.at ?? 0;
	const step = Math.max(1, Math.ceil(rows.length / MOST_TICKS));
	const ticks = rows.filter((row, at) => at % step === 0).map((row) => {
		const x = xOf(rows, row.index);
		const delta = /\.delta$/.test(row.event.type);
		return s("line", { x1: x, x2: x, y1: delta ? 26 : 12, y2: 44, class: delta ? "tick-delta" : "tick" });
	});
	const label = last > 0 ? `${number(rows.length)} events in ${milliseconds(last * 1000)}` : `${number(rows.length)} events, sent at once; the axis shows their order`;
	return [s("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": label },
		s("line", { x1: 6, x2: WIDTH - 6, y1: 44, y2: 44, class: "axis" }), ticks,
		s("line", { x1: 0, x2: 0, y1: 6, y2: 50, class: "cursor" })), h("p.count", label)];
}

function drawRow({ event, at, gap, index }) {
	const said = event.delta ?? event.text ?? event.arguments ?? event.item?.type ?? event.response?.status ?? "";
	return h("div.event-row",
		h("span.event-index", index),
		h("span.event-at", milliseconds(at * 1000)),
		h("span", { class: `event-gap${gap > 1 ? " long" : ""}` }, gap > 0 ? `+${milliseconds(gap * 1000)}` : ""),
		h("span.event-type", event.type.replace(/^response\./, "")),
		h("span.event-said", { dir: "auto" }, preview(typeof said === "string" ? said : JSON.stringify(said), 90)));
}
