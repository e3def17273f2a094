// Elements made from values. Text is only ever a text node, with its control characters written out: no string of a
// client or a model is read as HTML, or passes for another one.

import { number, visible } from "./format.js";

const SVG = "http://www.w3.org/2000/svg";

/** An element with its classes: `h("button.quiet.small", { onclick: act }, "Copy")`; attributes may be left out. */
export function h(name, ...rest) {
	return make((tag) => document.createElement(tag), name, rest);
}

/** The same for SVG. */
export function s(name, ...rest) {
	return make((tag) => document.createElementNS(SVG, tag), name, rest);
}

function make(create, name, rest) {
	const [tag, ...classes] = name.split(".");
	const element = create(tag);
	if (tag === "button") element.type = tag;
	if (classes.length) element.setAttribute("class", classes.join(" "));
	const attributes = rest[0]?.constructor === Object ? rest.shift() : {};
	for (const [name, value] of Object.entries(attributes)) setAttribute(element, name, value);
	append(element, rest);
	return element;
}

function setAttribute(element, name, value) {
	if ((value ?? false) === false) return;
	if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
	else if (name === "value") element.value = value;
	else element.setAttribute(name, value === true ? "" : String(value));
}

function append(element, children) {
	for (const child of children.flat(Infinity)) {
		if ((child ?? false) === false) continue;
		element.append(child instanceof Node ? child : document.createTextNode(visible(child)));
	}
}

/** Replace what an element holds. */
export function replace(element, ...children) {
	element.textContent = "";
	append(element, children);
	return element;
}

/** Replace it only when what it shows has changed; `version` is compared with the last one. */
export function replaceIf(element, version, make) {
	if (element.shownVersion === version) return false;
	element.shownVersion = version;
	replace(element, make());
	return true;
}

/** A function that has `draw` called in the next frame, once however often it is asked. */
export function oncePerFrame(draw) {
	let waiting = false;
	return () => {
		if (waiting) return;
		waiting = true;
		requestAnimationFrame((time) => {
			waiting = false;
			draw(time);
		});
	};
}

/** A heading with a count. */
export function counted(title, count) {
	return h("h2", title, count !== undefined && h("span.count", ` ${number(count)}`));
}

/** What stands before a row of a tree. */
export function indent(depth, step) {
	const pad = h("span.json-pad");
	pad.style.width = `${Math.min(depth, 24) * step}px`;
	return pad;
}

/** Attributes of what scrolls and is no list. */
export function region(label) {
	return { tabindex: "0", role: "region", "aria-label": label };
}

let ids = 0;

/** An id for elements that name each other. */
export function freshId(prefix) {
	ids += 1;
	return `${prefix}-${ids}`;
}

/** A labelled form field. */
export function field(label, control, hint) {
	const id = freshId("field");
	control.id = id;
	return h("p", { class: "field" }, h("label", { for: id }, label), control, hint && h("small", null, hint));
}
