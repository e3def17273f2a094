// The state graph on a canvas: only what is in sight is drawn, so thousands of responses cost what a screen holds.

import { h, oncePerFrame } from "./dom.js";
import { clockTime, number, shortId, visible } from "./format.js";
import { layout, neighbour } from "./graph_layout.js";

const COLUMN = 64;
const LANE = 56;
const LEFT = 116; // room for the labels of lanes
const TOP = 34;
const RADIUS = 11;
const CLOSEST = 2.5;
const FARTHEST = 0.08;

const LEGEND = [
	["solid", "stored"], ["dash", "not stored"], ["hollow", "expired or deleted"], ["pulse", "running"], ["bad", "failed, incomplete"],
	["compact", "compacted"], ["drop", "truncated"],
];

export function createGraphView(store, actions) {
	const canvas = h("canvas", { tabindex: "0", role: "application", "aria-label": "State graph. Arrow keys move between responses, plus and minus zoom.", "aria-describedby": "graph-said" });
	const said = h("p.graph-said", { id: "graph-said", "aria-live": "polite" });
	const zoomIn = h("button", { "aria-label": "Zoom in", onclick: () => zoom(1.3) }, "+");
	const zoomOut = h("button", { "aria-label": "Zoom out", onclick: () => zoom(1 / 1.3) }, "−");
	const whole = h("button", { onclick: () => fit() }, "Fit");
	const legend = h("ul.legend", { "aria-label": "Legend" }, LEGEND.map(([kind, text]) => h("li", { class: `mark-${kind}` }, text)));
	const element = h("div.graph", h("div.graph-tools", zoomIn, zoomOut, whole), canvas, legend, said);
	const context = canvas.getContext("2d");
	const still = matchMedia("(prefers-reduced-motion: reduce)");
	let plan = layout(new Map());
	let version = -1;
	let selected = null;
	let view = { x: 0, y: 0, scale: 1 };
	let touched = false; // once the user has moved it, it stays
	let colours = null;
	const schedule = oncePerFrame(draw);

	new ResizeObserver(() => {
		resize();
		if (!touched) home();
		schedule();
	}).observe(canvas);
	matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
		colours = null;
		schedule();
	});

	function resize() {
		const ratio = devicePixelRatio || 1;
		canvas.width = Math.max(1, Math.round(canvas.clientWidth * ratio));
		canvas.height = Math.max(1, Math.round(canvas.clientHeight * ratio));
	}

	// --- drawing

	function draw(time) {
		colours ??= readColours();
		const ratio = devicePixelRatio || 1;
		const width = canvas.clientWidth;
		const height = canvas.clientHeight;
		context.setTransform(ratio, 0, 0, ratio, 0, 0);
		context.clearRect(0, 0, width, height);
		const first = Math.max(0, Math.floor((-view.y / view.scale - TOP) / LANE) - 1);
		const last = Math.min(plan.lanes.length - 1, Math.ceil(((height - view.y) / view.scale - TOP) / LANE) + 1);
		const lanes = plan.lanes.slice(first, last + 1);
		let runs = false;
		for (const lane of lanes) drawLaneLine(lane, width);
		for (const lane of lanes) drawEdges(lane, width);
		for (const lane of lanes) runs = drawNodes(lane, width, time) || runs;
		for (const lane of lanes) drawLabel(lane);
		if (runs && !still.matches) schedule();
	}

	function toX(column) {
		return view.x + (LEFT + column * COLUMN) * view.scale;
	}

	function toY(lane) {
		return view.y + (TOP + lane * LANE) * view.scale;
	}

	function drawLaneLine(lane, width) {
		if (lane.index % 2 === 0) return;
		context.fillStyle = colours.stripe;
		context.fillRect(0, toY(lane.index) - (LANE / 2) * view.scale, width, LANE * view.scale);
	}

	/** The ids of a lane that are in sight. */
	function idsInSight(lane, width) {
		const step = COLUMN * view.scale;
		const from = Math.max(0, Math.floor((0 - toX(lane.from)) / step) - 1);
		return lane.ids.slice(from, Math.max(from, Math.ceil((width - toX(lane.from)) / step) + 2));
	}

	function drawEdges(lane, width) {
		context.lineWidth = Math.max(1, 1.6 * view.scale);
		context.strokeStyle = colours.edge;
		context.beginPath();
		for (const id of idsInSight(lane, width)) addEdge(plan.places.get(id));
		context.stroke();
	}

	/** Draw the nodes of a lane that are in sight; returns whether one is running. */
	function drawNodes(lane, width, time) {
		let runs = false;
		for (const id of idsInSight(lane, width)) runs = drawNode(plan.places.get(id), time) || runs;
		return runs;
	}

	function addEdge(place) {
		const parent = plan.places.get(place.parent);
		if (!parent) return;
		const [x, y, px, py] = [toX(place.x), toY(place.lane), toX(parent.x), toY(parent.lane)];
		context.moveTo(px, py);
		if (y === py) context.lineTo(x, y);
		else context.bezierCurveTo(px + (x - px) * 0.62, py, px + (x - px) * 0.38, y, x, y);
	}

	function drawNode(place, time) {
		const { node } = place;
		const [x, y, radius] = [toX(place.x), toY(place.lane), Math.max(2.5, RADIUS * view.scale)];
		const running = node.state === "running" || node.status === "in_progress" || node.status === "queued";
		const hollow = /expired|deleted|gone/.test(node.state);
		const colour = colourOf(node);
		if (running) {
			const phase = still.matches ? 0.5 : (Math.sin(time / 260) + 1) / 2;
			circle(x, y, radius + 3 + 4 * phase * view.scale);
			context.fillStyle = colours.halo;
			context.fill();
		}
		if (node.id === selected) {
			circle(x, y, radius + 5 * Math.max(0.6, view.scale));
			context.lineWidth = 2;
			context.strokeStyle = colours.accent;
			context.stroke();
		}
		circle(x, y, radius);
		context.fillStyle = hollow || node.store === false ? colours.ground : colour;
		context.fill();
		context.lineWidth = Math.max(1, 2 * view.scale);
		context.strokeStyle = hollow ? colours.quiet : colour;
		context.setLineDash(node.store === false && !hollow ? [3, 2.5] : []);
		context.stroke();
		context.setLineDash([]);
		if (view.scale >= 0.55) drawMarks(place, x, y, radius, hollow || node.store === false ? colour : colours.ground);
		return running;
	}

	function drawMarks({ node, x: turn }, x, y, radius, ink) {
		context.fillStyle = /live|running/.test(node.state) ? ink : colours.quiet;
		context.font = `600 ${Math.round(10 * Math.min(1.4, view.scale))}px ${colours.font}`;
		context.textAlign = "center";
		context.textBaseline = "middle";
		context.fillText(/deleted|gone/.test(node.state) ? "×" : String(turn + 1), x, y + 0.5);
		if (node.compacted) mark(x + radius * 0.9, y - radius * 0.9, 3.5 * view.scale, colours.compact, Math.PI / 4);
		if (node.dropped) mark(x - radius * 0.9, y - radius * 0.9, 4 * view.scale, colours.warn);
		if (view.scale >= 0.8 && node.usage?.input_tokens) {
			context.fillStyle = colours.quiet;
			context.font = `${Math.round(10 * Math.min(1.2, view.scale))}px ${colours.font}`;
			context.fillText(compact(node.usage.input_tokens), x, y + radius + 12 * view.scale);
		}
	}

	function drawLabel(lane) {
		if (view.scale < 0.45 || lane.fork) return;
		const text = lane.conversation ? shortId(lane.conversation) : shortId(lane.root);
		context.font = `11px ${colours.mono}`;
		context.textAlign = "left";
		context.textBaseline = "middle";
		const y = toY(lane.index);
		const width = context.measureText(text).width;
		const x = Math.min(10, toX(lane.from) - width - RADIUS * view.scale - 12);
		if (x < 6) return;
		context.fillStyle = lane.conversation ? colours.accent : colours.quiet;
		context.fillText(text, x, y);
	}

	function circle(x, y, radius) {
		context.beginPath();
		context.arc(x, y, radius, 0, Math.PI * 2);
	}

	/** A small square, or a diamond: the same turned by an eighth. */
	function mark(x, y, size, colour, turn = 0) {
		context.save();
		context.translate(x, y);
		context.rotate(turn);
		context.fillStyle = colour;
		context.fillRect(-size, -size, size * 2, size * 2);
		context.restore();
	}

	function colourOf(node) {
		if (/failed|incomplete/.test(node.status)) return colours.bad;
		if (node.status === "cancelled") return colours.warn;
		return node.conversation ? colours.accent : colours.node;
	}

	function readColours() {
		const style = getComputedStyle(document.documentElement);
		const names = ["ground", "stripe", "edge", "node", "accent", "quiet", "halo", "warn", "bad", "compact", "font", "mono"];
		return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
	}

	// --- moving

	function zoom(factor, x = canvas.clientWidth / 2, y = canvas.clientHeight / 2) {
		const scale = Math.max(FARTHEST, Math.min(CLOSEST, view.scale * factor));
		const real = scale / view.scale;
		view = { scale, x: x - (x - view.x) * real, y: y - (y - view.y) * real };
		touched = true;
		schedule();
	}

	/** Everything in sight, as far as that goes. */
	function fit() {
		const columns = Math.max(1, ...plan.lanes.map((lane) => lane.to + 1));
		const scale = Math.min(canvas.clientWidth / (LEFT + columns * COLUMN), canvas.clientHeight / (TOP * 2 + plan.lanes.length * LANE), 1);
		view = { x: 0, y: 0, scale: Math.max(FARTHEST, scale) };
		touched = false;
		schedule();
	}

	/** Where one begins: the newest chain, its end in sight. */
	function home() {
		const newest = plan.lanes[0];
		const scale = view.scale;
		const end = newest ? (LEFT + newest.to * COLUMN + 60) * scale : 0;
		view = { scale, x: Math.min(0, canvas.clientWidth - end), y: 0 };
	}

	function center(id) {
		const place = plan.places.get(id);
		if (!place || canvas.clientWidth === 0) return;
		const [x, y, margin] = [toX(place.x), toY(place.lane), 40];
		if (x >= margin && x <= canvas.clientWidth - margin && y >= 24 && y <= canvas.clientHeight - 24) return;
		if (x < LEFT / 2 || x > canvas.clientWidth - margin) view.x += canvas.clientWidth * 0.6 - x;
		if (y < 24 || y > canvas.clientHeight - 24) view.y += canvas.clientHeight / 2 - y;
		schedule();
	}

	function nodeAt(x, y) {
		const lane = plan.lanes[Math.round(((y - view.y) / view.scale - TOP) / LANE)];
		if (!lane) return null;
		const column = Math.round(((x - view.x) / view.scale - LEFT) / COLUMN);
		const id = lane.ids[column - lane.from];
		if (!id) return null;
		return Math.hypot(x - toX(column), y - toY(lane.index)) <= Math.max(9, (RADIUS + 6) * view.scale) ? id : null;
	}

	let drag = null;
	canvas.addEventListener("pointerdown", (event) => {
		drag = { x: event.clientX, y: event.clientY, view, moved: false };
		canvas.setPointerCapture(event.pointerId);
	});
	canvas.addEventListener("pointermove", (event) => {
		if (!drag) {
			canvas.style.cursor = nodeAt(event.offsetX, event.offsetY) ? "pointer" : "grab";
			return;
		}
		const [dx, dy] = [event.clientX - drag.x, event.clientY - drag.y];
		if (Math.hypot(dx, dy) > 4) drag.moved = touched = true;
		if (drag.moved) view = { ...view, x: drag.view.x + dx, y: drag.view.y + dy };
		schedule();
	});
	canvas.addEventListener("pointerup", (event) => {
		const id = drag && !drag.moved ? nodeAt(event.offsetX, event.offsetY) : null;
		drag = null;
		if (id) actions.selectResponse(id, event.shiftKey);
	});
	canvas.addEventListener("pointercancel", () => {
		drag = null;
	});
	canvas.addEventListener("wheel", (event) => {
		event.preventDefault();
		if (event.ctrlKey || event.metaKey) zoom(Math.exp(-event.deltaY / 200), event.offsetX, event.offsetY);
		else {
			view = { ...view, x: view.x - (event.shiftKey ? event.deltaY : event.deltaX), y: view.y - (event.shiftKey ? 0 : event.deltaY) };
			touched = true;
			schedule();
		}
	}, { passive: false });
	canvas.addEventListener("keydown", (event) => {
		if (event.key.startsWith("Arrow")) {
			const id = neighbour(plan, selected, event.key);
			if (id) actions.selectResponse(id, event.shiftKey);
		} else if (event.key === "+" || event.key === "=") zoom(1.3);
		else if (event.key === "-") zoom(1 / 1.3);
		else if (event.key === "0") fit();
		else if (event.key === "Enter") actions.openDetail();
		else return;
		event.preventDefault();
	});

	return {
		element,
		update(state) {
			const response = state.selected?.response ?? null;
			const changed = version !== state.graphVersion;
			if (!changed && selected === response) return;
			if (changed) {
				version = state.graphVersion;
				plan = layout(state.nodes);
				if (!touched) home();
			}
			const text = describe(plan, response);
			if (said.textContent !== text) said.textContent = text;
			if (selected !== response) {
				selected = response;
				center(response);
			}
			schedule();
		},
	};
}

function describe(plan, id) {
	const place = plan.places.get(id);
	if (!place) return "";
	const { node } = place;
	const forks = (plan.children.get(id)?.length ?? 0) - 1;
	return visible([
		`${id}: turn ${place.x + 1}`, node.model, node.state === "live" ? node.status : node.state,
		node.usage?.input_tokens && `${number(node.usage.input_tokens)} tokens in, ${number(node.usage.cached_tokens)} cached`,
		node.store === false && "not stored", forks > 0 && `${forks + 1} branches`, node.compacted && "compacted",
		node.dropped && `${node.dropped} items dropped`, node.conversation, `created ${clockTime(node.created_at)}`,
	].filter(Boolean).join(" · "));
}

function compact(value) {
	return value < 1000 ? String(value) : value < 1_000_000 ? `${(value / 1000).toFixed(value < 10_000 ? 1 : 0)}k` : `${(value / 1e6).toFixed(1)}M`;
}
