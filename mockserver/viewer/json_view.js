// JSON of any size, foldable: values become rows, and a virtual list draws those in sight.

import { h, indent } from "./dom.js";
import { createReader } from "./reader.js";
import { createList } from "./virtual_list.js";

const OPEN_DEPTH = 2; // what is open at first
const MANY = 60; // longer lists are closed at first
const SHOWN = 180; // characters of a text on its row

/** The rows of a value whose folded places are `toggled` away from their default: pure, one row per line. */
export function rowsOf(value, toggled) {
	const rows = [];
	// a stack, not recursion: what a client sends may be deep
	const waiting = [{ value, key: null, path: "$", depth: 0 }];
	while (waiting.length) {
		const one = waiting.pop();
		if (one.closes) {
			rows.push(one);
			continue;
		}
		const nested = one.value !== null && typeof one.value === "object";
		if (!nested) {
			rows.push(one);
			continue;
		}
		const list = Array.isArray(one.value);
		const keys = list ? one.value : Object.keys(one.value);
		const folds = keys.length > 0;
		const open = folds && toggled.has(one.path) !== isOpenAtFirst(one, keys.length);
		rows.push({ ...one, folds, open, list, size: keys.length });
		if (!open) continue;
		waiting.push({ closes: list ? "]" : "}", depth: one.depth, path: `${one.path}/` });
		for (let at = keys.length - 1; at >= 0; at -= 1) {
			const key = list ? at : keys[at];
			waiting.push({ value: one.value[key], key: list ? null : key, path: `${one.path}.${key}`, depth: one.depth + 1 });
		}
	}
	return rows;
}

function isOpenAtFirst({ depth, key }, size) {
	return depth === 0 || (depth <= OPEN_DEPTH && size <= MANY && key !== "headers");
}

/** A view of one value; `show(value)` replaces it. */
export function createJsonView(label) {
	let value;
	let toggled = new Set();
	const reader = createReader(`Text of ${label}`);
	const list = createList({ label, rowHeight: 20, draw: drawRow, name: (row) => row.path, onSelect, onOpen: onSelect, empty: "Nothing to show." });
	const element = h("div.json", list.element, reader.element);

	function onSelect(row, index, event) {
		const byKey = event?.type === "keydown" && event.key !== "Enter";
		if (row.folds && !byKey) {
			toggled = new Set(toggled);
			if (!toggled.delete(row.path)) toggled.add(row.path);
			list.show(rowsOf(value, toggled), row.path);
		}
		reader.show(typeof row.value === "string" && row.value.length > 80 ? row.value : null);
	}

	return {
		element,
		show(next) {
			if (next === value) return;
			value = next;
			toggled = new Set();
			reader.show(null);
			list.show(value === undefined ? [] : rowsOf(value, toggled));
		},
	};
}

function drawRow(row) {
	const pad = indent(row.depth, 14);
	if (row.closes) return [pad, h("span.json-mark", row.closes)];
	return [
		pad,
		h("span.json-fold", { "aria-hidden": "true" }, row.folds ? (row.open ? "▾" : "▸") : ""),
		row.key !== null && [h("span.json-key", row.key), h("span.json-mark", ": ")],
		drawValue(row),
	];
}

function drawValue(row) {
	if (row.value !== null && typeof row.value === "object") {
		const [opens, closes] = Array.isArray(row.value) ? ["[", "]"] : ["{", "}"];
		if (row.open) return h("span.json-mark", opens);
		return h("span.json-mark", row.folds ? `${opens}… ${row.size}${closes}` : opens + closes);
	}
	if (typeof row.value === "string") {
		const text = JSON.stringify(row.value.slice(0, SHOWN));
		const more = row.value.length > SHOWN ? ` … ${row.value.length} characters` : "";
		return [h("span.json-text", { dir: "ltr" }, text), more && h("span.json-more", more)];
	}
	return h("span.json-value", String(row.value));
}
