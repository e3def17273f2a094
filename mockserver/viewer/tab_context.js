// The tab Context: what the model saw, item by item, with tokens; what it did not see; what came from the cache.

import { h, replaceIf } from "./dom.js";
import { itemKind, itemText, number, preview, shortId } from "./format.js";
import { createReader } from "./reader.js";
import { createList } from "./virtual_list.js";

const SEGMENTS = 160;

export function createContextTab() {
	const summary = h("div.context-summary");
	const reader = createReader("Text of the item");
	let chosen = null;
	const list = createList({
		label: "Items of the context", rowHeight: 42, draw: drawRow, name: (row) => row.key,
		onSelect: (row) => {
			chosen = row.key;
			reader.show(row.text, `${row.kind} ${row.item?.id ?? ""}`);
		},
		empty: "The model saw no items.",
	});
	const element = h("div.tab-body", summary, list.element, reader.element);
	let shownFor = null;
	return {
		element,
		update({ context, parentContext, parentResponse, response, node }) {
			const version = [context, parentContext, parentResponse, response, node?.usage];
			if (shownFor && version.every((part, at) => part === shownFor[at])) return;
			shownFor = version;
			const rows = rowsOf(context, parentContext, parentResponse, cachedOf(response, node));
			replaceIf(summary, rows, () => drawSummary(rows, context, cachedOf(response, node)));
			const again = rows.find((row) => row.key === chosen);
			if (!again) reader.show(null);
			list.show(rows, again ? chosen : null);
		},
	};
}

function cachedOf(response, node) {
	return response?.usage?.input_tokens_details?.cached_tokens ?? node?.usage?.cached_tokens ?? 0;
}

/** The rows of a context: instructions and tools, items, and those that the model was not given. */
export function rowsOf(context, parentContext, parentResponse, cached) {
	const inherited = new Map();
	for (const item of [...(parentContext?.items ?? []), ...(parentResponse?.output ?? [])]) inherited.set(item.id, item);
	const rows = [];
	const listed = context.tokens.reduce((sum, tokens) => sum + tokens, 0);
	const head = Math.max(0, (context.input_tokens ?? listed) - listed);
	let total = head;
	if (context.instructions || context.tools?.length || head) {
		const tools = (context.tools ?? []).map((tool) => tool.name ?? tool.type).join(", ");
		const text = [context.instructions, tools && `tools: ${tools}`].filter(Boolean).join("\n") || "what the model is given with every turn";
		const full = [context.instructions, context.tools?.length && JSON.stringify(context.tools, null, 2)].filter(Boolean).join("\n\n") || text;
		rows.push({ key: "head", kind: "instructions", text: full, short: text, tokens: head, cached: head > 0 && head <= cached, origin: "own" });
	}
	for (const id of context.dropped ?? []) {
		const item = inherited.get(id);
		rows.push({ key: `dropped ${id}`, item: item ?? { id }, kind: item ? itemKind(item) : "item", text: item ? itemText(item) : id, tokens: null, origin: "dropped" });
	}
	context.items.forEach((item, at) => {
		total += context.tokens[at] ?? 0;
		rows.push({
			key: item.id ?? `at ${at}`, item, kind: itemKind(item), type: item.type, text: itemText(item), tokens: context.tokens[at],
			cached: cached > 0 && total <= cached, origin: inherited.has(item.id) ? "inherited" : "own",
		});
	});
	return rows;
}

function drawSummary(rows, context, cached) {
	const count = (origin) => rows.filter((row) => row.origin === origin && row.key !== "head").length;
	const total = context.input_tokens ?? rows.reduce((sum, row) => sum + (row.tokens ?? 0), 0);
	const dropped = count("dropped");
	return [
		h("p",
			h("b", number(total)), " tokens in · ", h("b", number(cached)), " cached · ",
			`${number(count("inherited"))} inherited, ${number(count("own"))} own items`,
			dropped > 0 && h("b.bad-text", ` · ${number(dropped)} not seen`)),
		drawBar(rows, total),
	];
}

/** The context as a bar: a piece per item as wide as its tokens, neighbours of a kind together where there are many. */
function drawBar(rows, total) {
	const bar = h("div.context-bar", { role: "img", "aria-label": "Share of each item in the tokens of the context" });
	const seen = rows.filter((row) => row.tokens);
	const step = Math.max(1, Math.ceil(seen.length / SEGMENTS));
	for (let at = 0; at < seen.length; at += step) {
		const group = seen.slice(at, at + step);
		const tokens = group.reduce((sum, row) => sum + row.tokens, 0);
		const piece = h("span", { class: `piece kind-${kindClass(group[0])}${group[0].cached ? " cached" : ""}`, title: `${group[0].kind}: ${number(tokens)} tokens` });
		piece.style.flexGrow = String(tokens / Math.max(1, total));
		bar.append(piece);
	}
	return bar;
}

function kindClass(row) {
	if (["user", "assistant", "system", "developer"].includes(row.kind)) return row.kind;
	if (row.kind === "instructions") return "system";
	if (["reasoning", "compaction"].includes(row.kind)) return "hidden";
	return "tool";
}

function drawRow(row) {
	return h("div", { class: `context-row ${row.origin}${row.cached ? " cached" : ""}` },
		h("span", { class: `kind kind-${kindClass(row)}` }, row.kind),
		h("span.context-text", { dir: "auto" }, preview(row.short ?? row.text)),
		h("span.context-tokens", row.tokens === null ? "not seen" : number(row.tokens)),
		h("span.context-origin",
			[row.item && shortId(row.item.id), row.origin, row.cached && "cached"].filter(Boolean).join(" · ")));
}
