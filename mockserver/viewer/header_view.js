// The head of the page: the project, whether the page is live, the project's clock, the views.

import { h, replace, replaceIf } from "./dom.js";
import { dateTime, number } from "./format.js";
import { nowOf } from "./levers_view.js";

export const VIEWS = [["trace", "Trace"], ["charts", "Charts"], ["levers", "Levers"], ["reports", "Findings"], ["cassette", "Cassette"]];

export function createHeader(store, actions) {
	const projects = h("select", { id: "project", "aria-label": "Project", onfocus: actions.readProjects, onchange: () => actions.selectProject(projects.value) });
	const status = h("span.live", { role: "status" });
	const clock = h("button.clock.quiet", { title: "The project's clock", onclick: () => actions.openView("levers") });
	const mode = h("span.mode");
	const views = h("nav.views", { "aria-label": "Views" }, VIEWS.map(([name, label]) =>
		h("button", { id: `open-${name}`, onclick: () => actions.openView(name) }, label)));
	const element = h("header.head", h("h1", "understudy"), mode, views, projects, clock, status);
	// only a running clock moves by itself
	setInterval(() => store.state.clock?.mode === "system" && !document.hidden && drawClock(store.state), 1000);

	function drawClock(state) {
		replaceIf(clock, state.clock && `${dateTime(nowOf(state.clock))} ${state.clock.mode}`, () =>
			state.clock ? [h("span.clock-time", dateTime(nowOf(state.clock))), state.clock.mode === "manual" && h("i.tag", "frozen")] : "");
	}

	return {
		element,
		update(state) {
			replaceIf(mode, state.health, () => (state.health ? `${state.health.version} · ${state.health.mode}` : ""));
			replaceIf(projects, `${state.projects.length} ${state.project} ${state.projects.map((one) => `${one.name}${one.responses}`).join()}`, () => drawProjects(state));
			projects.value = state.project ?? "";
			const text = { live: state.gone ? "waiting" : "live", lost: "reconnecting", connecting: "connecting" }[state.connection];
			status.className = `live ${text}`;
			if (status.textContent !== text) replace(status, text);
			for (const button of views.children) {
				button.setAttribute("aria-current", button.id === `open-${state.view}` ? "page" : "false");
			}
			const found = state.reports.verdict?.length ?? 0;
			replaceIf(views.children[3], found, () => ["Findings", found > 0 && h("span.badge", number(found))]);
			drawClock(state);
		},
	};
}

function drawProjects(state) {
	const known = state.projects.some((one) => one.name === state.project);
	const options = state.projects.map((one) => h("option", { value: one.name }, `${one.key ?? one.name} · ${number(one.responses)} responses`));
	if (state.project !== null && !known) options.unshift(h("option", { value: state.project }, `${state.project} (gone)`));
	if (state.project === null) options.unshift(h("option", { value: "" }, "no project yet"));
	return options;
}
