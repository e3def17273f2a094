// From the server into the store: what was there, and what happens from then on.
//
// How it works. A project is read once, when its events have begun to come, so that nothing falls between: its graph,
// its clock, the summaries of its journal. After that events say what changed, and nothing is polled. A new response is
// drawn from the summary of its exchange at once; what only the graph knows (compaction, expiry) is read when the
// project has been quiet: of new ones, or of all where others may have changed.
//
// What must stay true: every answer is dropped that belongs to a project which is no longer looked at.

import { isTurn, mergeNodes, nodeOf, withBegun, withEnded } from "./exchanges.js";
import { emptyProject } from "./store.js";

const PAGE = 1000;
const QUIET_MS = 1500;

/** Reads and listens for one page; `notify(text)` tells the user. */
export function createFeed(api, store, notify) {
	let stop = () => {};
	let generation = 0; // counts the projects that were looked at
	let refresh = null;
	let newest = null; // the last stored response whose node was read; null: read all
	let lost = false;
	const lastOf = new Map(); // conversation → its last response

	async function start() {
		try {
			const [health, { data }] = await Promise.all([api.get("health"), api.get("projects")]);
			store.change({ health, projects: data, keyWanted: false });
			readModels().catch(() => {}); // the chart has no line for the window then
			const wanted = new URLSearchParams(location.search).get("project");
			select(wanted ?? data[0]?.name ?? null);
		} catch (problem) {
			const keyWanted = problem.status === 401;
			store.change({ keyWanted, connection: "lost", loaded: true });
			if (!keyWanted) setTimeout(start, 1000);
		}
	}

	async function readModels() {
		const { data } = await api.get("models");
		store.change({ models: new Map(data.map((model) => [model.id, model])) });
	}

	/** Look at a project; null waits for the first one. */
	function select(name) {
		stop();
		generation += 1;
		lastOf.clear();
		clearTimeout(refresh);
		store.change({
			...emptyProject(), project: name, loaded: name === null,
			levers: { ...store.state.levers, scenario: null, faults: null, result: null },
		});
		const mine = generation;
		stop = api.events(name, {
			onOpen: (again) => mine === generation && opened(mine, again),
			onEvent: (type, data) => mine === generation && happened(mine, type, data),
			onLost: (status) => mine === generation && broke(status),
		});
	}

	function opened(mine, again) {
		const wasLost = lost;
		lost = false;
		store.change({ connection: "live", ...(again ? { gone: false, details: new Map() } : {}) });
		if (wasLost) notify("The server is back. Everything was read again.");
		if (wasLost || again) readProjects();
		if (store.state.project !== null) read(mine);
	}

	function broke(status) {
		if (status === 401) return store.change({ keyWanted: true, connection: "lost" });
		if (!lost) notify("The connection to the server was lost. The page tries again by itself.");
		lost = true;
		return store.change({ connection: "lost" });
	}

	/** The project is unknown to the server, as after a restart: its name stays chosen, for it may come back. */
	function vanished() {
		if (!store.state.gone) {
			notify("This project is gone: it was forgotten, or the server has started over. It comes back with its first call.");
		}
		lastOf.clear();
		store.change({ ...emptyProject(), gone: true, loaded: true, connection: "live" });
		readProjects();
	}

	async function readProjects() {
		try {
			const { data } = await api.get("projects");
			store.change({ projects: data });
		} catch {
			// the next event asks again
		}
	}

	/** Read the whole project: first what is seen first. */
	async function read(mine) {
		const project = store.state.project;
		newest = null;
		const readPage = (after) => api.get(`journal?view=summary&limit=${PAGE}&after=${after}`, project);
		try {
			const [nodes, clock, first] = await Promise.all([readNodes(project), api.get("clock", project), readPage(0)]);
			const exchanges = first.data;
			const show = (state) => {
				// what happened while the journal was read is in the store already
				const last = exchanges.at(-1)?.id ?? 0;
				const all = [...exchanges, ...state.exchanges.filter((one) => one.running || one.id > last)];
				return { exchanges: all, ...graphPart(nodes, all) };
			};
			if (mine === generation) store.change((state) => ({ clock: { ...clock, readAt: Date.now() }, loaded: true, ...show(state) }));
			let page = first;
			while (page.has_more && mine === generation) {
				page = await readPage(page.last_id);
				exchanges.push(...page.data);
			}
			if (mine !== generation) return;
			if (page !== first) store.change(show);
			for (const exchange of exchanges) if (exchange.conversation) lastOf.set(exchange.conversation, exchange.response_id);
			await readVerdict(mine, project);
		} catch (problem) {
			if (mine !== generation) return;
			if (problem.status === 404) vanished();
			else if (problem.status === 401) store.change({ keyWanted: true, loaded: true });
			else if (problem.status !== 0) notify(`Could not read the project: ${problem.message}`);
		}
	}

	async function readVerdict(mine, project) {
		const { findings } = await api.get("verdict", project);
		if (mine === generation) store.change((state) => ({ reports: { ...state.reports, verdict: findings } }));
	}

	async function readNodes(project) {
		const after = (newest ??= ""); // an event may make it null meanwhile
		const { now, responses } = await api.get(after ? `graph?after=${encodeURIComponent(after)}` : "graph", project);
		const known = new Map(after ? [...store.state.nodes].filter(([, node]) => !node.sketch) : []);
		const nodes = [...known.values()];
		if (nodes.some((node) => node.state === "live" && (node.expires_at ?? now) < now)) {
			newest = null; // its clock runs
			return readNodes(project);
		}
		if (newest === after) {
			newest = responses.findLast(({ id, state }) => /live|expired/.test(state) && !known.has(id))?.id ?? after;
		}
		return [...nodes, ...responses];
	}

	function graphPart(responses, exchanges) {
		return { nodes: mergeNodes(responses, exchanges), graphVersion: store.state.graphVersion + 1 };
	}

	/** Read the graph again, once nothing has happened for a while: a busy project must not be slowed by a page. */
	function refreshLater(wait = QUIET_MS, all = true) {
		if (all) newest = null;
		clearTimeout(refresh);
		const mine = generation;
		refresh = setTimeout(async () => {
			try {
				const { project } = store.state;
				const nodes = await readNodes(project);
				if (mine === generation) store.change((state) => graphPart(nodes, state.exchanges));
				await readVerdict(mine, project);
			} catch (problem) {
				if (problem.status === 404) vanished();
				else if (problem.status === 400) refreshLater(); // the newest is gone
			}
		}, wait);
	}

	function happened(mine, type, data) {
		if (store.state.project === null) {
			select(data.project); // the first call of all
			readProjects();
			return;
		}
		if (store.state.gone) {
			store.change({ gone: false });
			readProjects();
			read(mine);
		}
		if (type === "lost") read(mine);
		else HAPPENED[type]?.(data);
	}

	const HAPPENED = {
		"exchange.began": (data) => store.change((state) => ({ exchanges: withBegun(state.exchanges, data) })),
		"exchange.ended": (data) =>
			store.change((state) => {
				const exchanges = withEnded(state.exchanges, data);
				refreshLater(QUIET_MS, false);
				if (!isTurn(data)) return { exchanges };
				const nodes = new Map(state.nodes);
				const sketch = nodeOf(data, lastOf.get(data.conversation) ?? null);
				const known = nodes.get(data.response_id);
				nodes.set(data.response_id, known && known.state !== "running" ? { ...sketch, ...withoutUsage(known) } : sketch);
				if (data.conversation) lastOf.set(data.conversation, data.response_id);
				return { exchanges, nodes, graphVersion: state.graphVersion + 1 };
			}),
		clock: (data) => {
			store.change({ clock: { now: data.now, mode: data.mode, readAt: Date.now() } });
			refreshLater(data.expired.length || data.completed.length ? 50 : QUIET_MS);
		},
		state: (data) => {
			if (data.cleared) {
				lastOf.clear();
				store.change({ exchanges: [], nodes: new Map(), details: new Map(), selected: null, graphVersion: store.state.graphVersion + 1 });
				read(generation);
				return;
			}
			const deleted = data.changes.filter((one) => one.kind === "response" && one.change !== "created").map((one) => one.id);
			if (deleted.length) store.change((state) => withState(state, deleted, "deleted"));
			const running = data.changes.some((one) => one.kind === "running");
			if (running || deleted.length || data.more) refreshLater(50);
		},
	};

	return {
		start, select, readProjects,
		/** Read everything again, as after a reset. */
		refresh() {
			store.change({ exchanges: [] });
			return read(generation);
		},
	};
}

function withoutUsage(node) {
	const { state, compacted, dropped, expires_at, parent, sketch } = node;
	return { state, compacted, dropped, expires_at, parent, sketch };
}

function withState(state, ids, name) {
	const nodes = new Map(state.nodes);
	for (const id of ids) if (nodes.has(id)) nodes.set(id, { ...nodes.get(id), state: name });
	return { nodes, graphVersion: state.graphVersion + 1 };
}
