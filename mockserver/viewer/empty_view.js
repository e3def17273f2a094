// What stands where nothing has happened yet: how to send the first call.

import { h, region } from "./dom.js";
import { copyButton } from "./clipboard.js";

export function createEmptyView() {
	const origin = location.origin;
	const exports = `export OPENAI_BASE_URL=${origin}/v1\nexport OPENAI_API_KEY=any`;
	const curl = `curl ${origin}/v1/responses -H "Authorization: Bearer any" \\\n  -H "Content-Type: application/json" \\\n  -d '{"model": "gpt-5.5", "input": "hello"}'`;
	const mode = h("p.quiet-text");
	const element = h("section.empty", { "aria-label": "How to begin" },
		h("h2", "Nothing has called yet"),
		h("p", "Point a client at this server. The page shows its calls as they happen; there is nothing to reload."),
		step("1. Set these two variables where your program runs", exports),
		step("2. Or try it from a shell", curl),
		h("p", "Each API key is a project of its own: state, clock, scenario and faults. The picker above chooses one. ",
			h("a", { href: "README.md", target: "_blank", rel: "noopener" }, "The documentation"), " says what else there is."), mode);
	return {
		element,
		update({ health }) {
			const text = health && health.mode !== "mock" ? `This server runs in mode ${health.mode}. What goes upstream is listed while a page like this is open.` : "";
			if (mode.textContent !== text) mode.textContent = text;
		},
	};
}

function step(title, code) {
	return h("div.step", h("h3", title), h("pre", region(title), code), copyButton("Copy", () => code));
}
