// What the page knows about exchanges and responses, as pure functions: lists and nodes in, lists and nodes out.

const MOST = 20_000; // exchanges that the page keeps; the oldest go first

/** The exchanges with one that has begun. */
export function withBegun(exchanges, begun) {
	return [...exchanges, { ...begun, id: null, running: true }].slice(-MOST);
}

/** The exchanges with one that has ended, in place of the one that had begun. */
export function withEnded(exchanges, summary) {
	const same = (one) => isExchange(one, summary);
	if (summary.id !== null && exchanges.some((one) => one.id === summary.id && !same(one))) {
		// somebody has emptied the journal
		return [...exchanges.filter((one) => one.running && !same(one)), summary];
	}
	const at = exchanges.findLastIndex(same);
	if (at < 0) return [...exchanges, summary].slice(-MOST);
	return exchanges.toSpliced(at, 1, summary).filter((one) => one === summary || !same(one));
}

function isExchange(row, told) {
	if (row.exchange === told.exchange) return row.running || row.id === told.id;
	// the journal's rows have no such number
	return !row.exchange && ["id", "at", "duration_ms"].every((name) => row[name] === told[name]);
}

/** Whether an exchange created a response, stored or not. */
export function isTurn(exchange) {
	return exchange.method === "POST" && Boolean(exchange.response_id) && !/\/cancel$/.test(exchange.path);
}

/** Whether an exchange was answered elsewhere: this mock does not hold what it made. */
export function isRelayed({ answered_by }) {
	return /^(upstream(, \w+)?|cassette (#\d+|miss)|proxy)$/.test(answered_by ?? "");
}

/** The node of a response that an exchange made, as far as its summary says. */
export function nodeOf(exchange, last) {
	const { model, previous_response_id, conversation, store, input_tokens, cached_tokens, output_tokens } = exchange;
	return {
		id: exchange.response_id,
		state: "live",
		status: exchange.response_status ?? "completed",
		created_at: exchange.at,
		expires_at: null,
		model,
		parent: previous_response_id ?? (conversation ? last : null),
		previous_response_id,
		conversation,
		store,
		background: false,
		usage: { input_tokens, cached_tokens, output_tokens },
		compacted: false,
		dropped: 0,
		away: isRelayed(exchange),
		sketch: true, // the server knows more
	};
}

/** All nodes: those of the server's graph, and those that only the journal knows (not stored, or gone). */
export function mergeNodes(responses, exchanges) {
	const nodes = new Map(responses.map((node) => [node.id, node]));
	const lasts = new Map();
	for (const exchange of exchanges) {
		if (!isTurn(exchange)) continue;
		const known = nodes.get(exchange.response_id);
		if (!known) {
			const state = exchange.store === false || isRelayed(exchange) ? "live" : "gone";
			const node = { ...nodeOf(exchange, lasts.get(exchange.conversation) ?? null), state };
			nodes.set(node.id, node);
		} else if (known.model === null) {
			nodes.set(known.id, { ...nodeOf(exchange, null), ...withoutNulls(known), sketch: false });
		}
		if (exchange.conversation) lasts.set(exchange.conversation, exchange.response_id);
	}
	return nodes;
}

function withoutNulls(node) {
	return Object.fromEntries(Object.entries(node).filter(([, value]) => value !== null));
}

/** The exchange that made a response. */
export function exchangeOf(exchanges, responseId) {
	for (let at = exchanges.length - 1; at >= 0; at -= 1) {
		if (exchanges[at].response_id === responseId && isTurn(exchanges[at])) return exchanges[at];
	}
	return null;
}

/** The responses from the first of a chain to this one. */
export function chainOf(nodes, id) {
	const chain = [];
	const seen = new Set();
	for (let node = nodes.get(id); node && !seen.has(node.id); node = nodes.get(node.parent)) {
		seen.add(node.id);
		chain.push(node);
	}
	return chain.reverse();
}

/** The rules that each exchange breaks, by its id. */
export function mistakesOf(findings) {
	const mistakes = new Map();
	// the last of a finding's exchanges is the one that did it; those before it only show what was there
	for (const { rule, exchanges } of findings ?? []) {
		const id = exchanges.at(-1);
		mistakes.set(id, [...(mistakes.get(id) ?? []), rule]);
	}
	return mistakes;
}

const includes = (name) => (exchange, value) => exchange[name]?.toLowerCase().includes(value);
const FIELDS = {
	path: includes("path"), model: includes("model"), status: statusHolds, method: includes("method"), over: includes("transport"),
	by: includes("answered_by"), conversation: includes("conversation"),
};

function statusHolds(exchange, value) {
	const status = String(exchange.status ?? "");
	return /^\dxx$/.test(value) ? status[0] === value[0] : status === value || exchange.response_status === value;
}

/** Those that a filter lets through: words, and `path:`, `model:`, `status:4xx`, `chain:resp_…`, `by:`, `over:`. */
export function filterExchanges(exchanges, filter, nodes, mistakes) {
	const terms = filter.toLowerCase().split(/\s+/).filter(Boolean).map((term) => readTerm(term, nodes, mistakes));
	return terms.length ? exchanges.filter((exchange) => terms.every((holds) => holds(exchange))) : exchanges;
}

function readTerm(term, nodes, mistakes) {
	const negated = term.startsWith("-") && term.length > 1;
	const [, name, value] = /^(\w+):(.+)$/.exec(negated ? term.slice(1) : term) ?? [];
	let holds = (exchange) => textOf(exchange).includes(negated ? term.slice(1) : term);
	if (name === "chain") {
		const members = chainMembers(nodes, value);
		holds = (exchange) => members.has(exchange.response_id);
	} else if (name === "is") {
		holds = (exchange) => value === "mistake" && Boolean(mistakes?.has(exchange.id));
	} else if (name in FIELDS) {
		holds = (exchange) => Boolean(FIELDS[name](exchange, value));
	}
	return negated ? (exchange) => !holds(exchange) : holds;
}

/** Everything before and after a response: the chain with its forks. */
export function chainMembers(nodes, part) {
	const start = [...nodes.values()].find((node) => node.id.toLowerCase().endsWith(part) || node.id.toLowerCase() === part);
	const members = new Set();
	if (!start) return members;
	members.add(chainOf(nodes, start.id)[0].id);
	// parents come before their children
	for (const node of nodes.values()) if (members.has(node.parent)) members.add(node.id);
	return members;
}

const TEXTS = [
	"method", "path", "model", "status", "error_code", "answered_by", "response_id", "previous_response_id", "conversation",
	"response_status", "transport",
];

function textOf(exchange) {
	exchange.text ??= TEXTS.map((name) => exchange[name]).join(" ").toLowerCase();
	return exchange.text;
}
