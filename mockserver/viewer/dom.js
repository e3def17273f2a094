// Elements made from values. Text is only ever a text node: no string of a client or a model is read as HTML.

const SVG = "http://www.w3.org/2000/svg";

/** An element: `h("button", { class: "quiet", onclick: act }, "Copy")`. */
export function h(name, attributes, ...children) {
	const element = document.createElement(name);
	if (name === "button") element.type = "button";
	return fill(element, attributes, children);
}

/** The same for SVG. */
export function s(name, attributes, ...children) {
	return fill(document.createElementNS(SVG, name), attributes, children);
}

function fill(element, attributes, children) {
	for (const [name, value] of Object.entries(attributes ?? {})) setAttribute(element, name, value);
	append(element, children);
	return element;
}

function setAttribute(element, name, value) {
	if (value === null || value === undefined || value === false) return;
	if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
	else if (name === "value") element.value = value;
	else element.setAttribute(name, value === true ? "" : String(value));
}

function append(element, children) {
	for (const child of children.flat(Infinity)) {
		if (child === null || child === undefined || child === false) continue;
		element.append(child instanceof Node ? child : document.createTextNode(String(child)));
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
