// Values as people read them.

const NUMBER = new Intl.NumberFormat("en-US");
// They turn the direction of what follows, or are not seen at all: a text could pass for another one.
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g;

/** A whole number with separators; a dash where there is none. */
export function number(value) {
	return (value ?? null) === null ? "–" : NUMBER.format(value);
}

/** Time of day of unix seconds, UTC. */
export function clockTime(seconds) {
	return isoOf(seconds).slice(11) || "–";
}

/** Date and time of unix seconds, UTC. */
export function dateTime(seconds) {
	return isoOf(seconds).slice(0, 19) || "–";
}

function isoOf(seconds) {
	return Math.abs(seconds ?? NaN) < 8.64e12 ? new Date(seconds * 1000).toISOString().slice(0, 23).replace("T", " ") : "";
}

/** A length of milliseconds. */
export function milliseconds(value) {
	if ((value ?? null) === null) return "–";
	if (value < 10) return `${value.toFixed(1)} ms`;
	return value < 10_000 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(1)} s`;
}

/** The end of an id, which is where ids differ. */
export function shortId(id) {
	if (!id) return "–";
	const [prefix] = id.split("_", 1);
	return id.length > 16 ? `${prefix}_…${visible(id.slice(-6))}` : visible(id);
}

/** A text with its control and direction characters written out. */
export function visible(text) {
	return String(text).replace(HIDDEN, (character) => {
		const code = character.codePointAt(0);
		return code < 32 ? String.fromCodePoint(0x2400 + code) : `\\u${code.toString(16).padStart(4, "0")}`;
	});
}

/** The beginning of a text, on one line. */
export function preview(text, length = 160) {
	const line = visible(String(text).slice(0, length * 2).replace(/\s+/g, " ").trim());
	return line.length > length || text.length > length * 2 ? `${line.slice(0, length)}…` : line;
}

/** What an item says: its text, its call, its output. */
export function itemText(item) {
	if (typeof item === "string") return item;
	if (item === null || typeof item !== "object") return String(item);
	if (typeof item.content === "string") return item.content;
	if (Array.isArray(item.content) && item.content.length) return partsText(item.content);
	if (item.arguments !== undefined) return `${item.name}(${item.arguments})`;
	if (item.output !== undefined) return typeof item.output === "string" ? item.output : partsText(item.output);
	if (Array.isArray(item.summary) && item.summary.length) return partsText(item.summary);
	if (item.input !== undefined) return `${item.name ?? ""} ${typeof item.input === "string" ? item.input : JSON.stringify(item.input)}`;
	if (item.type === "reasoning") return item.encrypted_content ? "encrypted reasoning" : "reasoning, not shown";
	if (item.type === "compaction") return "everything before this, compacted";
	return JSON.stringify(item);
}

function partsText(parts) {
	return Array.isArray(parts) ? parts.map(partText).join("\n") : JSON.stringify(parts);
}

function partText(part) {
	if (typeof part === "string") return part;
	return part.text ?? part.refusal ?? part.transcript ?? `[${part.type ?? "part"}${part.filename ? ` ${part.filename}` : ""}]`;
}

/** What an item is: its role or its type. */
export function itemKind(item) {
	if (item === null || typeof item !== "object") return "text";
	return item.role ?? (item.type ?? "message").replaceAll("_", " ");
}

/** A number of bytes. */
export function bytes(count) {
	return count < 1024 ? `${count} B` : `${(count / 1024).toFixed(1)} KB`;
}
