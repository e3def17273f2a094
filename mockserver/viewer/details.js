// What a detail tab needs to know and how it is read; answers go into the store, so tabs only draw.

import { exchangeOf } from "./exchanges.js";

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
		if (isHeld(node)) want(`context ${id}`, (project) => api.get(`responses/${encodeURIComponent(id)}/context`, project));
		else want(`context ${id}`, (project) => readFromJournal(exchangeOf(store.state.exchanges, id), project));
	}

	/** What the model saw of a turn that the state no longer holds, or never did. */
	async function readFromJournal(exchange, project) {
		if (!exchange?.id) throw new Error("The journal no longer has the exchange of this response.");
		const page = await api.get(`journal?limit=1&context=full&after=${exchange.id - 1}`, project);
		const context = page.data[0]?.context;
		if (!context?.items) throw new Error("What the model saw is not kept any more.");
		return context;
	}

	function load(state) {
		const { selected, tab, nodes } = state;
		if (!selected || state.view !== "trace") return;
		const { exchange, response } = selected;
		if (exchange !== null && typeof exchange === "number") {
			want(`exchange ${exchange}`, async (project) =>
				(await api.get(`journal?limit=1&after=${exchange - 1}`, project)).data.find((one) => one.id === exchange) ?? null);
		}
		const node = nodes.get(response);
		const parent = node?.parent ?? null;
		const running = node?.state === "running";
		if (response && (tab === "context" || tab === "diff")) {
			wantContext(response);
			if (parent) wantContext(parent);
			const other = tab === "diff" ? otherOf(state) : null;
			if (other) wantContext(other);
		}
		if (isHeld(node) && (tab === "response" || tab === "request" || tab === "context" || tab === "events")) {
			want(responseKey(response, running), (project) => api.get(`responses/${encodeURIComponent(response)}`, project));
		}
		if (isHeld(nodes.get(parent)) && tab === "context") {
			want(`response ${parent}`, (project) => api.get(`responses/${encodeURIComponent(parent)}`, project));
		}
		if (isHeld(node) && tab === "events") {
			const pacing = pacingOf(state.details.get(`exchange ${exchange}`)?.value);
			if (exchange === null || state.details.get(`exchange ${exchange}`)?.status === "ready") {
				const query = pacing ? `?first_token=${pacing.first_token ?? 0}&tokens_per_second=${pacing.tokens_per_second ?? 0}` : "";
				want(`events ${response}`, (project) => api.get(`responses/${encodeURIComponent(response)}/events${query}`, project));
			}
		}
	}

	store.watch(load);
}

/** Whether the server still holds a response: it can then be read, expired or not. */
export function isHeld(node) {
	return Boolean(node) && node.store !== false && node.state !== "deleted" && node.state !== "gone";
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
