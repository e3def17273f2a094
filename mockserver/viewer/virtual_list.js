// A list of any length: only the rows in sight are elements. All rows have the same height, so a place is a product.

import { freshId, h, oncePerFrame } from "./dom.js";

const MARGIN = 6; // rows drawn beyond those in sight
const TALLEST = 8_000_000; // pixels; below, browsers draw nothing

/**
 * A list box. `draw(item, index)` makes a row's content, `name(item)` says which rows are the same, `onSelect(item, index)`
 * is told when one is chosen, `onOpen` when Enter is pressed on it.
 */
export function createList({ label, rowHeight, draw, name, onSelect, onOpen, empty, follow = false }) {
	const id = freshId("list");
	const canvas = h("div.list-canvas", { role: "presentation" });
	const element = h("div.list", { role: "listbox", tabindex: "0", "aria-label": label, id, "aria-busy": "true" }, canvas);
	const nothing = h("p.list-empty");
	let items = [];
	let selected = -1;
	const schedule = oncePerFrame(render);
	let stick = follow; // whether the end is in sight and stays so

	element.addEventListener("scroll", () => {
		stick = follow && element.scrollTop + element.clientHeight >= element.scrollHeight - rowHeight;
		schedule();
	}, { passive: true });
	element.addEventListener("keydown", onKey);
	new ResizeObserver(() => {
		if (selected >= 0 && !stick) reveal(selected);
		schedule();
	}).observe(element);

	function render() {
		const count = setHeight();
		if (stick && !document.hidden) element.scrollTop = element.scrollHeight;
		const first = Math.max(0, Math.floor(element.scrollTop / rowHeight) - MARGIN);
		const last = Math.min(count, Math.ceil((element.scrollTop + element.clientHeight) / rowHeight) + MARGIN);
		const rows = [];
		for (let index = first; index < last; index += 1) rows.push(row(index));
		canvas.replaceChildren(...rows);
		element.ariaBusy = String(!rows.length);
		if (items.length === 0 && empty) {
			nothing.textContent = typeof empty === "function" ? empty() : empty;
			canvas.append(nothing);
		}
		const shown = selected >= first && selected < last;
		if (shown) element.setAttribute("aria-activedescendant", `${id}-${selected}`);
		else element.removeAttribute("aria-activedescendant");
	}

	function setHeight() {
		const count = Math.min(items.length, Math.floor(TALLEST / rowHeight));
		canvas.style.height = `${count * rowHeight}px`;
		return count;
	}

	function row(index) {
		const content = draw(items[index], index);
		const element = h("div.row", {
			role: "option", id: `${id}-${index}`, "aria-selected": String(index === selected),
			"aria-setsize": items.length, "aria-posinset": index + 1, onclick: (event) => choose(index, event),
		}, content);
		element.style.top = `${index * rowHeight}px`;
		element.style.height = `${rowHeight}px`;
		return element;
	}

	function choose(index, event) {
		if (index < 0 || index >= items.length) return;
		selected = index;
		reveal(index);
		schedule();
		onSelect?.(items[index], index, event);
	}

	function reveal(index) {
		const top = index * rowHeight;
		if (top < element.scrollTop) element.scrollTop = top;
		else if (top + rowHeight > element.scrollTop + element.clientHeight) element.scrollTop = top + rowHeight - element.clientHeight;
	}

	function onKey(event) {
		const page = Math.max(1, Math.floor(element.clientHeight / rowHeight) - 1);
		const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, j: 1, k: -1 };
		if (event.metaKey || event.ctrlKey || event.altKey) return;
		if (event.key in moves) choose(Math.max(0, Math.min(items.length - 1, selected + moves[event.key])), event);
		else if (event.key === "Home") choose(0, event);
		else if (event.key === "End") choose(items.length - 1, event);
		else if (event.key === "Enter" && selected >= 0) onOpen?.(items[selected], selected, event);
		else return;
		event.preventDefault();
		event.stopPropagation();
	}

	return {
		element,
		/** Show other items; the row called `chosen` is the selected one. */
		show(next, chosen = null) {
			items = next;
			setHeight(); // at once, for a key before the next frame
			const before = selected;
			selected = chosen === null ? -1 : items.findLastIndex((item) => name(item) === chosen);
			if (selected !== before && selected >= 0 && !stick) reveal(selected);
			schedule();
		},
		redraw: schedule,
		reveal(index) {
			element.scrollTop = Math.max(0, index * rowHeight - element.clientHeight / 2);
			schedule();
		},
	};
}
