// What two snapshots differ in: records that are new, gone or changed, by section.

export function compareSnapshots(before, after) {
	const difference = {};
	for (const section of new Set([...Object.keys(before), ...Object.keys(after)])) {
		const found = compareSection(before[section], after[section]);
		if (found !== null) difference[section] = found;
	}
	return Object.keys(difference).length ? difference : { same: true };
}

function compareSection(before, after) {
	if (same(before, after)) return null;
	if (!isRecord(before) || !isRecord(after)) return { before: before ?? null, after: after ?? null };
	const names = new Set([...Object.keys(before), ...Object.keys(after)]);
	const found = { added: {}, removed: {}, changed: {} };
	for (const name of names) {
		if (!(name in before)) found.added[name] = after[name];
		else if (!(name in after)) found.removed[name] = before[name];
		else if (!same(before[name], after[name])) found.changed[name] = { before: before[name], after: after[name] };
	}
	return Object.fromEntries(Object.entries(found).filter(([, records]) => Object.keys(records).length));
}

function isRecord(value) {
	return value !== null && typeof value === "object" && !Array.isArray(value);
}

function same(one, other) {
	return JSON.stringify(one) === JSON.stringify(other);
}
