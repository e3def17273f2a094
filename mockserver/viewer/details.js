// What a detail tab needs to know and how it is read; answers go into the store, so tabs only draw.

import { exchangeOf, isRelayed } from "./exchanges.js";

const MOST = 80; // answers that are kept

/** Reads what the chosen tab shows of what is selected. */
export function createDetails(api, store) {
	function want(key, read) {
		const known = store.state.details.get(key);
		if (known) return;
		const { project } = store.state;
		keep(key, { status: "loading" });
		read(project).then(
			(value) => store.state.project === project && keep(key, { status: "ready", value }),
			(problem) => store.state.project === project && keep(key, { status: "failed", message: problem.message }),
		);
	}

	function wantOf(key, id, rest = "") {
		want(key, (project) => api.get(`responses/${encodeURIComponent(id)}${rest}`, project));
	}

	function keep(key, entry) {
		store.change((state) => {
			const details = new Map(state.details);
			details.delete(key);
			details.set(key, entry);
			for (const old of details.keys()) {
				if (details.size <= MOST) break;
				details.delete(old);
			}
			return { details };
		});
	}

	function wantContext(id) {
		const node = store.state.nodes.get(id);
		if (isHeld(node)) wantOf(`context ${id}`, id, "/context");
		else want(`context ${id}`, (project) => readFromJournal(exchangeOf(store.state.exchanges, id), project));
	}

	/** What the model saw of a turn that the state no longer holds, or never did. */
	async function readFromJournal(exchange, project) {
		if (!exchange?.id) throw new Error("The journal no longer has the exchange of this response.");
		const page = await api.get(`journal?limit=1&context=full&after=${exchange.id - 1}`, project);
		const context = page.data[0]?.context;
		if (isRelayed(exchange)) throw new Error("It was answered elsewhere, where its context is. What was sent is in the tab Request.");
		if (!context?.items) throw new Error("What the model saw is not kept any more.");
		return context;
	}

	function load(state) {
		const { selected, tab, nodes } = state;
		if (!selected || state.view !== "trace") return;
		const { exchange, response } = selected;
		if (typeof exchange === "number") {
			want(`exchange ${exchange}`, async (project) =>
				withAnswer((await api.get(`journal?limit=1&after=${exchange - 1}`, project)).data.find((one) => one.id === exchange)));
		}
		const node = nodes.get(response);
		const parent = node?.parent ?? null;
		const running = node?.state === "running";
		if (response && /context|diff/.test(tab)) {
			wantContext(response);
			if (parent) wantContext(parent);
			const other = tab === "diff" ? otherOf(state) : null;
			if (other) wantContext(other);
		}
		if (isHeld(node) && !/why|diff/.test(tab)) {
			wantOf(responseKey(response, running), response);
		}
		if (isHeld(nodes.get(parent)) && tab === "context") {
			wantOf(`response ${parent}`, parent);
		}
		if (isHeld(node) && tab === "events") {
			const pacing = pacingOf(state.details.get(`exchange ${exchange}`)?.value);
			if (exchange === null || state.details.get(`exchange ${exchange}`)?.status === "ready") {
				const query = pacing ? `?first_token=${pacing.first_token ?? 0}&tokens_per_second=${pacing.tokens_per_second ?? 0}` : "";
				wantOf(`events ${response}`, response, `/events${query}`);
			}
		}
	}

	store.watch(load);
}

/** An exchange whose answer, where another gave it, is a value if it is JSON. */
function withAnswer(exchange) {
	if (!exchange?.answer) return exchange ?? null;
	try {
		return { ...exchange, answer: JSON.parse(exchange.answer) };
	} catch {
		return exchange; // a stream, or cut
	}
}

/** Whether the server still holds a response: it can then be read, expired or not. */
export function isHeld(node) {
	return Boolean(node) && !node.away && node.store !== false && !/deleted|gone/.test(node.state);
}

/** The key of a response's answer: what is running will be another one. */
export function responseKey(id, running) {
	return running ? `running ${id}` : `response ${id}`;
}

/** The response that the diff compares with: the chosen one, else the parent, else the newest other. */
export function otherOf({ selected, compared, nodes }) {
	const id = selected.response;
	if (compared && compared !== id) return compared;
	return nodes.get(id)?.parent ?? [...nodes.keys()].findLast((one) => one !== id) ?? null;
}

function pacingOf(exchange) {
	return exchange?.line?.pacing ?? null;
}
