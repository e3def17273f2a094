// What is wrong, in two lists: the client (verdict), the mock against the real API (drift).

import { counted, h, replaceIf } from "./dom.js";
import { number } from "./format.js";
import { createJsonView } from "./json_view.js";
import { drawFinding } from "./tab_why.js";

export function createReportsView(api, store, actions) {
	const verdict = h("section.card");
	const drift = h("section.card");
	const element = h("div.view.view-reports", { id: "view-reports" }, verdict, drift);
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
		},
	};
}

function failure(problem) {
	return { failed: problem.message };
}

function drawVerdict(findings, actions) {
	const title = counted("Verdict on the client", findings?.length);
	if (!findings) return [title, h("p", "No call yet.")];
	if (!findings.length) return [title, h("p", "No mistake found in the journal.")];
	return [title, findings.slice(0, 200).map((finding) => drawFinding(finding, actions))];
}

function drawDrift(report, clear, health) {
	const title = counted("Drift", report?.data?.length);
	if (!report) return [title, h("p", "Reading…")];
	if (report.failed) return [title, h("p.bad-text", report.failed)];
	if (!report.data.length) {
		return [title, h("p", health?.mode === "shadow" ? "The mock would have said the same so far." : "Mode shadow compares the mock with an upstream; this server runs in mode ", health?.mode !== "shadow" && h("code", health?.mode ?? "mock"), ".")];
	}
	return [title, h("button", { onclick: clear }, "Forget them"), report.data.slice(0, 200).map(drawDriftGroup)];
}

function drawDriftGroup(group) {
	const json = createJsonView("Drift");
	json.show(group);
	json.element.classList.add("small");
	return h("details.finding",
		h("summary", h("code.place", group.kind ?? "difference"), ` ${group.endpoint ?? ""} ${group.path ?? ""}`, h("span.count", ` ×${number(group.count ?? 1)}`)),
		json.element);
}
