// The control API: JSON calls, and the live events as a stream that comes back by itself.

/** A call that the server refused, or that never arrived (`status` 0). */
export class CallError extends Error {
	constructor(message, status) {
		super(message);
		this.status = status;
	}
}

/** The calls of one page; `key` is only needed where the server was started with --api-key, and is kept nowhere. */
export function createApi() {
	let key = null;

	function headers(project, more) {
		return {
			...(project ? { "X-Understudy-Project": project } : {}),
			...(key ? { Authorization: `Bearer ${key}` } : {}),
			...more,
		};
	}

	async function send(method, path, project, body, signal) {
		let answer;
		try {
			answer = await fetch(`/_mock/${path}`, {
				method,
				headers: headers(project, body === undefined ? {} : { "Content-Type": "application/json" }),
				body: body === undefined ? undefined : JSON.stringify(body),
				cache: "no-store",
				signal,
			});
		} catch (problem) {
			throw new CallError(problem.name === "AbortError" ? "stopped" : "The server does not answer.", 0);
		}
		if (answer.ok) return answer;
		let message = `${answer.status} ${answer.statusText}`;
		try {
			message = (await answer.json()).error.message;
		} catch {
			// not ours: the status must do
		}
		throw new CallError(message, answer.status);
	}

	return {
		useKey(given) {
			key = given || null;
		},
		async get(path, project) {
			return (await send("GET", path, project)).json();
		},
		async text(path, project) {
			return (await send("GET", path, project)).text();
		},
		async send(method, path, project, body) {
			const answer = await send(method, path, project, body);
			return answer.status === 204 ? null : answer.json();
		},
		events: (project, listener) => listen((signal, lastId) => open(project, lastId, signal), listener),
	};

	async function open(project, lastId, signal) {
		const query = project ? `?project=${encodeURIComponent(project)}` : "";
		const answer = await fetch(`/_mock/events${query}`, {
			headers: headers(null, { Accept: "text/event-stream", ...(lastId ? { "Last-Event-ID": lastId } : {}) }),
			cache: "no-store",
			signal,
		});
		if (!answer.ok) throw new CallError(`${answer.status}`, answer.status);
		return answer.body.getReader();
	}
}

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 3000;
const SILENCE_MS = 45_000; // the server says something every 15 seconds

/** Listen until `stop()` is called, again and again; `EventSource` can send neither a key nor say why it failed. */
function listen(open, { onOpen, onEvent, onLost }) {
	const aborted = new AbortController();
	let lastId = null;
	let wait = FIRST_WAIT_MS;

	async function run() {
		while (!aborted.signal.aborted) {
			try {
				const reader = await open(aborted.signal, lastId);
				wait = FIRST_WAIT_MS;
				onOpen(lastId !== null);
				await read(reader);
				onLost(0);
			} catch (problem) {
				if (!aborted.signal.aborted) onLost(problem.status ?? 0);
			}
			if (aborted.signal.aborted) return;
			await new Promise((done) => setTimeout(done, wait));
			wait = Math.min(wait * 2, LONGEST_WAIT_MS);
		}
	}

	async function read(reader) {
		const parser = createParser((event) => {
			lastId = event.id ?? lastId;
			onEvent(event.type, event.data);
		});
		const decoder = new TextDecoder();
		for (;;) {
			const quiet = setTimeout(() => reader.cancel(), SILENCE_MS);
			const { done, value } = await reader.read();
			clearTimeout(quiet);
			if (done) return;
			parser(decoder.decode(value, { stream: true }));
		}
	}

	run();
	return () => aborted.abort();
}

/** Feed it text; it calls back with `{id, type, data}` for each whole event. */
export function createParser(onEvent) {
	let rest = "";
	return (text) => {
		const blocks = (rest + text).split("\n\n");
		rest = blocks.pop();
		for (const block of blocks) {
			const event = { id: null, type: "message", data: null };
			for (const line of block.split("\n")) {
				if (line.startsWith("id: ")) event.id = line.slice(4);
				else if (line.startsWith("event: ")) event.type = line.slice(7);
				else if (line.startsWith("data: ")) event.data = JSON.parse(line.slice(6));
			}
			if (event.data !== null) onEvent(event);
		}
	};
}
