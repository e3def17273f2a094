// Cassettes: what was recorded, each turn below what it goes on from; which of it was used; what was asked in vain.

import { counted, h, indent, replace, replaceIf } from "./dom.js";
import { milliseconds, number, preview } from "./format.js";
import { push } from "./graph_layout.js";
import { pathOf, statusClass } from "./list_view.js";
import { createList } from "./virtual_list.js";

const PAGE = 1000;
const MOST = 20_000; // rows that are read

export function createCassetteView(api, store) {
	const head = h("div");
	const list = createList({ label: "Interactions", rowHeight: 46, draw: drawRow, name: (row) => row.id });
	const misses = h("section.card");
	const element = h("div.view.view-cassette", { id: "view-cassette" }, h("section.card.records", head, list.element), misses);
	let readFor = null;
	let reading = false;

	async function pages(path, project) {
		const rows = [];
		for (let after = 0, page; rows.length < MOST; after = page.last_id) {
			page = await api.get(`${path}?limit=${PAGE}&after=${after}`, project);
			rows.push(...page.data);
			if (!page.has_more) return { ...page, rows };
		}
		return { rows };
	}

	/** One reading at a time: what happens meanwhile is read by the next. */
	async function read(version) {
		if (reading) return;
		reading = true;
		readFor = version;
		const { project } = store.state;
		try {
			const [found, missed, health] = [await pages("cassette", project), await pages("cassette/misses", project), await api.get("health")];
			store.change({ health, cassette: { ...found, rows: inTreeOrder(found.rows), missed: missed.rows.reverse() } });
		} catch (problem) {
			store.change({ cassette: { failed: problem } });
		}
		reading = false;
	}

	return {
		element,
		update(state) {
			if (state.view !== "cassette") return;
			const version = `${state.project} ${state.exchanges.at(-1)?.id} ${state.connection}`;
			if (readFor !== version) read(version);
			const { cassette } = state;
			if (!cassette || !replaceIf(head, cassette, () => (cassette.rows ? drawHead(cassette, state.health) : drawFailure(cassette.failed)))) return;
			misses.hidden = list.element.hidden = !cassette.rows;
			list.show(cassette.rows ?? []);
			replace(misses, drawMisses(cassette.missed ?? [], (id) => list.show(cassette.rows, id)));
		},
	};
}

/** Each row below the one that made what it goes on from, with its depth; no recursion, for chains are long. */
export function inTreeOrder(rows) {
	const makers = new Map();
	const children = new Map();
	for (const row of rows) {
		const maker = makers.get(row.parent ?? /(?:resp|conv)_\w+/.exec(row.path)?.[0]);
		if (row.made && !makers.has(row.made)) makers.set(row.made, row);
		push(children, maker, row);
	}
	const ordered = [];
	const waiting = (children.get(undefined) ?? []).map((row) => ({ ...row, row, depth: 0 })).reverse();
	while (waiting.length) {
		const next = waiting.pop();
		ordered.push(next);
		for (const row of (children.get(next.row) ?? []).reverse()) waiting.push({ ...row, row, depth: next.depth + 1 });
	}
	return ordered;
}

function drawHead({ total, unused, misses }, health) {
	const facts = Object.entries(health?.recorder ?? {}).filter(([, value]) => value !== null);
	return [
		counted("Cassette", total),
		h("p", health?.mode === "record" ? "They are recorded." : `${number(unused)} not used, ${number(misses)} ${misses === 1 ? "miss" : "misses"}.`),
		h("p.quiet-text", facts.map(([name, value]) => `${name.replaceAll("_", " ")}: ${value}`).join(" · ")),
	];
}

function drawFailure(problem) {
	if (problem.status !== 404) return h("p.bad-text", problem.message);
	return h("p", "This server has no cassette. ", h("code", "understudy --mode record --upstream URL --cassette FILE"), " records, ", h("code", "--mode replay"), " answers from what was recorded.");
}

function drawRow(row) {
	return [
		h(`span.status.${statusClass(row)}`, row.status),
		h("span.line-1", indent(row.depth, 16), h("b.method", `#${row.interaction} ${row.method}`), h("span.path", pathOf(row)), row.transport !== "http" && h("i.tag", row.transport === "sse" ? "sse" : "ws"),
			row.used !== null && h(`i.tag${row.used ? "" : ".mistake"}`, row.used ? `used ${number(row.used)}×` : "not used"),
			row.ended !== "complete" && h("i.tag.bad", row.ended), h("span.took", milliseconds(row.duration_ms))),
		h("span.line-2", indent(row.depth, 16), h("span.what", { title: row.place, dir: "auto" }, preview([row.said, row.heard].filter(Boolean).join(" → "))),
			row.input_tokens !== null && h("span.tokens", `${number(row.input_tokens)} / ${number(row.output_tokens)}`)),
	];
}

function drawMisses(missed, reveal) {
	const title = counted("Misses", missed.length);
	if (!missed.length) return [title, h("p", "Nothing was asked that is not recorded.")];
	return [title, missed.slice(0, 200).map((miss) => h("div.finding",
		h("p", h("b.method", miss.method), " ", pathOf(miss), " ", h("span", { dir: "auto" }, miss.said)),
		miss.nearest.length ? miss.nearest.map(({ id, path, recorded, sent }) => h("p.mismatch",
			h("button.link", { onclick: () => reveal(id) }, `#${id}`), " differs at ", h("code.place", path),
			h("span.was", "recorded ", h("code", recorded)), h("span.now", "sent ", h("code", sent)))) : h("p.mismatch", miss.message)))];
}
