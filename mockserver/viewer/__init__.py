"""The viewer: a static page that shows a project's calls, its state as a graph, and the levers of the control API.

No Python lives here: HTML, CSS and ES modules without a build step, which `transport/viewer.py` serves under `/_mock/`.
The page may read and call `/_mock/*` only. A module imports modules of this folder; data flows one way, from `feed.js`
through `store.js` into the views. Start reading at `main.js`.
"""
