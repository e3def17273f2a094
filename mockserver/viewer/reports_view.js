// What is wrong, in three lists: the client (verdict), the mock against the real API (drift), recordings and the recorder.

import { h, replaceIf } from "./dom.js";
import { number, visible } from "./format.js";
import { createJsonView } from "./json_view.js";
import { drawFinding } from "./tab_why.js";

export function createReportsView(api, store, actions) {
	const verdict = h("section", { class: "card" });
	const drift = h("section", { class: "card" });
	const recorder = h("section", { class: "card" });
	const element = h("div", { class: "view view-reports", id: "view-reports" }, verdict, drift, recorder);
	let readFor = null;

	async function read(state) {
		const { project } = state;
		const [drift, health] = await Promise.all([api.get("drift", project).catch(failure), api.get("health").catch(() => state.health)]);
		if (store.state.project === project) store.change((now) => ({ reports: { ...now.reports, drift }, health }));
	}

	async function clearDrift() {
		await api.send("DELETE", "drift", store.state.project);
		await read(store.state);
	}

	return {
		element,
		update(state) {
			if (state.view !== "reports" || state.gone) return;
			const version = `${state.project} ${state.exchanges.at(-1)?.id} ${state.connection}`;
			if (readFor !== version) {
				readFor = version;
				read(state);
			}
			replaceIf(verdict, state.reports.verdict, () => drawVerdict(state.reports.verdict, actions));
			replaceIf(drift, state.reports.drift, () => drawDrift(state.reports.drift, clearDrift, state.health));
			replaceIf(recorder, state.health, () => drawRecorder(state.health));
		},
	};
}

function failure(problem) {
	return { failed: problem.message };
}

function drawVerdict(findings, actions) {
	const title = h("h2", null, "Verdict on the client", findings && h("span", { class: "count" }, ` ${number(findings.length)}`));
	if (!findings) return [title, h("p", null, "No call yet.")];
	if (!findings.length) return [title, h("p", null, "No mistake found in the journal.")];
	return [title, findings.slice(0, 200).map((finding) => drawFinding(finding, actions))];
}

function drawDrift(report, clear, health) {
	const title = h("h2", null, "Drift", report?.data ? h("span", { class: "count" }, ` ${number(report.data.length)}`) : null);
	if (!report) return [title, h("p", null, "Reading…")];
	if (report.failed) return [title, h("p", { class: "bad-text" }, visible(report.failed))];
	if (!report.data.length) {
		return [title, h("p", null, health?.mode === "shadow" ? "The mock would have said the same so far." : "Mode shadow compares the mock with an upstream; this server runs in mode ", health?.mode !== "shadow" && h("code", null, health?.mode ?? "mock"), ".")];
	}
	return [title, h("button", { onclick: clear }, "Forget them"), report.data.slice(0, 200).map(drawDriftGroup)];
}

function drawDriftGroup(group) {
	const json = createJsonView("Drift");
	json.show(group);
	json.element.classList.add("small");
	return h("details", { class: "finding" },
		h("summary", null, h("code", { class: "place" }, visible(group.kind ?? "difference")), ` ${visible(group.endpoint ?? "")} ${visible(group.path ?? "")}`, h("span", { class: "count" }, ` ×${number(group.count ?? 1)}`)),
		json.element);
}

function drawRecorder(health) {
	const title = h("h2", null, "Cassettes");
	if (!health?.recorder) {
		return [title, h("p", null, "This server has no cassette. ", h("code", null, "understudy --mode record --upstream URL --cassette FILE"), " records, ", h("code", null, "--mode replay"), " answers from what was recorded.")];
	}
	const facts = typeof health.recorder === "object" ? Object.entries(health.recorder) : [["state", health.recorder]];
	return [title, h("dl", { class: "facts" }, facts.flatMap(([name, value]) => [h("dt", null, visible(name).replaceAll("_", " ")), h("dd", null, typeof value === "object" ? visible(JSON.stringify(value)) : visible(value))]))];
}
