// Where each response stands: a lane per chain, a column per turn. Pure.
//
// How it works. A response without a parent begins a lane; its first child goes on in it, each other child (a fork)
// begins a lane below. Newer chains stand above older ones, and a chain's forks stay together. No recursion: a chain
// may have thousands of turns.

/** The place of each node, `{id, x, lane, parent}` in lanes and columns, and the lanes with their labels. */
export function layout(nodes) {
	const children = new Map();
	const roots = [];
	for (const node of nodes.values()) {
		if (node.parent && nodes.has(node.parent) && node.parent !== node.id) push(children, node.parent, node);
		else roots.push(node);
	}
	const places = new Map();
	const lanes = [];
	for (const root of roots.reverse()) placeTree(root, children, places, lanes);
	return { places, lanes, children };
}

function placeTree(root, children, places, lanes) {
	// begins of lanes that wait: the last fork of the deepest node comes first, so that forks stand near their parent
	const waiting = [{ node: root, x: 0, fork: false }];
	while (waiting.length) {
		const start = waiting.pop();
		const lane = { index: lanes.length, from: start.x, to: start.x, root: root.id, fork: start.fork, conversation: null, ids: [] };
		lanes.push(lane);
		for (let { node, x } = start; node && !places.has(node.id); x += 1) {
			places.set(node.id, { id: node.id, x, lane: lane.index, parent: node.parent, node });
			lane.to = x;
			lane.ids.push(node.id);
			lane.conversation ??= node.conversation;
			const [next, ...forks] = children.get(node.id) ?? [];
			for (const fork of forks) waiting.push({ node: fork, x: x + 1, fork: true });
			node = next;
		}
	}
}

/** Add a value to the list that a map has for a key. */
export function push(map, key, value) {
	const list = map.get(key);
	if (list) list.push(value);
	else map.set(key, [value]);
}

/** The node that an arrow key leads to from `id`. */
export function neighbour({ places, lanes, children }, id, key) {
	const place = places.get(id);
	if (!place) return lanes[0]?.ids.at(-1) ?? null;
	if (key === "ArrowLeft") return places.has(place.parent) ? place.parent : null;
	if (key === "ArrowRight") return children.get(id)?.[0]?.id ?? null;
	const lane = lanes[place.lane + (key === "ArrowDown" ? 1 : -1)];
	if (!lane) return null;
	return lane.ids[Math.max(0, Math.min(lane.ids.length - 1, place.x - lane.from))];
}
