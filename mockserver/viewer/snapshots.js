// What two snapshots differ in: records that are new, gone or changed, by section.

export function compareSnapshots(before, after) {
	const sections = namesIn(before, after).map((name) => [name, compareSection(before[name], after[name])]).filter(([, found]) => found);
	return sections.length ? Object.fromEntries(sections) : { same: true };
}

function compareSection(before, after) {
	if (same(before, after)) return null;
	if (!isRecord(before) || !isRecord(after)) return { before: before ?? null, after: after ?? null };
	const found = {};
	for (const name of namesIn(before, after)) {
		const [old, now] = [before[name], after[name]];
		if (old === undefined) (found.added ??= {})[name] = now;
		else if (now === undefined) (found.removed ??= {})[name] = old;
		else if (!same(old, now)) (found.changed ??= {})[name] = { before: old, after: now };
	}
	return found;
}

function namesIn(before, after) {
	return Object.keys({ ...before, ...after });
}

function isRecord(value) {
	return value !== null && typeof value === "object" && !Array.isArray(value);
}

function same(one, other) {
	return JSON.stringify(one) === JSON.stringify(other);
}
