// The tab Diff: the contexts of two responses side by side.

import { h, replaceIf } from "./dom.js";
import { itemKind, itemText, number, preview, shortId } from "./format.js";
import { createReader } from "./reader.js";
import { createList } from "./virtual_list.js";

const MOST_COMPARED = 1500; // items on each side that are compared one with another: the table grows with the product

export function createDiffTab(store, actions) {
	const chooser = h("select", { "aria-label": "Compare with", onchange: () => actions.compare(chooser.value) });
	const summary = h("span.count");
	const reader = createReader("Text of the item");
	const list = createList({
		label: "Items of both contexts", rowHeight: 42, draw: drawRow, name: (row) => row.index,
		onSelect: ({ left, right }) => {
			const [a, b] = [left && itemText(left), right && itemText(right)];
			reader.show(left && right && a !== b ? `− ${a}\n\n+ ${b}` : a ?? b);
		},
		empty: "Both contexts are empty.",
	});
	const element = h("div.tab-body",
		h("div.tab-tools", h("span", "Compare with "), chooser, summary), list.element, reader.element);
	let shown = [];
	return {
		element,
		update({ state, context, other, otherId, id }) {
			replaceIf(chooser, `${id} ${otherId} ${state.graphVersion}`, () => choices(state, id, otherId));
			if (shown[0] === context && shown[1] === other) return;
			shown = [context, other];
			const rows = context && other ? compareItems(other.items, context.items) : [];
			const gone = rows.filter((row) => !row.right).length;
			const added = rows.filter((row) => !row.left).length;
			summary.textContent = context && other ? ` ${number(rows.length - gone - added)} in both, ${number(gone)} only there, ${number(added)} only here` : "";
			reader.show(null);
			list.show(rows);
			const first = rows.findIndex((row) => !row.left || !row.right);
			if (first > 0) requestAnimationFrame(() => list.reveal(first)); // once the rows have their height
		},
	};
}

function choices(state, id, otherId) {
	const ids = [...state.nodes.keys()].reverse().filter((one) => one !== id).slice(0, 200);
	if (otherId && !ids.includes(otherId)) ids.unshift(otherId);
	const parent = state.nodes.get(id)?.parent;
	return ids.map((one) => h("option", { value: one, selected: one === otherId }, `${shortId(one)}${one === parent ? " (parent)" : ""}`));
}

/** Pair the items of two contexts: equal ones beside each other, the others alone. Longest common subsequence. */
export function compareItems(left, right) {
	const [a, b] = [left.map(keyOf), right.map(keyOf)];
	let start = 0;
	while (start < a.length && start < b.length && a[start] === b[start]) start += 1;
	let end = 0;
	while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end += 1;
	const rows = [];
	const add = (one, two) => rows.push({ index: rows.length, left: one, right: two });
	for (let at = 0; at < start; at += 1) add(left[at], right[at]);
	const [middleA, middleB] = [a.slice(start, a.length - end), b.slice(start, b.length - end)];
	for (const [i, j] of align(middleA, middleB)) add(i === null ? null : left[start + i], j === null ? null : right[start + j]);
	for (let at = end; at > 0; at -= 1) add(left[a.length - at], right[b.length - at]);
	return rows;
}

function align(a, b) {
	const pairs = [];
	if (a.length > MOST_COMPARED || b.length > MOST_COMPARED) {
		return [...a.map((_, i) => [i, null]), ...b.map((_, j) => [null, j])];
	}
	const width = b.length + 1;
	const table = new Uint16Array((a.length + 1) * width);
	for (let i = a.length - 1; i >= 0; i -= 1) {
		for (let j = b.length - 1; j >= 0; j -= 1) {
			table[i * width + j] = a[i] === b[j] ? table[(i + 1) * width + j + 1] + 1 : Math.max(table[(i + 1) * width + j], table[i * width + j + 1]);
		}
	}
	let [i, j] = [0, 0];
	while (i < a.length || j < b.length) {
		if (i < a.length && j < b.length && a[i] === b[j]) pairs.push([i++, j++]);
		else if (j >= b.length || (i < a.length && table[(i + 1) * width + j] >= table[i * width + j + 1])) pairs.push([i++, null]);
		else pairs.push([null, j++]);
	}
	return pairs;
}

/** Items are the same that say the same: a resent history has other ids. */
function keyOf(item) {
	return `${itemKind(item)} ${item.call_id ?? ""} ${itemText(item)}`;
}

function drawRow({ left, right }) {
	const same = left && right;
	return h("div", { class: `diff-row ${same ? "same" : left ? "gone" : "added"}` }, cell(left, "−", same), cell(right, "+", same));
}

function cell(item, sign, same) {
	if (!item) return h("div.diff-cell.none");
	return h("div.diff-cell",
		h("span.diff-sign", same ? " " : sign), h("span.kind", itemKind(item)),
		h("span.context-text", { dir: "auto" }, preview(itemText(item), 80)));
}
