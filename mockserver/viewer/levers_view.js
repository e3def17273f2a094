// The levers: what a test author does with the control API, by hand.

import { field, h, replaceIf } from "./dom.js";
import { copyButton } from "./clipboard.js";
import { bytes, dateTime, number, shortId, visible } from "./format.js";
import { createJsonView } from "./json_view.js";
import { compareSnapshots } from "./snapshots.js";

export function createLeversView(api, store, reread) {
	const said = h("p.lever-said", { role: "status" });
	const cards = [clockCard(), queueCard(), faultCard(), snapshotCard(), journalCard(), resetCard()];
	const element = h("div.view.view-levers", { id: "view-levers" }, said, cards.map((card) => card.element));

	/** Do something, say what came of it. */
	async function act(work, say) {
		const { project } = store.state;
		said.className = "lever-said";
		try {
			const answer = await work(project);
			said.textContent = say(answer);
		} catch (problem) {
			said.classList.add("bad-text");
			said.textContent = visible(problem.message);
		}
	}

	async function refresh(project) {
		const [scenario, faults] = await Promise.all([api.get("scenario", project), api.get("faults", project)]);
		if (store.state.project === project) store.change((state) => ({ levers: { ...state.levers, scenario, faults: faults.faults } }));
	}

	function form(title, ...content) {
		return h("section.card", h("h2", title), content);
	}

	function button(label, onclick, kind = "") {
		return h("button", { class: kind, onclick }, label);
	}

	// --- clock

	function clockCard() {
		const now = h("p.big");
		const days = h("input", { type: "number", min: "0", step: "any", value: "31" });
		const time = h("input", { type: "text", placeholder: "2026-11-20T12:00:00Z" });
		const gone = h("ul.changes");
		const advance = (seconds) => act((project) => api.send("POST", "clock/advance", project, { seconds }), (moved) => {
			gone.replaceChildren(...moved.expired.slice(0, 40).map((id) => h("li", "expired ", h("code", shortId(id)))),
				...moved.completed.slice(0, 40).map((id) => h("li", "completed ", h("code", shortId(id)))));
			return `It is ${dateTime(moved.now)} now. ${number(moved.expired.length)} expired, ${number(moved.completed.length)} completed.`;
		});
		const put = (body) => act((project) => api.send("PUT", "clock", project, body), (clock) => `The clock ${clock.mode === "manual" ? "stands still at" : "runs, it is"} ${dateTime(clock.now)}.`);
		const element = form("Clock", now,
			h("div.buttons", button("+ 1 minute", () => advance(60)), button("+ 1 hour", () => advance(3600)), button("+ 1 day", () => advance(86400))),
			h("div.row-form", field("Days", days), button("Advance", () => advance(Number(days.value) * 86400), "primary")),
			h("div.row-form", field("Freeze at (ISO time)", time), button("Freeze", () => put({ now: time.value || store.state.clock.now }))),
			h("div.buttons", button("Let it run", () => put({ mode: "system" }))), gone);
		return {
			element,
			update: (state) => replaceIf(now, state.clock && `${Math.floor(nowOf(state.clock))} ${state.clock.mode}`, () =>
				state.clock ? `${dateTime(nowOf(state.clock))} UTC · ${state.clock.mode === "manual" ? "frozen" : "running"}` : "–"),
		};
	}

	// --- queue

	function queueCard() {
		const text = h("textarea", { rows: "3", placeholder: "18 degrees in Paris." });
		const kind = h("select", [["text", "text"], ["line", "a whole line, as JSON"], ["429", "error 429"], ["500", "error 500"], ["call", "function call, as JSON"]].map(([value, label]) => h("option", { value }, label)));
		kind.addEventListener("change", () => {
			text.placeholder = { text: "18 degrees in Paris.", line: '{"when": {"input_contains": "weather"}, "reply": {"text": "Sunny."}}', call: '{"name": "get_weather", "arguments": {"city": "Paris"}}' }[kind.value] ?? "nothing to write";
		});
		const waiting = h("div");
		const send = () => act(async (project) => {
			const answer = await api.send("POST", "script", project, { lines: [lineOf(kind.value, text.value)] });
			await refresh(project);
			return answer;
		}, ({ queued }) => `${number(queued)} ${queued === 1 ? "line waits" : "lines wait"} in the queue; the next turn takes the first that matches.`);
		const element = form("Queue a reply", field("The next turn answers with", kind), field("Text", text), button("Queue", send, "primary"), waiting);
		return {
			element,
			update: (state) => replaceIf(waiting, state.levers.scenario, () => drawScenario(state.levers.scenario)),
		};
	}

	// --- faults

	function faultCard() {
		const preset = h("select", Object.keys(FAULTS).map((name) => h("option", { value: name }, name)));
		const path = h("input", { type: "text", value: "/v1/responses", spellcheck: "false" });
		const times = h("input", { type: "number", min: "1", value: "1" });
		const rule = h("textarea", { rows: "4", class: "mono", spellcheck: "false" });
		const list = h("div");
		const write = () => {
			const { where, ...fault } = FAULTS[preset.value];
			const when = { ...(path.value && !where ? { path: path.value } : {}), ...where };
			rule.value = JSON.stringify({ when, ...fault, ...(times.value ? { times: Number(times.value) } : {}) });
		};
		for (const control of [preset, path, times]) control.addEventListener("input", write);
		write();
		const set = (faults, say) => act(async (project) => {
			await api.send("PUT", "faults", project, { faults });
			await refresh(project);
		}, () => say);
		const current = () => (store.state.levers.faults ?? []).map(({ used, ...fault }) => fault);
		const add = () => {
			try {
				set([...current(), JSON.parse(rule.value)], "The fault is set.");
			} catch {
				act(() => Promise.reject(new Error("The rule is not JSON.")));
			}
		};
		const element = form("Faults", field("Kind", preset), h("div.row-form", field("Path", path), field("Times", times)), field("Rule", rule, "as PUT /_mock/faults takes it"),
			h("div.buttons", button("Add", add, "primary"), button("Remove all", () => set([], "There is no fault."))), list);
		return {
			element,
			update: (state) => replaceIf(list, state.levers.faults, () => (state.levers.faults ?? []).map((fault, at) => h("p.rule",
				h("code", JSON.stringify({ ...fault, used: undefined })), h("span.count", ` struck ${number(fault.used)}×`),
				button("Remove", () => set(current().filter((_, index) => index !== at), "The fault is removed."), "quiet")))),
		};
	}

	// --- snapshots

	function snapshotCard() {
		const name = h("input", { type: "text", placeholder: "before the fix" });
		const file = h("input", { type: "file", accept: "application/json", hidden: true, onchange: () => open(file.files[0]) });
		const list = h("div");
		const difference = h("div.small");
		const json = createJsonView("Difference of snapshots");
		const keep = (snapshot) => store.change((state) => ({ levers: { ...state.levers, snapshots: [...state.levers.snapshots, snapshot].slice(-8) } }));
		const take = () => act((project) => api.text("snapshot", project), (text) => {
			keep({ name: name.value || `${store.state.project} at ${dateTime(nowOf(store.state.clock))}`, text });
			name.value = "";
			return `Taken: ${bytes(text.length)}. It is kept as long as this page.`;
		});
		const restore = (snapshot) => act((project) => api.send("PUT", "snapshot", project, JSON.parse(snapshot.text)), () => `Restored: ${visible(snapshot.name)}.`);
		const compare = (snapshot) => act((project) => api.text("snapshot", project), (text) => {
			json.show(compareSnapshots(JSON.parse(snapshot.text), JSON.parse(text)));
			difference.replaceChildren(h("h3", `From ${snapshot.name} to now`), json.element);
			return "Compared.";
		});
		const save = (snapshot) => download(snapshot.text, `${snapshot.name.replace(/[^\w.-]+/g, "-")}.json`, "application/json");
		async function open(chosen) {
			if (chosen) keep({ name: chosen.name, text: await chosen.text() });
			file.value = "";
		}
		const element = form("Snapshots", h("div.row-form", field("Name", name), button("Take", take, "primary")), h("div.buttons", button("Open a file", () => file.click()), file), list, difference);
		return {
			element,
			update: (state) => replaceIf(list, state.levers.snapshots, () => state.levers.snapshots.map((snapshot) => h("div.rule",
				h("span", snapshot.name, " ", h("span.count", bytes(snapshot.text.length))),
				h("span.buttons", button("Restore", () => restore(snapshot), "quiet"), button("Diff", () => compare(snapshot), "quiet"), button("Save", () => save(snapshot), "quiet"))))),
		};
	}

	// --- journal, reset

	function journalCard() {
		const fetchCassette = () => act((project) => api.text("journal.cassette", project), (text) => {
			download(text, "journal.yaml", "application/yaml");
			return `Downloaded: ${bytes(text.length)}.`;
		});
		return { element: form("Journal", h("p", "Everything that was answered, as a cassette: ", h("code", "--mode replay --cassette journal.yaml"), " answers from it."),
			h("div.buttons", button("Download as a cassette", fetchCassette, "primary"))) };
	}

	function resetCard() {
		const parts = ["state", "scenario", "faults", "journal", "clock"].map((part) => {
			return h("label", h("input", { type: "checkbox", value: part, checked: true }), ` ${part}`);
		});
		const reset = () => act((project) => {
			const only = parts.filter((label) => label.firstChild.checked).map((label) => label.firstChild.value);
			return api.send("POST", "reset", project, only.length === parts.length ? {} : { only }).then(() => refresh(project)).then(reread);
		}, () => "Forgotten. The same requests get the same ids again.");
		return { element: form("Reset this project", h("div.checks", parts), h("div.buttons", button("Reset", reset, "danger"))) };
	}

	let readFor = null;
	return {
		element,
		update(state) {
			if (state.view !== "levers") {
				readFor = null;
				return;
			}
			const version = `${state.project} ${state.exchanges.at(-1)?.id}`;
			if (readFor !== version && state.project !== null && !state.gone) {
				readFor = version;
				refresh(state.project).catch(() => {});
			}
			for (const card of cards) card.update?.(state);
		},
	};
}

