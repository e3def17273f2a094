// What stands where nothing has happened yet: how to send the first call.

import { h } from "./dom.js";
import { copyButton } from "./clipboard.js";

export function createEmptyView() {
	const origin = location.origin;
	const exports = `export OPENAI_BASE_URL=${origin}/v1\nexport OPENAI_API_KEY=any`;
	const curl = `curl ${origin}/v1/responses -H "Authorization: Bearer any" \\\n  -H "Content-Type: application/json" \\\n  -d '{"model": "gpt-5.5", "input": "hello"}'`;
	const mode = h("p", { class: "quiet-text" });
	const element = h("section", { class: "empty", "aria-label": "How to begin" },
		h("h2", null, "Nothing has called yet"),
		h("p", null, "Point a client at this server. The page shows its calls as they happen; there is nothing to reload."),
		step("1. Set these two variables where your program runs", exports),
		step("2. Or try it from a shell", curl),
		h("p", null, "Each API key is a project of its own: state, clock, scenario and faults. The picker above chooses one. ",
			h("a", { href: "README.md", target: "_blank", rel: "noopener" }, "The documentation"), " says what else there is."), mode);
	return {
		element,
		update({ health }) {
			const text = health && health.mode !== "mock" ? `This server runs in mode ${health.mode}. What is forwarded or replayed is not listed here; see Findings for drift and cassettes.` : "";
			if (mode.textContent !== text) mode.textContent = text;
		},
	};
}

function step(title, code) {
	return h("div", { class: "step" }, h("h3", null, title), h("pre", { tabindex: "0", role: "region", "aria-label": title }, code), copyButton("Copy", () => code));
}
