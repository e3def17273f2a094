// The one state of the page. Data flows one way: an action changes the state, the views are told, they draw.

/** A store: `change(part)` merges a new part, `watch(view)` draws after every change, at most once a frame. */
export function createStore(initial) {
	let state = initial;
	let waiting = false;
	const views = new Set();

	function draw() {
		waiting = false;
		for (const view of views) view(state);
	}

	return {
		get state() {
			return state;
		},
		change(part) {
			state = { ...state, ...(typeof part === "function" ? part(state) : part) };
			if (waiting) return;
			waiting = true;
			// a hidden page has no frames; it must not collect changes for ever
			if (document.hidden) setTimeout(draw);
			else requestAnimationFrame(draw);
		},
		watch(view) {
			views.add(view);
		},
	};
}

/** What the page knows of a project before the server has said anything of it. */
export function emptyProject() {
	return {
		gone: false, // the project was there and is not any more
		clock: null, // {now, mode, readAt}
		exchanges: [], // summaries, oldest first; those in progress have no id
		nodes: new Map(), // responses by id, as the graph draws them
		selected: null, // {exchange, response}: an id of the journal, an id of a response; either may be null
		details: new Map(), // what was read for the detail tabs, by key
		compared: null, // the response that the diff compares with
		reports: { verdict: null, drift: null },
	};
}

/** What the page knows before the server has said anything. */
export function initialState() {
	return {
		...emptyProject(),
		projects: [],
		project: null, // a name of `projects`
		connection: "connecting", // live, lost
		keyWanted: false,
		loaded: false,
		health: null,
		graphVersion: 0,
		models: new Map(), // context windows by model
		filter: "",
		view: "trace",
		pane: "list", // which of the three panes a narrow window shows
		tab: "context",
		cassette: null, // what the server says of it: rows, totals, misses
		levers: { scenario: null, faults: null, snapshots: [], result: null },
		notices: [],
	};
}
