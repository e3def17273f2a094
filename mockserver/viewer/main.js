// The page: one store, views that draw it, and the actions that change it.

import { createApi } from "./api.js";
import { createCassetteView } from "./cassette_view.js";
import { createChartsView } from "./charts_view.js";
import { createDetailView, TABS } from "./detail_view.js";
import { createDetails } from "./details.js";
import { h, replaceIf } from "./dom.js";
import { createEmptyView } from "./empty_view.js";
import { exchangeOf } from "./exchanges.js";
import { createFeed } from "./feed.js";
import { createGraphView } from "./graph_view.js";
import { createHeader } from "./header_view.js";
import { createLeversView } from "./levers_view.js";
import { createListView } from "./list_view.js";
import { createReportsView } from "./reports_view.js";
import { createStore, initialState } from "./store.js";

const api = createApi();
const store = createStore(initialState());
const feed = createFeed(api, store, notify);
const NOTICE_MS = 8000;

const actions = {
	selectProject(name) {
		const url = new URL(location.href);
		url.searchParams.set("project", name);
		history.replaceState(null, "", url);
		feed.select(name);
	},
	readProjects: () => feed.readProjects(),
	selectExchange(exchange) {
		const id = exchange.id ?? `running ${exchange.exchange}`;
		const tab = exchange.response_id || store.state.tab === "why" ? store.state.tab : exchange.status >= 400 ? "why" : "request";
		store.change({ selected: { exchange: id, response: exchange.response_id ?? null }, compared: null, tab });
	},
	selectExchangeId(id) {
		const exchange = store.state.exchanges.find((one) => one.id === id);
		store.change({ selected: { exchange: id, response: exchange?.response_id ?? null }, view: "trace", pane: "detail", compared: null });
	},
	selectResponse(id, compare = false) {
		const { selected, exchanges } = store.state;
		if (compare && selected?.response && selected.response !== id) {
			store.change({ compared: id, tab: "diff" });
			return;
		}
		store.change({ selected: { exchange: exchangeOf(exchanges, id)?.id ?? null, response: id }, compared: null, view: "trace" });
	},
	compare: (id) => store.change({ compared: id }),
	filter: (text) => store.change({ filter: text }),
	toggleTerm(term) {
		const terms = store.state.filter.split(/\s+/).filter(Boolean);
		store.change({ filter: (terms.includes(term) ? terms.filter((one) => one !== term) : [...terms, term]).join(" ") });
	},
	openTab: (tab) => store.change({ tab, pane: "detail" }),
	openView: (view) => store.change({ view }),
	openPane: (pane) => store.change({ pane }),
	openDetail() {
		store.change({ pane: "detail" });
		detail.focus();
	},
};

function notify(text) {
	const notice = { text };
	store.change((state) => ({ notices: [...state.notices, notice].slice(-3) }));
	setTimeout(() => store.change((state) => ({ notices: state.notices.filter((one) => one !== notice) })), NOTICE_MS);
}

createDetails(api, store);
const header = createHeader(store, actions);
const list = createListView(store, actions);
const graph = createGraphView(store, actions);
const detail = createDetailView(store, actions);
const views = { charts: createChartsView(store, actions), levers: createLeversView(api, store, feed.refresh), reports: createReportsView(api, store, actions), cassette: createCassetteView(api, store) };
const empty = createEmptyView();
const graphPane = h("section.pane.pane-graph", { "aria-label": "State graph" }, graph.element, empty.element);
const panes = h("div.panes", { role: "group", "aria-label": "Panes" },
	[["list", "Exchanges"], ["graph", "Graph"], ["detail", "Detail"]].map(([name, label]) => h("button", { "data-pane": name, onclick: () => actions.openPane(name) }, label)));
const trace = h("div.view.view-trace", panes, list.element, graphPane, detail.element);
const notices = h("div.notices", { role: "status" });
const main = h("main", { id: "main" }, trace, Object.values(views).map((view) => view.element));
const keyForm = createKeyForm();

document.getElementById("page").replaceChildren(header.element, keyForm, main, notices);
document.addEventListener("keydown", onKey);
store.watch(draw);
feed.start();

function draw(state) {
	header.update(state);
	trace.hidden = state.view !== "trace";
	trace.dataset.pane = state.pane;
	for (const [name, view] of Object.entries(views)) view.element.hidden = state.view !== name;
	for (const button of panes.children) button.setAttribute("aria-pressed", String(button.dataset.pane === state.pane));
	const bare = state.loaded && !state.exchanges.length && !state.nodes.size;
	empty.element.hidden = !bare;
	empty.update(state);
	graph.element.hidden = bare;
	keyForm.hidden = !state.keyWanted;
	if (state.view === "trace") {
		list.update(state);
		graph.update(state);
		detail.update(state);
	}
	for (const view of Object.values(views)) view.update(state);
	replaceIf(notices, state.notices, () => state.notices.map((notice) => h("p", notice.text)));
}

function createKeyForm() {
	const key = h("input", { type: "password", autocomplete: "off", "aria-label": "API key of this server" });
	return h("form", {
		class: "key-form", hidden: true, onsubmit: (event) => {
			event.preventDefault();
			api.useKey(key.value);
			key.value = "";
			store.change({ keyWanted: false });
			feed.start();
		},
	}, h("p", "This server lets in only the keys of its --api-key. The page keeps the key in memory alone."), key, h("button", { type: "submit", class: "primary" }, "Open"));
}

/** Keys of the whole page; those of lists and of the graph are their own. */
function onKey(event) {
	if (event.metaKey || event.ctrlKey || event.altKey) return;
	const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
	if (event.key === "/" && !typing) {
		actions.openView("trace");
		list.focusFilter();
		event.preventDefault();
	} else if (/^[1-6]$/.test(event.key) && !typing) actions.openTab(TABS[Number(event.key) - 1][0]);
	else if (event.key === "Escape" && typing && event.target.type !== "search") event.target.blur();
}