const FAULTS = {
	"error 429": { do: { error: { code: "rate_limit_exceeded" } } },
	"error 500": { do: { error: 500 } },
	overloaded: { do: { error: { code: "server_is_overloaded" } } },
	"delay 2 s": { do: { delay: 2 } },
	"cut the stream": { at: { event: "response.output_text.delta", count: 2 }, do: "cut" },
	stall: { at: { event: "response.output_text.delta", count: 2 }, do: "stall" },
	"malformed JSON": { do: "malformed" },
	"drop an event": { do: "drop_event", at: { event: "response.output_text.delta", count: 1 } },
	"rate limit": { do: { rate_limit: { requests_per_minute: 60 } } },
	"lock the conversation": { where: { conversation: true }, do: { lock_conversation: 30 } },
	"expire the parent": { where: { previous_response_id: true }, do: "expire" },
	"close the socket": { do: { close_socket: 1011 } },
};

function lineOf(kind, text) {
	if (kind === "text") return { reply: { text } };
	if (kind === "429") return { reply: { error: { status: 429, code: "rate_limit_exceeded" } } };
	if (kind === "500") return { reply: { error: { status: 500 } } };
	let value;
	try {
		value = JSON.parse(text);
	} catch {
		throw new Error("The text is not JSON.");
	}
	return kind === "call" ? { reply: { output: [{ type: "function_call", ...value }] } } : value;
}

function drawScenario(scenario) {
	if (!scenario) return null;
	const rows = [
		...scenario.queue.map((line) => ["queue", line]), ...scenario.lines.map((line, at) => [`line ${at}`, line]),
	].slice(0, 100);
	if (!rows.length) return h("p.quiet-text", "Nothing is queued, and the scenario has no lines.");
	return rows.map(([place, { used, ...line }]) => h("p.rule", h("b", place), " ", h("code", JSON.stringify(line).slice(0, 300)), copyButton("Copy", () => JSON.stringify(line)),
		place !== "queue" && h("span.count", used ? ` used ${number(used)}×` : " never used")));
}

/** The time of a clock that may run: what it said, and what has passed since. */
export function nowOf(clock) {
	if (!clock) return null;
	return clock.mode === "manual" ? clock.now : clock.now + (Date.now() - clock.readAt) / 1000;
}

function download(text, name, type) {
	const url = URL.createObjectURL(new Blob([text], { type }));
	h("a", { href: url, download: name }).click();
	setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
