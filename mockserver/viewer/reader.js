// A long text, its beginning first: 100 KB are not laid out before somebody wants to see them.

import { h, region } from "./dom.js";
import { copyButton } from "./clipboard.js";
import { number, visible } from "./format.js";

const FIRST = 8_000;

export function createReader(label) {
	const text = h("pre.reader-text", { ...region(label), dir: "auto" });
	const more = h("button.quiet", { onclick: () => open() });
	const title = h("span.reader-title");
	const element = h("div.reader", { hidden: true }, h("div.reader-head", title, copyButton("Copy", () => whole)), text, more);
	let whole = null;

	function open() {
		text.textContent = visible(whole);
		more.hidden = true;
	}

	return {
		element,
		show(next, name = "") {
			if (next === whole && title.textContent === name) return;
			whole = next;
			element.hidden = next === null;
			if (next === null) return;
			title.textContent = name;
			text.textContent = visible(next.slice(0, FIRST));
			text.scrollTop = 0;
			more.hidden = next.length <= FIRST;
			more.textContent = `Show all ${number(next.length)} characters`;
		},
	};
}
